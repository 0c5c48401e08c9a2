"""The errors a user can cause or cure. HTTP status codes live in `service.api.errors` alone."""

from collections.abc import Iterable
from difflib import get_close_matches

from service.wording import shown

MOST_ECHOED = 200  # characters of what was asked for; more of it helps nobody


class NightshiftError(Exception):
    """Something a user can understand and act on.

    Each class has a stable `code`; `message` says what is wrong with what, `cure` what to do about it.
    """

    code = "error"

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.message} {self.cure}".strip()


class DatasetRejected(NightshiftError):
    """The whole dataset cannot be used: nothing of it is published.

    `code` names the fault (`empty-dataset`, `mixed-formats`, …), so it is given for each case.
    """

    def __init__(self, code: str, message: str, cure: str = "") -> None:
        super().__init__(message, cure)
        self.code = code


class LabelUnreadable(NightshiftError):
    """One label file or record cannot be read; `where` names the file and line or pointer."""

    code = "label-syntax"

    def __init__(self, where: str, problem: str, cure: str = "") -> None:
        super().__init__(f"{where}: {problem}", cure)
        self.where = where
        self.problem = problem


class NotFound(NightshiftError):
    """No such dataset, job, upload, frame or file."""

    code = "not-found"

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"There is no {what} {name[:MOST_ECHOED]!r}.")
        self.what = what
        self.name = name


class ObjectNotFound(NotFound):
    """The object store holds nothing under this key."""

    def __init__(self, key: str) -> None:
        super().__init__("stored object", key)


class ImageUnreadable(NightshiftError):
    """A stored image of which no smaller one can be made."""

    code = "unreadable-image"

    def __init__(self, frame_id: str) -> None:
        super().__init__(
            f"No thumbnail can be made of frame {frame_id[:MOST_ECHOED]!r}.",
            "Look at the image itself; ingest the dataset again if it is damaged.",
        )


class UnknownGenerator(NightshiftError):
    """No generator of this name is in the catalogue."""

    code = "unknown-generator"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        names = sorted(known)
        near = get_close_matches(name, names, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(names)}."
        super().__init__(f"There is no generator {name!r}.", hint)


class InvalidRequest(NightshiftError):
    """A request that is well formed but asks for something that makes no sense."""

    code = "invalid-request"


class UriNotAllowed(NightshiftError):
    """An import from anywhere but a folder that the operator has registered."""

    code = "uri-not-allowed"

    def __init__(self, uri: str) -> None:
        super().__init__(
            f"Nothing is imported from {shown(uri)}.",
            "Give s3://bucket/prefix/ of a bucket that this server's operator has registered.",
        )


class DatasetNotReady(NightshiftError):
    """A job asks for a dataset that is still being made, or was rejected."""

    code = "dataset-not-ready"

    def __init__(self, dataset_id: str, state: str) -> None:
        super().__init__(
            f"Dataset {dataset_id} is {state}, not ready.",
            "Wait for its ingest job to succeed."
            if state == "pending"
            else "Read its report, mend it and upload it again.",
        )


class IllegalTransition(NightshiftError):
    """A state change that the table of moves does not allow."""

    code = "illegal-transition"

    def __init__(self, what: str, state: str, wanted: str) -> None:
        super().__init__(f"{what} is {state}; it cannot become {wanted}.")


class IdempotencyMismatch(NightshiftError):
    """An `Idempotency-Key` came again with another request."""

    code = "idempotency-mismatch"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The Idempotency-Key {key!r} was used for another request.", "Use a new key for a new request."
        )


class IdempotencyInProgress(NightshiftError):
    """The first request with this `Idempotency-Key` has not been answered yet."""

    code = "idempotency-in-progress"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"The first request with the Idempotency-Key {key!r} is still going on.", "Try again soon."
        )


class Unauthorized(NightshiftError):
    """No API key, or none that is valid."""

    code = "unauthorized"

    def __init__(self, message: str = "An API key is needed.") -> None:
        super().__init__(message, "Send `Authorization: Bearer KEY`; here `nightshift key` shows it.")


class CrossSite(NightshiftError):
    code = "cross-site-request"

    def __init__(self) -> None:
        super().__init__(
            "The request was made by a page of another site.", "Open the page here and do it there."
        )


class InsufficientScope(NightshiftError):
    """The key is valid, but not for this."""

    code = "insufficient-scope"

    def __init__(self, missing: Iterable[str]) -> None:
        super().__init__(
            f"The API key lacks the scope {', '.join(sorted(missing))}.", "Use a key that has it, or ask."
        )


class TooManyRequests(NightshiftError):
    """More requests than a key, or failed ones than an address, may send in a time."""

    code = "too-many-requests"

    def __init__(self, what: str, retry_after_seconds: int) -> None:
        super().__init__(what, f"Try again in {retry_after_seconds} s.")
        self.retry_after_seconds = retry_after_seconds


class TooManyJobs(NightshiftError):
    """The tenant has as many jobs under way as it may have."""

    code = "too-many-jobs"
    retry_after_seconds = 30

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} jobs are queued or running, and no more may be.", "Wait for one to end, or cancel one."
        )


class BrokenCursor(NightshiftError):
    """A cursor that no page gave."""

    code = "validation-error"
    pointer = "/cursor"

    def __init__(self) -> None:
        super().__init__("The cursor is not valid.", "Use the next_cursor of a page, or none.")


class ForeignCursor(NightshiftError):
    """A cursor of another listing, or of another tenant."""

    code = "foreign-cursor"

    def __init__(self) -> None:
        super().__init__("The cursor is of another listing.", "Use the next_cursor of this one, or none.")


class InUse(NightshiftError):
    """What a job works on cannot be deleted."""

    code = "in-use"

    def __init__(self, what: str, job_id: str) -> None:
        super().__init__(f"{what} is used by job {job_id}.", "Wait until that has ended, or cancel it.")


class WebhooksOff(NightshiftError):
    """The operator has not allowed them."""

    code = "webhooks-off"

    def __init__(self) -> None:
        super().__init__(
            "This server calls no webhooks.", "NIGHTSHIFT_WEBHOOKS_ALLOWED=true on the server allows them."
        )


class WebhookRefused(NightshiftError):
    """A URL that must not be called: not by https, or not a public host."""

    code = "webhook-refused"

    def __init__(self, message: str) -> None:
        super().__init__(message, "Give a public host by https: https://hooks.example.com/nightshift")


class UploadTooLarge(NightshiftError):
    """More bytes than the server takes."""

    code = "upload-too-large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"The upload is larger than {limit_bytes:,} bytes.",
            "Split the dataset, or raise the server's limit.",
        )


class StorageQuotaExceeded(UploadTooLarge):
    """More bytes than the tenant may keep, those that are still to come included."""

    def __init__(self, limit_bytes: int, used_bytes: int) -> None:
        NightshiftError.__init__(
            self,
            f"{used_bytes:,} of {limit_bytes:,} bytes are in use; the upload does not fit into the rest.",
            "Delete what is no longer needed, or ask for a larger quota.",
        )


class StorageFull(NightshiftError):
    """A job would make a dataset, and the tenant has no room left for any."""

    code = "storage-full"

    def __init__(self, limit_bytes: int, used_bytes: int) -> None:
        super().__init__(
            f"{used_bytes:,} of {limit_bytes:,} bytes are in use; there is no room for another dataset.",
            "Delete uploads or datasets that are no longer needed, or ask for a larger quota.",
        )


class UploadIncomplete(NightshiftError):
    """A job asks for an upload of which pieces are still missing."""

    code = "upload-incomplete"

    def __init__(self, upload_id: str, offset_bytes: int, size_bytes: int) -> None:
        super().__init__(
            f"Of upload {upload_id} {offset_bytes:,} of {size_bytes:,} bytes are here.", "Send the rest."
        )


class NoSpaceLeft(NightshiftError):
    """The store's disk is full."""

    code = "insufficient-storage"

    def __init__(self) -> None:
        super().__init__(
            "The server's disk is full; nothing of the upload was kept.", "Free space and upload again."
        )


class Unavailable(NightshiftError):
    """The database, the store or the broker does not answer: for a while, as a rule."""

    code = "unavailable"
    retry_after_seconds = 5

    def __init__(self, what: str) -> None:
        super().__init__(f"The {what} does not answer.", "Try again soon.")
        self.what = what
