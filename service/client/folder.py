"""A folder or zip on its way to the server, and an archive on its way into a folder."""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from zipstream import ZIP_STORED, ZipStream

from service.errors import InvalidRequest

WANTED_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".json", ".txt", ".yaml", ".yml"})


class UploadSource:
    """What is sent: a zip as it is, or a folder as a zip made on the way (images do not compress anyway).

    As long as nothing in it changes a folder makes the same bytes each time, so that an upload can go on in
    the midst of them. `skipped` counts the files of a folder that are neither images nor labels.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped = 0
        self._members: list[Path] | None = None
        if path.is_file():
            self.filename = path.name
            self.size_bytes = path.stat().st_size
        elif path.is_dir():
            self.filename = f"{path.resolve().name}.zip"
            self._members = self._wanted(path)
            self.size_bytes = len(self._zip(self._members))
        else:
            raise InvalidRequest(
                f"There is no file or folder {str(path)!r}.", "Name a folder of images, or a zip."
            )

    def chunks(self, start: int = 0, block_bytes: int = 1 << 20) -> Iterator[bytes]:
        """From `start` on. A zip is made from its beginning all the same: it ends with sums of every file."""
        if self._members is None:
            yield from self._file_chunks(start, block_bytes)
            return
        position = 0
        for chunk in self._zip(self._members):
            position += len(chunk)
            if position > start:
                yield chunk[max(0, len(chunk) - (position - start)) :]

    def fingerprint(self) -> list[Any]:
        """Changes with any file's name, size or time."""
        members = [self.path] if self._members is None else self._members
        facts = [(path, path.stat()) for path in members]
        root = str(self.path.resolve())
        return [root, *([str(path), stat.st_size, stat.st_mtime_ns] for path, stat in facts)]

    def _file_chunks(self, start: int, block_bytes: int) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            file.seek(start)
            while chunk := file.read(block_bytes):
                yield chunk

    def _zip(self, members: Sequence[Path]) -> ZipStream:
        stream = ZipStream(compress_type=ZIP_STORED, sized=True)
        for path in members:
            stream.add_path(str(path), path.relative_to(self.path).as_posix())
        return stream

    def _wanted(self, folder: Path) -> list[Path]:
        wanted = []
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder)
            if not path.is_file() or any(part.startswith(".") for part in relative.parts):
                continue
            if path.suffix.lower() in WANTED_SUFFIXES:
                wanted.append(path)
            else:
                self.skipped += 1
        if not wanted:
            raise InvalidRequest(
                f"The folder {str(folder)!r} holds neither images nor labels.",
                "Name the folder that holds images (JPEG, PNG) and their labels.",
            )
        return wanted


def refuse_used(folder: Path) -> None:
    """Raises:
    InvalidRequest: the folder holds something already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidRequest(f"{str(folder)!r} is not an empty folder.", "Name another one, or empty it.")


def unpack(archive: Path, folder: Path) -> None:
    """Raises:
    InvalidRequest: a member would land outside the folder.
    """
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            name = PurePosixPath(info.filename)
            if name.is_absolute() or ".." in name.parts:
                raise InvalidRequest(
                    f"The archive has an unsafe name: {info.filename!r}.", "Do not unpack it."
                )
            target = folder.joinpath(*name.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with file.open(info) as source, target.open("wb") as out:
                while chunk := source.read(1 << 20):
                    out.write(chunk)
