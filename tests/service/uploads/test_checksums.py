"""A piece sums up to what its sender said, or is refused."""

import base64
import hashlib
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.uploads.checksums import ALGORITHMS, Checksum
from service.uploads.refusals import ChecksumMismatch, InvalidUpload, UnknownChecksum

BY_HAND: dict[str, Callable[[bytes], bytes]] = {
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
    "md5": lambda data: hashlib.md5(data, usedforsecurity=False).digest(),
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
}


def told(algorithm: str, digest: bytes) -> str:
    return f"{algorithm} {base64.b64encode(digest).decode()}"


@given(st.sampled_from(sorted(ALGORITHMS)), st.lists(st.binary(max_size=50)))
def test_pieces_sum_up_to_the_whole(algorithm: str, pieces: list[bytes]) -> None:
    checksum = Checksum(told(algorithm, BY_HAND[algorithm](b"".join(pieces))))
    for piece in pieces:
        checksum.update(piece)
    checksum.check()


@given(st.sampled_from(sorted(ALGORITHMS)), st.binary(min_size=1, max_size=50), st.data())
def test_one_changed_byte_is_found(algorithm: str, data: bytes, draw: st.DataObject) -> None:
    checksum = Checksum(told(algorithm, BY_HAND[algorithm](data)))
    place = draw.draw(st.integers(0, len(data) - 1))
    checksum.update(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(ChecksumMismatch, match=algorithm):
        checksum.check()


@pytest.mark.parametrize("announced", ["", "sha512 AAAA", "SHA1 AAAA", "sha1AAAA"])
def test_an_algorithm_that_is_not_known_is_refused_with_those_that_are(announced: str) -> None:
    with pytest.raises(UnknownChecksum, match="sha1, sha256, md5, crc32"):
        Checksum(announced)


@pytest.mark.parametrize("announced", ["sha1 ÄÖ", "sha1 a===", "sha1 not base64"])
def test_a_checksum_that_is_not_base64_is_refused(announced: str) -> None:
    with pytest.raises(InvalidUpload, match="base64"):
        Checksum(announced)
