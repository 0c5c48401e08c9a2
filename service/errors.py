"""The errors a user can cause or cure. HTTP status codes live in `service.api.errors` alone."""

from collections.abc import Iterable
from difflib import get_close_matches


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
        super().__init__(f"There is no {what} {name!r}.")
        self.what = what
        self.name = name


class ObjectNotFound(NotFound):
    """The object store holds nothing under this key."""

    def __init__(self, key: str) -> None:
        super().__init__("stored object", key)


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


class UploadTooLarge(NightshiftError):
    """More bytes than the server takes."""

    code = "upload-too-large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"The upload is larger than {limit_bytes:,} bytes.",
            "Split the dataset, or raise the server's limit.",
        )


class NoSpaceLeft(NightshiftError):
    """The store's disk is full."""

    code = "insufficient-storage"

    def __init__(self) -> None:
        super().__init__(
            "The server's disk is full; nothing of the upload was kept.", "Free space and upload again."
        )
