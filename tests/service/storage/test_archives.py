"""Archives: read by member, refused with a reason, written as a stream."""

import io
import zipfile
from collections.abc import Callable

import pytest

from service.errors import DatasetRejected
from service.storage.archives import Archive, stream_zip


def zip_of(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    buffer.seek(0)
    return buffer


def with_duplicate() -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.jpg", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a.jpg", b"2")
    buffer.seek(0)
    return buffer


def encrypted() -> io.BytesIO:
    data = bytearray(zip_of({"a.jpg": b"1"}).getvalue())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag bit in the central directory
    return io.BytesIO(bytes(data))


def test_members_are_read_by_name() -> None:
    archive = Archive(zip_of({"images/a.jpg": b"pixels", "labels/a.txt": b"0 1 1 1 1"}))
    assert sorted(archive.names) == ["images/a.jpg", "labels/a.txt"]
    assert archive.read("images/a.jpg") == b"pixels"
    with archive.open("labels/a.txt") as file:
        assert file.read() == b"0 1 1 1 1"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: io.BytesIO(b""), "empty-archive"),
        (lambda: io.BytesIO(b"\xff\xd8\xff\xe0 a photo called day.zip"), "unrecognised-format"),
        (lambda: io.BytesIO(zip_of({"a": b"x" * 1000}).getvalue()[:-30]), "corrupt-archive"),
        (with_duplicate, "duplicate-name"),
        (encrypted, "encrypted-archive"),
        (lambda: zip_of({"a": b"x"}, zipfile.ZIP_LZMA), "unsupported-compression"),
    ],
)
def test_an_unusable_archive_is_refused_with_its_reason(make: Callable[[], io.BytesIO], code: str) -> None:
    with pytest.raises(DatasetRejected) as refused:
        Archive(make())
    assert refused.value.code == code
    assert refused.value.cure


def test_a_damaged_member_is_named() -> None:
    data = bytearray(zip_of({"good.jpg": b"good", "bad.jpg": b"b" * 500}, zipfile.ZIP_STORED).getvalue())
    data[data.index(b"b" * 500) + 100] ^= 0xFF
    archive = Archive(io.BytesIO(bytes(data)))
    assert archive.read("good.jpg") == b"good"
    with pytest.raises(DatasetRejected, match=r"bad\.jpg"):
        archive.read("bad.jpg")


def test_a_streamed_zip_holds_every_member() -> None:
    members = [(f"images/{number}.jpg", [bytes([number]) * 10, b"end"]) for number in range(50)]
    data = b"".join(stream_zip(iter(members)))
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in file.namelist()} == {
            name: b"".join(chunks) for name, chunks in members
        }


def test_a_streamed_zip_reads_a_member_only_when_its_turn_comes() -> None:
    read: list[str] = []

    def content(name: str):
        read.append(name)
        yield b"x"

    stream = stream_zip((name, content(name)) for name in ("a", "b"))
    next(stream)
    assert "b" not in read
