"""Bytes by key: on a disk, in S3 or in memory, through fsspec."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import fsspec
from fsspec.implementations.dirfs import DirFileSystem

from service.errors import ObjectNotFound
from service.settings import Settings
from service.storage.durability import sync_filesystem, sync_folder
from service.storage.multipart import Multipart
from service.storage.s3 import Links, open_s3

COPY_BLOCK_BYTES = 1 << 20
PENDING_SUFFIX = ".pending-"


class ObjectStore:
    """A key is a posix path below one root. An object appears whole or not at all.

    On a disk that is a temporary file and a rename; S3 shows an object only once it is complete.
    """

    def __init__(self, filesystem: Any, root: str, links: Links | None = None) -> None:
        self._files = DirFileSystem(path=root, fs=filesystem)
        self._renames = bool({"file", "memory"} & set(_names(filesystem.protocol)))
        self._folder = Path(root) if "file" in _names(filesystem.protocol) else None
        self._multipart = Multipart(filesystem, root) if "s3" in _names(filesystem.protocol) else None
        self._links = links
        # A folder is made once, not looked for at every write.
        self._folders: set[str] = set()

    @property
    def folder(self) -> Path | None:
        """Where the objects lie as files, if they do."""
        return self._folder

    @property
    def multipart(self) -> Multipart | None:
        """To make objects of parts, where the store is S3."""
        return self._multipart

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
                with suppress(Exception):  # the sweep of orphaned parts takes what stays
                    file.discard()
                raise
            self._complete(file)
            return
        self._make_folder(key)
        pending = f"{key}{PENDING_SUFFIX}{uuid.uuid4().hex[:8]}"
        try:
            with self._files.open(pending, "wb") as file:
                yield cast(BinaryIO, file)
                self._settle_file(file)
            self._rename(pending, key)
            self._settle_folders(key)
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

    def presigned(self, key: str, media_type: str, disposition: str) -> str | None:
        """An address where whoever has it can read the object for a while, with this type and disposition;
        None where the store hands out none.
        """
        return None if self._links is None else self._links.make(key, media_type, disposition)

    def exists(self, key: str) -> bool:
        return bool(self._files.exists(key))

    def size_bytes(self, key: str) -> int:
        try:
            return int(self._files.size(key))
        except FileNotFoundError:
            raise ObjectNotFound(key) from None

    def size_below(self, prefix: str) -> int:
        """Bytes of every object below a prefix: what a listing says, no object is asked by itself."""
        found = cast(dict[str, dict[str, Any]], self._files.find(prefix, detail=True))
        return sum(int(each["size"]) for key, each in found.items() if PENDING_SUFFIX not in key)

    def keys(self, prefix: str) -> list[str]:
        """Every object below a prefix, sorted."""
        found = cast(list[str], self._files.find(prefix))
        return sorted(key for key in found if PENDING_SUFFIX not in key)

    def delete(self, prefix: str) -> None:
        """Remove an object, or everything below a prefix; nothing there is fine."""
        if self._files.exists(prefix):
            self._files.rm(prefix, recursive=True)

    def sync(self) -> None:
        """Everything written so far survives a power cut. What `writing` wrote does so by itself; the small
        files of `write` are many, and cost a tenth of it when they are settled together.
        """
        if self._folder is not None:
            sync_filesystem(self._folder)

    def _complete(self, file: Any) -> None:
        """The parts become an object; what is smaller than a part is sent in one piece."""
        if file.tell() < file.blocksize:
            file.autocommit = True
        try:
            file.close()
            if not file.autocommit:
                file.commit()
        except FileNotFoundError:
            # It was done, the answer got lost, and for the second try there were no parts any more.
            if not self._is_made_of(file.path, file.tell(), len(file.parts or ())):
                raise
        except BaseException:
            with suppress(Exception):  # the sweep of orphaned parts takes what stays
                file.discard()
            raise

    def _is_made_of(self, path: str, size_bytes: int, parts: int) -> bool:
        """Whether an object of so many parts is there; S3 counts them in its tag."""
        found = self._files.fs.info(path)
        return found["size"] == size_bytes and str(found["ETag"]).strip('"').endswith(f"-{parts}")

    def _rename(self, pending: str, key: str) -> None:
        """fsspec would copy where a rename fails, and a disk that fills up would leave half an object."""
        if self._folder is not None:
            os.replace(self._folder / pending, self._folder / key)  # noqa: PTH105 - as in `write`
        else:
            self._files.mv(pending, key)

    def _settle_file(self, file: Any) -> None:
        """Its bytes come before its name: a power cut must not leave a whole name with half the bytes."""
        if self._folder is not None:
            file.flush()
            os.fsync(file.fileno())

    def _settle_folders(self, key: str) -> None:
        if self._folder is not None:
            for folder in Path(key).parents:
                sync_folder(self._folder / folder)

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


def open_store(settings: Settings, attempts: int = 0) -> ObjectStore:
    """The store that the settings name. `attempts`: how often a call to S3 is made until it is given up, if
    not so often as the settings say.
    """
    if settings.store.startswith("s3://"):
        root = settings.store.removeprefix("s3://").rstrip("/")
        links = Links(settings, root) if settings.presign_downloads else None
        return ObjectStore(open_s3(settings, attempts), root, links)
    filesystem, root = fsspec.core.url_to_fs(settings.store)
    if "file" in _names(filesystem.protocol):
        filesystem.makedirs(root, exist_ok=True)
    return ObjectStore(filesystem, root)
