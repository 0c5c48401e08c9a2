"""A folder or zip on its way to the server, and an archive on its way into a folder."""

import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from zipstream import ZIP_STORED, ZipStream

from service.errors import InvalidRequest

WANTED_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".json", ".txt", ".yaml", ".yml"})


class UploadSource:
    """What is sent: a zip as it is, or a folder as a zip made on the way (images do not compress anyway).

    `skipped` counts the files of a folder that are neither images nor labels.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.skipped = 0
        if path.is_file():
            self.filename = path.name
            self.size_bytes = path.stat().st_size
            self._zip: ZipStream | None = None
        elif path.is_dir():
            self.filename = f"{path.resolve().name}.zip"
            self._zip = self._folder_zip(path)
            self.size_bytes = len(self._zip)
        else:
            raise InvalidRequest(
                f"There is no file or folder {str(path)!r}.", "Name a folder of images, or a zip."
            )

    def chunks(self, block_bytes: int = 1 << 20) -> Iterator[bytes]:
        if self._zip is not None:
            yield from self._zip
            return
        with self.path.open("rb") as file:
            while chunk := file.read(block_bytes):
                yield chunk

    def _folder_zip(self, folder: Path) -> ZipStream:
        stream = ZipStream(compress_type=ZIP_STORED, sized=True)
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder)
            if not path.is_file() or any(part.startswith(".") for part in relative.parts):
                continue
            if path.suffix.lower() in WANTED_SUFFIXES:
                stream.add_path(str(path), relative.as_posix())
            else:
                self.skipped += 1
        if stream.is_empty():
            raise InvalidRequest(
                f"The folder {str(folder)!r} holds neither images nor labels.",
                "Name the folder that holds images (JPEG, PNG) and their labels.",
            )
        return stream


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
