"""Pieces in one file of the store's own disk. It is locked while a request writes to it: the system takes the
lock from a process that has died, so that its client can go on at once.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.storage import keys
from service.storage.durability import sync_folder
from service.storage.object_store import ObjectStore
from service.uploads.incoming import Incoming
from service.uploads.refusals import UploadLocked
from service.uploads.staging import Mark, StagedBytesLost


class DiskStaging:
    knows_the_dead = True

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        """`folder`: the store's own, unless it keeps its objects elsewhere."""
        self._store = store
        self._folder = folder

    @contextmanager
    def open(self, upload_id: str) -> Iterator["StagedFile"]:
        path = self._path(upload_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        file, is_new = _opened(path)
        staged = StagedFile(path, file)
        try:
            _lock(file, path)
            try:
                yield staged
            finally:
                if is_new and not staged.is_resumed:  # it turned out that nothing may be added
                    path.unlink(missing_ok=True)
        finally:
            os.close(file)

    def finish(self, held: Incoming) -> None:
        path, key = self._path(held.id), keys.upload(held.id)
        if held.size_bytes == 0:
            self._store.write(key, b"")
        elif path.exists() and path.stat().st_size == held.size_bytes:
            self._move(path, key)
        elif not self._store.exists(key) or self._store.size_bytes(key) != held.size_bytes:
            raise _lost()

    def discard(self, upload: Incoming) -> None:
        self._path(upload.id).unlink(missing_ok=True)

    def free_bytes(self) -> int | None:
        return shutil.disk_usage(self._folder).free

    def _path(self, upload_id: str) -> Path:
        return self._folder / keys.incoming(upload_id)

    def _move(self, path: Path, key: str) -> None:
        if self._store.folder is None:
            with path.open("rb") as source, self._store.writing(key) as target:
                while block := source.read(1 << 20):
                    target.write(block)
            path.unlink()
            return
        target_path = self._store.folder / key
        target_path.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target_path)
        sync_folder(target_path.parent)


class StagedFile:
    def __init__(self, path: Path, file: int) -> None:
        self._path = path
        self._file = file
        self.is_resumed = False
        self._offset_bytes = 0
        self._staging: dict[str, object] = {}

    def resume(self, held: Incoming) -> None:
        if os.fstat(self._file).st_size < held.offset_bytes:
            raise _lost()
        os.ftruncate(self._file, held.offset_bytes)
        os.lseek(self._file, held.offset_bytes, os.SEEK_SET)
        if held.offset_bytes == 0:
            sync_folder(self._path.parent)  # its name must outlive a power cut, too
        self._offset_bytes, self._staging = held.offset_bytes, held.staging
        self.is_resumed = True

    def write(self, block: bytes) -> None:
        left = memoryview(block)
        while left:
            left = left[os.write(self._file, left) :]
        self._offset_bytes += len(block)

    def sync(self, *, is_last: bool) -> Mark:  # noqa: ARG002 - a disk can be asked at any time
        _fdatasync(self._file)
        return Mark(self._offset_bytes, self._staging)


def _opened(path: Path) -> tuple[int, bool]:
    """The file, and whether it was made just now."""
    try:
        return os.open(path, os.O_RDWR), False
    except FileNotFoundError:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o600), True


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had the lock before us may have moved or removed the file that we opened.
        if os.path.samestat(os.fstat(file), path.stat()):
            return
    except (BlockingIOError, FileNotFoundError):
        pass
    raise UploadLocked


def _fdatasync(file: int) -> None:
    # macOS has no fdatasync.
    getattr(os, "fdatasync", os.fsync)(file)


def _lost() -> StagedBytesLost:
    return StagedBytesLost("What had come of the upload is no longer there.", "Begin a new one.")
