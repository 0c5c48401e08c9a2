"""Where the pieces of an upload lie until all are there. What is durable is found again by its row alone."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from service.errors import NightshiftError
from service.uploads.incoming import Incoming


@dataclass(frozen=True, slots=True)
class Mark:
    """So many bytes survive a power cut, and that is how they are found."""

    offset_bytes: int
    staging: dict[str, Any]


class StagedBytesLost(NightshiftError):
    """The store has less of the upload than its row says: somebody removed it."""

    code = "upload-gone"


class Staged(Protocol):
    """What one request adds to an upload."""

    def resume(self, held: Incoming) -> None:
        """Go on where the row says; what lies beyond that was never claimed.

        Raises:
            StagedBytesLost: less is there.
        """

    def write(self, block: bytes) -> None: ...

    def sync(self, *, is_last: bool) -> Mark:
        """How far everything is durable. `is_last`: no more is written, so it has to be all of it."""


class Staging(Protocol):
    knows_the_dead: bool
    """Whether `open` succeeds only if no other process is writing, whatever the row's lock says."""

    def open(self, upload_id: str) -> AbstractContextManager[Staged]:
        """Raises:
        UploadLocked: another request is writing to it.
        """

    def finish(self, held: Incoming) -> None:
        """Make the object; it may have been made before."""

    def discard(self, upload: Incoming) -> None:
        """Remove every piece; that none is there is fine."""

    def free_bytes(self) -> int | None:
        """What fits into the store; None: nobody knows."""
