"""What a client says that a piece sums up to: `sha256 <base64>`."""

import base64
import binascii
import hashlib
import hmac
import zlib
from collections.abc import Callable
from typing import Protocol

from service.uploads.refusals import ChecksumMismatch, InvalidUpload, UnknownChecksum


class Sum(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class Crc32:
    """As tus writes it: four bytes, the highest first."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(4, "big")


def _hash(name: str) -> Callable[[], Sum]:
    # They find what the line has damaged; against those who mean harm there are the key and TLS.
    return lambda: hashlib.new(name, usedforsecurity=False)


ALGORITHMS: dict[str, Callable[[], Sum]] = {
    "sha1": _hash("sha1"),
    "sha256": _hash("sha256"),
    "md5": _hash("md5"),
    "crc32": Crc32,
}


class Checksum:
    """Sums up a piece while it comes in."""

    def __init__(self, announced: str) -> None:
        """Raises:
        UnknownChecksum: there is no such algorithm.
        InvalidUpload: what was announced is no checksum at all.
        """
        self.algorithm, _, text = announced.partition(" ")
        if self.algorithm not in ALGORITHMS:
            raise UnknownChecksum(ALGORITHMS)
        self._sum = ALGORITHMS[self.algorithm]()
        try:
            self._expected = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidUpload("The checksum is not in base64.") from None
        if len(self._expected) != len(self._sum.digest()):
            raise InvalidUpload(f"The checksum is too short or too long for {self.algorithm}.")

    def update(self, data: bytes) -> None:
        self._sum.update(data)

    def check(self) -> None:
        """Raises:
        ChecksumMismatch: something else came.
        """
        if not hmac.compare_digest(self._sum.digest(), self._expected):
            raise ChecksumMismatch(self.algorithm)
