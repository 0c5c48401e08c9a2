"""Zip archives, read by member and written as a stream. Nothing is ever extracted by its own name."""

import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from zipstream import ZIP_STORED, ZipStream

from service.errors import DatasetRejected
from service.storage.object_store import ObjectStore

MIN_ZIP_BYTES = 22  # an empty archive: the end-of-directory record alone


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
        return self._zip.open(self._members[name])  # type: ignore[return-value]

    def read(self, name: str) -> bytes:
        """Raises:
        DatasetRejected: `corrupt-archive`, naming the member.
        """
        try:
            return self._zip.read(self._members[name])
        except (zipfile.BadZipFile, EOFError, OSError) as error:
            raise DatasetRejected(
                "corrupt-archive", f"The archive's member {name!r} is damaged ({error}).", "Upload it again."
            ) from error


@contextmanager
def open_archive(store: ObjectStore, key: str) -> Iterator[Archive]:
    with store.open(key) as file:
        yield Archive(file)


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
    except zipfile.BadZipFile as error:
        raise DatasetRejected(
            "corrupt-archive",
            f"The zip archive cannot be read: {error}.",
            "It may be cut off; upload it again.",
        ) from error


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
    return name.replace("\\", "/")
