"""Folders of images: what is in them, whether they can be trained on, and single files as pixels."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from models.training.errors import ImagesRejected

SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
FEWEST_IMAGES = 8


@dataclass(frozen=True, slots=True)
class ImageSet:
    """All images of one side, in an order that depends on their names alone.

    `fingerprint`: of the names and sizes in bytes, to notice whether a resumed training sees the same.
    """

    paths: tuple[Path, ...]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.paths)


def find_images(folders: Sequence[Path], side: str, smallest_px: int) -> ImageSet:
    """The JPEG and PNG files in the folders and below them.

    Args:
        side: "day" or "night", for messages.
        smallest_px: no image may be narrower or lower; only headers are read for this.

    Raises:
        ImagesRejected: naming what is missing, unreadable or too small.
    """
    paths: list[Path] = []
    digest = hashlib.sha256()
    for folder in folders:
        if not folder.is_dir():
            raise ImagesRejected(f"There is no folder {str(folder)!r} of {side} images.")
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if _is_image(path)}
        for name in sorted(found):
            paths.append(found[name])
            digest.update(f"{name} {found[name].stat().st_size}\n".encode())
    where = ", ".join(repr(str(folder)) for folder in folders)
    if not paths:
        raise ImagesRejected(
            f"There are no {side} images in {where}.", "Give folders with JPEG or PNG files."
        )
    if len(paths) < FEWEST_IMAGES:
        raise ImagesRejected(
            f"There are only {len(paths)} {side} images in {where}.",
            f"At least {FEWEST_IMAGES} a side are needed; some hundred give a useful generator.",
        )
    _reject_small(paths, side, smallest_px)
    return ImageSet(tuple(paths), digest.hexdigest())


def read_image(path: Path) -> Image.Image:
    """RGB, upright.

    Raises:
        ImagesRejected: the file is damaged.
    """
    try:
        with Image.open(path) as opened:
            return ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from error


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _reject_small(paths: Sequence[Path], side: str, smallest_px: int) -> None:
    sizes = {path: _size(path) for path in paths}
    small = [path for path, size in sizes.items() if min(size) < smallest_px]
    if small:
        width, height = sizes[small[0]]
        others = f" and {len(small) - 1} more are" if len(small) > 1 else " is"
        raise ImagesRejected(
            f"The {side} image {str(small[0])!r} ({width}x{height}){others} smaller than the crop"
            f" of {smallest_px} px.",
            "Leave them out, or choose a recipe with a smaller 'data.crop_px'.",
        )


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as opened:
            return opened.size
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ImagesRejected:
    reason = "it is no image" if isinstance(error, UnidentifiedImageError) else str(error)
    return ImagesRejected(f"The image {str(path)!r} cannot be read: {reason}.", "Leave it out or replace it.")
