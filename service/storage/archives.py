"""Zip archives, read by member and written as a stream. Nothing is ever extracted by its own name."""

import errno
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from zipstream import ZIP_STORED, ZipStream

from service.errors import DatasetRejected
from service.storage.object_store import ObjectStore
from service.storage.zip_directory import (
    LOCAL_HEADER,
    Doorkeeper,
    is_guessed,
    member_name,
    name_bytes,
    refuse_disagreement,
    refuse_unfit,
)
from service.wording import shown

MIN_ZIP_BYTES = 22  # an empty archive: the end-of-directory record alone
CHUNK_BYTES = 1 << 20
# What reading a damaged archive raises, beside a ValueError or OSError for places that are not in the file.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error)


class Archive:
    """The members of one uploaded zip, opened by name from its own directory table.

    Args:
        max_bytes: how much all members together may unfold to.
    """

    def __init__(self, file: BinaryIO, max_bytes: int = sys.maxsize) -> None:
        self._file = file
        self._zip = _open_zip(file)
        infos = self._zip.infolist()
        refuse_unfit(infos, self._zip.start_dir, max_bytes)
        self._members = {member_name(info): info for info in infos if not info.is_dir()}

    @property
    def names(self) -> list[str]:
        return list(self._members)

    @property
    def guessed_names(self) -> list[str]:
        """Those of which the archive does not say how they are encoded."""
        return [name for name, info in self._members.items() if is_guessed(info)]

    def size_bytes(self, name: str) -> int:
        """Unpacked, as the directory says: no more than that is ever inflated."""
        return self._members[name].file_size

    def open(self, name: str) -> BinaryIO:
        """Raises:
        DatasetRejected: `corrupt-archive` or `archive-inconsistent`, naming the member.
        """
        info = self._members[name]
        with _naming(name):
            refuse_disagreement(*self._local_header(info), info)
            return self._zip.open(info)  # type: ignore[return-value]

    def read(self, name: str) -> bytes:
        """In pieces, so that a member that is larger than its directory says is never inflated whole.

        Raises:
            DatasetRejected: as `open` does.
        """
        with self.open(name) as stream, _naming(name):
            return b"".join(iter(lambda: stream.read(CHUNK_BYTES), b""))

    def _local_header(self, info: zipfile.ZipInfo) -> tuple[bytes, bytes]:
        # Members are read by several threads, and zipfile's own reads move the same file under this lock.
        with self._zip._lock:  # type: ignore[attr-defined]
            self._file.seek(info.header_offset)
            return self._file.read(LOCAL_HEADER.size), self._file.read(len(name_bytes(info)))


@contextmanager
def open_archive(store: ObjectStore, key: str, max_bytes: int = sys.maxsize) -> Iterator[Archive]:
    """Raises:
    DatasetRejected: also for damage that shows only while a member is read piece by piece.
    """
    with store.open(key) as file:
        try:
            yield Archive(file, max_bytes)
        except DAMAGE as error:
            raise _corrupt(f"The zip archive is damaged: {shown(str(error))}.") from error


@contextmanager
def _naming(member: str) -> Iterator[None]:
    try:
        yield
    except (*DAMAGE, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # the disk's or the network's fault, not the archive's
        raise _corrupt(f"The archive's member {shown(member)} is damaged ({shown(str(error))}).") from error


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
    keeper = Doorkeeper(file)
    try:
        archive = zipfile.ZipFile(keeper)
    except (*DAMAGE, ValueError) as error:
        raise _corrupt(f"The zip archive cannot be read: {shown(str(error))}.") from error
    keeper.is_opening = False
    return archive
