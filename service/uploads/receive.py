"""One piece on its way from the client into the staging. Only durable bytes are claimed: written, synced, and
then told to the row, in this order.
"""

import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager

from anyio import CancelScope
from anyio.to_thread import run_sync

from service.jobs.records import UploadState
from service.storage.outages import FULL
from service.uploads.checksums import Checksum
from service.uploads.digests import Digests
from service.uploads.finish import Finisher
from service.uploads.incoming import Incoming, IncomingUploads, refuse_offset
from service.uploads.refusals import DiskTooSmall, MoreThanAnnounced
from service.uploads.staging import Staged, StagedBytesLost, Staging

BLOCK_BYTES = 1 << 20
# What a client sends again at most when the server dies, beside what was still in the buffers of the line.
CLAIM_BYTES = 16 << 20


class ClientGone(Exception):
    """The connection broke off in mid-piece."""


class Receiver:
    def __init__(
        self, uploads: IncomingUploads, staging: Staging, finisher: Finisher, digests: Digests
    ) -> None:
        self._uploads = uploads
        self._staging = staging
        self._finisher = finisher
        self._digests = digests

    async def receive(
        self,
        upload_id: str,
        offset_bytes: int,
        chunks: AsyncIterator[bytes],
        length_bytes: int | None = None,
        checksum: Checksum | None = None,
    ) -> int:
        """The new offset. What came before the connection broke off is kept, unless a checksum was announced:
        then a piece counts as a whole.

        Raises:
            OffsetMismatch, UploadLocked, UploadIsComplete, UploadGone: the piece is not wanted.
            MoreThanAnnounced: with this piece the upload would be longer than announced.
            ChecksumMismatch, DigestMismatch: something else came than was meant.
            ClientGone: the connection broke off; what came is kept.
        """
        piece = await run_sync(self._begin, upload_id, offset_bytes, length_bytes, checksum)
        try:
            is_whole = await _pour(chunks, piece)
            offset_bytes = await run_sync(piece.end, is_whole)
        finally:
            with CancelScope(shield=True):
                await run_sync(piece.close)
        if not is_whole:
            raise ClientGone
        return offset_bytes

    def _begin(
        self, upload_id: str, offset_bytes: int, length_bytes: int | None, checksum: Checksum | None
    ) -> "_Piece":
        if self._uploads.get(upload_id).state is UploadState.FINISHING:
            self._finisher.resume(upload_id)
        with ExitStack() as stack:
            staged = stack.enter_context(self._staging.open(upload_id))
            held = self._uploads.lock(
                upload_id,
                f"piece-{secrets.token_hex(8)}",
                UploadState.RECEIVING,
                is_holder_dead=self._staging.knows_the_dead,
            )
            stack.callback(self._uploads.release, held)
            refuse_offset(held, offset_bytes)
            if length_bytes is not None and offset_bytes + length_bytes > held.size_bytes:
                raise MoreThanAnnounced(held.size_bytes)
            try:
                staged.resume(held)
            except StagedBytesLost:
                self._uploads.give_up(held)
                raise
            return _Piece(self, held, staged, stack.pop_all(), checksum)


class _Piece:
    """Called from one thread at a time, away from the event loop."""

    def __init__(
        self, owner: Receiver, held: Incoming, staged: Staged, stack: ExitStack, checksum: Checksum | None
    ) -> None:
        self._uploads, self._finisher, self._digests = owner._uploads, owner._finisher, owner._digests
        self._held = held
        self._staged = staged
        self._stack = stack
        self._checksum = checksum
        self._digest = self._digests.at(held.id, held.offset_bytes)
        self._offset_bytes = held.offset_bytes
        self._claimed_bytes = held.offset_bytes
        self._claimed_at = time.monotonic()

    def add(self, block: bytes) -> None:
        if self._offset_bytes + len(block) > self._held.size_bytes:
            raise MoreThanAnnounced(self._held.size_bytes)
        with _full_disk():
            self._staged.write(block)
        for sum_up in (self._digest, self._checksum):
            if sum_up is not None:
                sum_up.update(block)
        self._offset_bytes += len(block)
        if self._is_due():
            self._claim()

    def end(self, is_whole: bool) -> int:
        """The offset that counts now."""
        if self._checksum is not None:
            if not is_whole:
                return self._held.offset_bytes
            self._checksum.check()
        if self._offset_bytes > self._held.offset_bytes:
            self._settle()
        return self._held.offset_bytes

    def close(self) -> None:
        self._stack.close()

    def _is_due(self) -> bool:
        is_long_ago = time.monotonic() - self._claimed_at > self._uploads.lock_seconds / 3
        return self._offset_bytes - self._claimed_bytes >= CLAIM_BYTES or is_long_ago

    def _claim(self) -> None:
        """The last byte is claimed only at the end, together with what follows from it; nor is a piece that
        counts as a whole claimed by halves. But we say that we are still there."""
        self._claimed_at, self._claimed_bytes = time.monotonic(), self._offset_bytes
        if self._checksum is not None or self._offset_bytes == self._held.size_bytes:
            self._uploads.renew(self._held)
            return
        with _full_disk():
            mark = self._staged.sync(is_last=False)
        if mark.offset_bytes == self._held.offset_bytes:
            self._uploads.renew(self._held)
            return
        self._held = self._uploads.advance(self._held, mark.offset_bytes, mark.staging)
        self._remember()

    def _settle(self) -> None:
        with _full_disk():
            mark = self._staged.sync(is_last=True)
        if mark.offset_bytes < self._held.size_bytes:
            self._held = self._uploads.advance(self._held, mark.offset_bytes, mark.staging)
            self._remember()
            return
        self._digests.forget(self._held.id)
        self._held = self._uploads.advance(self._held, mark.offset_bytes, mark.staging, UploadState.FINISHING)
        self._finisher.finish(self._held, None if self._digest is None else self._digest.hexdigest())

    def _remember(self) -> None:
        # In S3 some of what was summed up is not claimed yet.
        if self._digest is not None and self._held.offset_bytes == self._offset_bytes:
            self._digests.keep(self._held.id, self._offset_bytes, self._digest)


@contextmanager
def _full_disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskTooSmall from None
        raise


async def _pour(chunks: AsyncIterator[bytes], piece: _Piece) -> bool:
    """Whether all of it came. Memory holds one block, however long the piece is."""
    buffer, is_whole = bytearray(), True
    try:
        async for chunk in chunks:
            buffer += chunk
            if len(buffer) >= BLOCK_BYTES:
                await run_sync(piece.add, bytes(buffer))
                buffer.clear()
    except ClientGone:
        is_whole = False
    if buffer:
        await run_sync(piece.add, bytes(buffer))
    return is_whole
