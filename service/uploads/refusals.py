"""What is refused of an upload that comes in pieces, and why."""

from collections.abc import Iterable

from service.errors import NightshiftError, NoSpaceLeft


class InvalidUpload(NightshiftError):
    """What a client says about an upload is missing, malformed or not allowed."""

    code = "invalid-upload"


class UnsupportedTusVersion(NightshiftError):
    code = "unsupported-tus-version"

    def __init__(self, version: str) -> None:
        super().__init__(
            "The request names no version of tus that is spoken here.", f"Send Tus-Resumable: {version}."
        )


class OffsetMismatch(NightshiftError):
    """A piece that does not begin where the upload ends; `offset_bytes` is where that is."""

    code = "offset-mismatch"

    def __init__(self, offset_bytes: int) -> None:
        super().__init__(f"The upload has {offset_bytes:,} bytes so far.", "Go on from there.")
        self.offset_bytes = offset_bytes


class MoreThanAnnounced(NightshiftError):
    """Bytes beyond the announced length; they are not kept."""

    code = "upload-too-large"

    def __init__(self, size_bytes: int) -> None:
        super().__init__(
            f"The upload was announced with {size_bytes:,} bytes; more came.", "Announce all of them."
        )
        self.max_allowed = size_bytes


class UploadLocked(NightshiftError):
    """Somebody else is sending a piece of this upload."""

    code = "upload-locked"
    retry_after_seconds = 2

    def __init__(self) -> None:
        super().__init__(
            "Another request is sending to this upload.", "Ask for its offset again in a moment."
        )


class UploadIsComplete(NightshiftError):
    code = "upload-complete"

    def __init__(self) -> None:
        super().__init__("The upload is complete; nothing can be added to it.")


class UploadGone(NightshiftError):
    """It was terminated, has expired, or was removed after its time."""

    code = "upload-gone"

    def __init__(self, state: str) -> None:
        super().__init__(f"The upload is {state}.", "Begin a new one.")


class ChecksumMismatch(NightshiftError):
    """A piece does not sum up to what its sender said; nothing of it was kept."""

    code = "checksum-mismatch"

    def __init__(self, algorithm: str) -> None:
        super().__init__(
            f"The piece has another {algorithm} than announced; it was not kept.", "Send it again."
        )


class UnknownChecksum(NightshiftError):
    code = "unknown-checksum"

    def __init__(self, known: Iterable[str]) -> None:
        super().__init__("Checksums of this kind are not known here.", f"There are: {', '.join(known)}.")


class DigestMismatch(NightshiftError):
    """The whole upload has another SHA-256 than its client announced."""

    code = "digest-mismatch"

    def __init__(self) -> None:
        super().__init__(
            "The upload has another SHA-256 than announced; it was not kept.",
            "Upload the file again, as a new upload.",
        )


class DiskTooSmall(NoSpaceLeft):
    """Not enough room for what an upload has announced, those that are under way counted in."""

    def __init__(self) -> None:
        NightshiftError.__init__(
            self, "The server's disk has no room for the upload.", "Free space and try again."
        )
