"""Bytes by key: on a disk, in S3 or in memory, through fsspec."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import fsspec
from fsspec.implementations.dirfs import DirFileSystem

from service.errors import ObjectNotFound
from service.settings import Settings

COPY_BLOCK_BYTES = 1 << 20
PENDING_SUFFIX = ".pending-"


class ObjectStore:
    """A key is a posix path below one root. An object appears whole or not at all.

    On a disk that is a temporary file and a rename; S3 shows an object only once it is complete.
    """

    def __init__(self, filesystem: Any, root: str) -> None:
        self._files = DirFileSystem(path=root, fs=filesystem)
        self._renames = bool({"file", "memory"} & set(_names(filesystem.protocol)))
        self._folder = Path(root) if "file" in _names(filesystem.protocol) else None
        # A folder is made once, not looked for at every write.
        self._folders: set[str] = set()

    def read(self, key: str) -> bytes:
        try:
            return cast(bytes, self._files.cat_file(key))
        except FileNotFoundError:
            raise ObjectNotFound(key) from None

    def read_range(self, key: str, start_byte: int, stop_byte: int) -> bytes:
        try:
            return cast(bytes, self._files.cat_file(key, start=start_byte, end=stop_byte))
        except FileNotFoundError:
            raise ObjectNotFound(key) from None

    def write(self, key: str, data: bytes) -> None:
        if self._folder is not None:
            self._write_to_disk(self._folder / key, data)
        elif self._renames:
            with self.writing(key) as file:
                file.write(data)
        else:
            self._files.pipe_file(key, data)

    @contextmanager
    def writing(self, key: str) -> Iterator[BinaryIO]:
        """A file to write to; the object appears when the block ends, and not at all when it raises."""
        if not self._renames:
            file = self._files.open(key, "wb", autocommit=False)
            try:
                yield cast(BinaryIO, file)
            except BaseException:
                file.discard()
                raise
            file.close()
            file.commit()
            return
        self._make_folder(key)
        pending = f"{key}{PENDING_SUFFIX}{uuid.uuid4().hex[:8]}"
        try:
            with self._files.open(pending, "wb") as file:
                yield cast(BinaryIO, file)
            self._files.mv(pending, key)
        except BaseException:
            if self._files.exists(pending):
                self._files.rm_file(pending)
            raise

    @contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """A seekable stream; reads of ranges do not fetch the whole object."""
        try:
            file = self._files.open(key, "rb")
        except FileNotFoundError:
            raise ObjectNotFound(key) from None
        with file:
            yield cast(BinaryIO, file)

    def lines(self, key: str) -> Iterator[bytes]:
        """The lines of a text object, without their ends, in constant memory."""
        with self.open(key) as file:
            for line in file:
                yield line.rstrip(b"\n")

    def fetch(self, key: str, path: Path) -> None:
        """Makes an object readable at a path: a link where it lies on this disk already, else a copy."""
        if self._folder is not None:
            if not (self._folder / key).exists():
                raise ObjectNotFound(key)
            path.symlink_to(self._folder / key)
            return
        with path.open("wb") as target:
            self.copy_into(key, target)

    def copy_into(self, key: str, target: IO[bytes]) -> None:
        with self.open(key) as source:
            shutil.copyfileobj(source, target, COPY_BLOCK_BYTES)

    def exists(self, key: str) -> bool:
        return bool(self._files.exists(key))

    def size_bytes(self, key: str) -> int:
        try:
            return int(self._files.size(key))
        except FileNotFoundError:
            raise ObjectNotFound(key) from None

    def keys(self, prefix: str) -> list[str]:
        """Every object below a prefix, sorted."""
        found = cast(list[str], self._files.find(prefix))
        return sorted(key for key in found if PENDING_SUFFIX not in key)

    def delete(self, prefix: str) -> None:
        """Remove an object, or everything below a prefix; nothing there is fine."""
        if self._files.exists(prefix):
            self._files.rm(prefix, recursive=True)

    def _write_to_disk(self, path: Path, data: bytes) -> None:
        """Two small files for every frame: the plain calls cost a third of what they cost through fsspec."""
        pending = f"{path}{PENDING_SUFFIX}{uuid.uuid4().hex[:8]}"
        folder = str(path.parent)
        if folder not in self._folders:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)
        try:
            with open(pending, "wb") as file:  # noqa: PTH123 - as said: the plain call
                file.write(data)
            os.replace(pending, path)  # noqa: PTH105
        except BaseException:
            Path(pending).unlink(missing_ok=True)
            raise

    def _make_folder(self, key: str) -> None:
        folder = key.rpartition("/")[0]
        if folder and folder not in self._folders:
            self._files.makedirs(folder, exist_ok=True)
            self._folders.add(folder)


def _names(protocol: str | tuple[str, ...]) -> tuple[str, ...]:
    return (protocol,) if isinstance(protocol, str) else protocol


def open_store(settings: Settings) -> ObjectStore:
    """The store that the settings name. Make it in the process that uses it: s3fs does not survive a fork."""
    options: dict[str, Any] = {}
    if settings.store.startswith("s3://"):
        options = {
            "key": settings.s3_key or None,
            "secret": settings.s3_secret.get_secret_value() or None,
            "endpoint_url": settings.s3_endpoint_url or None,
            "client_kwargs": {"region_name": settings.s3_region},
            "skip_instance_cache": True,
            # Another process's writes must be seen, and the truth is in the database anyway.
            "use_listings_cache": False,
            "default_block_size": 8 * 2**20,
            "max_concurrency": 4,
            "config_kwargs": {
                "signature_version": "s3v4",
                "s3": {"addressing_style": "path"},
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
            },
        }
    filesystem, root = fsspec.core.url_to_fs(settings.store, **options)
    if "file" in _names(filesystem.protocol):
        filesystem.makedirs(root, exist_ok=True)
    return ObjectStore(filesystem, root)
