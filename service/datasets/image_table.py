"""The images of an upload, and the only way from a label's name to one of them: a look-up, never a path."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from posixpath import commonpath
from typing import Self
from unicodedata import normalize

from service.datasets.dataset import Split
from service.datasets.members import folder, folder_split, is_image, split_place, stem
from service.errors import DatasetRejected
from service.wording import cut


@dataclass(frozen=True, slots=True)
class Image:
    """An image member; `name` is its path below its split's folder, `split` None where no folder tells."""

    member: str
    name: str
    split: Split | None


# A member -> its split and the folder that stands for it, if a data.yaml says so.
Placement = Callable[[str], tuple[Split, str] | None]


class ImageTable:
    """The images in a fixed order, whatever order they came in."""

    def __init__(self, images: Iterable[Image]) -> None:
        self.images = sorted(images, key=lambda image: (image.split or "", image.name))
        _refuse_doubles(self.images)
        self._by_stem: dict[str, list[int]] = {}
        for place, image in enumerate(self.images):
            self._by_stem.setdefault(_composed(stem(image.name)), []).append(place)

    @classmethod
    def of(cls, members: Sequence[str], placement: Placement | None = None) -> Self:
        root = _common_folder(members)
        return cls(_image(member, root, placement) for member in members)

    def find(self, name: str, split: Split | None) -> int | None:
        """The place of the one image that a label means, or None.

        By file name within the label's split, else by file name anywhere, else by the longest common end of
        the paths. The suffix counts only if it decides between images: people convert their files.
        """
        wanted = _composed(name).replace("\\", "/").removeprefix("./")
        if not is_plain(wanted):
            return None
        parts = wanted.split("/")
        found = self._same_file(parts[-1])
        here = [place for place in found if split is not None and self.images[place].split == split]
        return self._closest(here or found, parts)

    def _same_file(self, name: str) -> list[int]:
        alike = self._by_stem.get(stem(name) if is_image(name) else name, [])
        exact = [place for place in alike if _composed(self.images[place].name).rpartition("/")[2] == name]
        return exact or alike

    def _closest(self, found: Sequence[int], parts: Sequence[str]) -> int | None:
        if len(found) < 2:
            return found[0] if found else None
        lengths = {place: _common_end(parts, self.images[place].member.split("/")) for place in found}
        longest = max(lengths.values())
        best = [place for place, length in lengths.items() if length == longest]
        return best[0] if len(best) == 1 else None


def is_plain(name: str) -> bool:
    """Whether a name in a label is a file name, perhaps with folders, that does not climb or lead away."""
    return not (name.startswith("/") or ":" in name or "\0" in name or ".." in name.split("/"))


def _composed(name: str) -> str:
    # macOS takes accents apart in file names; label files rarely do.
    return normalize("NFC", name)


def _image(member: str, root: str, placement: Placement | None) -> Image:
    parts = member.split("/")
    if (place := split_place(member)) is not None:
        rest = parts[place + 1 :]
        return Image(member, "/".join(rest[1:] if rest[0] == "images" else rest), folder_split(member))
    if placement and (placed := placement(member)):
        split, base = placed
        return Image(member, member.removeprefix(base).lstrip("/"), split)
    if "images" in parts[:-1]:
        last = len(parts) - 1 - parts[::-1].index("images", 1)
        return Image(member, "/".join(parts[last + 1 :]), None)
    return Image(member, member.removeprefix(root).lstrip("/"), None)


def _common_folder(members: Sequence[str]) -> str:
    return commonpath([folder(member) for member in members]) if members else ""


def _common_end(one: Sequence[str], other: Sequence[str]) -> int:
    length = 0
    for mine, theirs in zip(reversed(one), reversed(other), strict=False):
        if stem(mine) != stem(theirs) if length == 0 else mine != theirs:
            break
        length += 1
    return length


def _refuse_doubles(images: Sequence[Image]) -> None:
    for one, other in pairwise(images):
        if (one.split, one.name) == (other.split, other.name):
            raise DatasetRejected(
                "duplicate-name",
                f"{cut(one.member)} and {cut(other.member)} are both {cut(one.name)} of split "
                f"{one.split or 'train'}.",
                "Which of the two a label means cannot be known: keep one, or rename one and its label.",
            )
