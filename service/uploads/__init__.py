"""Uploads that come in pieces. HTTP and the names of its headers stay in `service.api`.

desk       all of it, put together for one server and one tenant
incoming   the rows: how far each upload is, who writes to it, until when it is kept
staging    where the pieces lie until all are there: `on_disk` a file, `on_s3` parts
receive    one piece on its way from the client into the staging
finish     all pieces are there: one object, one hash, one row of `uploads`
plain      an upload in one body, kept whole or not at all
checksums  what a client says that a piece sums up to;  digests  what this process has seen of the whole
metadata   what a client says about the whole upload
removal    uploads that nobody needs any more
expiry     the chore: pieces that nobody waits for, uploads that have served;  orphans  parts without a row
refusals   what is refused, and why
"""
