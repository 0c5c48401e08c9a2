"""The object store as a worker's child uses it: whoever reads and writes is not stuck, and says so."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from service.storage.object_store import ObjectStore


class WatchedStore(ObjectStore):
    """The same store, which calls `tell` whenever something of it was read or written. Planning a hundred
    thousand frames, or fetching them, is silent otherwise for minutes.
    """

    def __init__(self, store: ObjectStore, tell: Callable[[], None]) -> None:
        vars(self).update(vars(store))
        self._tell = tell

    def read(self, key: str) -> bytes:
        self._tell()
        return super().read(key)

    def read_range(self, key: str, start_byte: int, stop_byte: int) -> bytes:
        self._tell()
        return super().read_range(key, start_byte, stop_byte)

    def write(self, key: str, data: bytes) -> None:
        super().write(key, data)
        self._tell()

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        with super().open(key) as file:
            yield cast(BinaryIO, _WatchedFile(file, self._tell))

    def fetch(self, key: str, path: Path) -> None:
        super().fetch(key, path)
        self._tell()

    def exists(self, key: str) -> bool:
        self._tell()
        return super().exists(key)


class _WatchedFile:
    """A file that tells of every read. A zip, and what is in it, is read through it too."""

    def __init__(self, file: BinaryIO, tell: Callable[[], None]) -> None:
        self._file, self._tell = file, tell

    def read(self, size: int = -1) -> bytes:
        self._tell()
        return self._file.read(size)

    def __iter__(self) -> Iterator[bytes]:
        for line in self._file:
            self._tell()
            yield line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
