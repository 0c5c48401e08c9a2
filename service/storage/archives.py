"""Zip archives, read by member and written as a stream. Nothing is ever extracted by its own name."""

import errno
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from zipstream import ZIP_STORED, ZipStream

from service.errors import DatasetRejected
from service.storage.object_store import ObjectStore

MIN_ZIP_BYTES = 22  # an empty archive: the end-of-directory record alone
# What reading a damaged archive raises, beside a ValueError or OSError for places that are not in the file.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error)


class Archive:
    """The members of one uploaded zip, opened by name from its own directory table."""

    def __init__(self, file: BinaryIO) -> None:
        self._zip = _open_zip(file)
        self._members = {_posix(info.filename): info for info in self._zip.infolist() if not info.is_dir()}
        _refuse_unusable(self._zip.infolist(), self._members)

    @property
    def names(self) -> list[str]:
        return list(self._members)

    def open(self, name: str) -> BinaryIO:
        with _naming(name):
            return self._zip.open(self._members[name])  # type: ignore[return-value]

    def read(self, name: str) -> bytes:
        """Raises:
        DatasetRejected: `corrupt-archive`, naming the member.
        """
        with _naming(name):
            return self._zip.read(self._members[name])


@contextmanager
def open_archive(store: ObjectStore, key: str) -> Iterator[Archive]:
    """Raises:
    DatasetRejected: also for damage that shows only while a member is read piece by piece.
    """
    with store.open(key) as file:
        try:
            yield Archive(file)
        except DAMAGE as error:
            raise _corrupt(f"The zip archive is damaged: {error}.") from error


@contextmanager
def _naming(member: str) -> Iterator[None]:
    try:
        yield
    except (*DAMAGE, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's or the network's fault, not the archive's
        raise _corrupt(f"The archive's member {member!r} is damaged ({error}).") from error


def _corrupt(message: str) -> DatasetRejected:
    return DatasetRejected("corrupt-archive", message, "It may be cut off; upload it again.")


def stream_zip(members: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """A zip as it is sent: images do not compress, so members are stored as they are.

    `members`: name in the archive and the chunks of its content, read only when their turn comes.
    """
    stream = ZipStream(compress_type=ZIP_STORED)
    for name, chunks in members:
        stream.add(chunks, name)
        yield from stream.all_files()
    yield from stream.finalize()


def _open_zip(file: BinaryIO) -> zipfile.ZipFile:
    size_bytes = file.seek(0, 2)
    file.seek(0)
    if size_bytes == 0:
        raise DatasetRejected("empty-archive", "The upload is empty.", "Upload a zip of your dataset.")
    magic = file.read(4)
    if magic not in (b"PK\x03\x04", b"PK\x05\x06"):
        raise DatasetRejected(
            "unrecognised-format", "The upload is not a zip archive.", "Upload a folder, or a zip of it."
        )
    try:
        return zipfile.ZipFile(file)
    except (*DAMAGE, ValueError) as error:
        raise _corrupt(f"The zip archive cannot be read: {error}.") from error


def _refuse_unusable(infos: list[zipfile.ZipInfo], members: dict[str, zipfile.ZipInfo]) -> None:
    files = [info for info in infos if not info.is_dir()]
    if len(files) != len(members):
        seen: set[str] = set()
        double = next(n for n in (_posix(i.filename) for i in files) if n in seen or seen.add(n))  # type: ignore[func-returns-value]
        raise DatasetRejected(
            "duplicate-name",
            f"The archive holds {double!r} twice.",
            "Which one is meant is unknowable; keep one.",
        )
    for info in files:
        if info.flag_bits & 0x1:
            raise DatasetRejected(
                "encrypted-archive",
                f"The archive's member {info.filename!r} is encrypted.",
                "Upload it without a password.",
            )
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DatasetRejected(
                "unsupported-compression",
                f"The archive's member {info.filename!r} is packed in a way that is not supported.",
                "Use plain zip (stored or deflated).",
            )


def _posix(name: str) -> str:
    """Below the archive's root, however a program spelt it: no leading slash, no backslash."""
    return name.replace("\\", "/").lstrip("/")
