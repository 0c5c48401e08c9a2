"""Where a YOLO dataset keeps things: the folders that its data.yaml lists, and the label beside an image."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from posixpath import join, normpath

from service.datasets.data_yaml import DataYaml
from service.datasets.dataset import Finding, Severity, Split
from service.datasets.members import folder, stem
from service.datasets.plan import OpenMember
from service.datasets.streams import decode_text

_LIST_BYTES = 64_000_000


def label_of(image: str) -> str:
    """Where Ultralytics looks for a label: the last `images` becomes `labels`, else beside the image."""
    parts = image.split("/")
    if "images" in parts[:-1]:
        parts[len(parts) - 1 - parts[::-1].index("images", 1)] = "labels"
    parts[-1] = f"{stem(image)}.txt"
    return "/".join(parts)


class Listing:
    """Which images a data.yaml lists, and for which split.

    Its `path` and every absolute or climbing part are ignored: a listed folder is the member folder whose
    path ends alike.
    """

    def __init__(self, path: str, content: DataYaml, images: Sequence[str], texts: Sequence[str]) -> None:
        self._path = path
        self._content = content
        self._texts = texts
        self._folders = {ancestor for image in images for ancestor in _ancestors(image)}
        self._images = images
        self._bases: dict[str, tuple[Split, str]] = {}
        self._singles: dict[str, Split] = {}
        self.findings: list[Finding] = []
        self.files_read: set[str] = set()

    def read(self, open_member: OpenMember) -> None:
        """Find every listed folder and read every listed file."""
        for split, values in self._content.folders.items():
            for value in values:
                if value.endswith(".txt"):
                    self._read_list(value, split, open_member)
                elif (base := self._closest(value, self._folders)) is not None:
                    # With several folders for one split their own names tell the images apart.
                    self._bases.setdefault(base, (split, base if len(values) == 1 else folder(base)))
                else:
                    self.findings.append(self._missing(split, value))

    def place(self, image: str) -> tuple[Split, str] | None:
        """The split of an image and the folder that stands for it, or None if it is not listed."""
        if image in self._singles:
            return self._singles[image], folder(image)
        found = (self._bases[base] for base in _ancestors(image) if base in self._bases)
        return next(found, None)

    def keep(self, images: Iterable[str]) -> list[str]:
        """The listed images; one warning for each folder with others."""
        images = list(images)
        if not (self._bases or self._singles):
            return images  # it was written for another layout, and says nothing of this one
        kept = [image for image in images if self.place(image)]
        left = Counter(folder(image) for image in set(images) - set(kept))
        self.findings += [self._unlisted(path, count) for path, count in sorted(left.items())]
        return kept

    def _closest(self, value: str, members: Iterable[str]) -> str | None:
        """The member that a path in the file means: from the file's folder, else the one that ends alike."""
        members = set(members)
        exact = _below(self._path, value)
        if exact in members:
            return exact
        parts = [part for part in value.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            if end == "images" and start:
                break  # every set has such a folder: it does not tell which is meant
            if alike := sorted(member for member in members if f"/{member}".endswith(f"/{end}")):
                return min(alike, key=len)
        return None

    def _read_list(self, value: str, split: Split, open_member: OpenMember) -> None:
        member = self._closest(value, self._texts)
        if member is None:
            self.findings.append(self._missing(split, value))
            return
        self.files_read.add(member)
        with open_member(member) as stream:
            lines = decode_text(stream.read(_LIST_BYTES), member).splitlines()
        by_end = _by_name(self._images)
        for line in filter(None, map(str.strip, lines)):
            if image := _listed_image(line, member, by_end):
                self._singles.setdefault(image, split)

    def _missing(self, split: Split, value: str) -> Finding:
        message = f"{value[:200]!r}, listed as {split}, is not in the upload."
        cure = "Upload the folder, or correct the key; `path` is not used."
        return Finding("data-yaml-missing", Severity.WARNING, self._path, message, cure, str(split))

    def _unlisted(self, path: str, count: int) -> Finding:
        message = (
            f"{count} image(s) in {path or 'the top folder'} are left out: {self._path} does not list them."
        )
        return Finding(
            "not-in-data-yaml", Severity.WARNING, path, message, "Add the folder to train, val or test."
        )


def _ancestors(member: str) -> Iterator[str]:
    """The folders of a member, innermost first; the last is the root, an empty name."""
    while member:
        member = folder(member)
        yield member


def _below(file: str, value: str) -> str:
    path = normpath(join(folder(file), value.replace("\\", "/")))
    return "" if path == "." else path


def _by_name(images: Iterable[str]) -> Mapping[str, list[str]]:
    table: dict[str, list[str]] = {}
    for image in images:
        table.setdefault(image.rpartition("/")[2], []).append(image)
    return table


def _listed_image(line: str, file: str, images: Mapping[str, Sequence[str]]) -> str | None:
    path = _below(file, line)
    found = images.get(path.rpartition("/")[2], ())
    return max(found, key=lambda image: (_shared_end(image, path), -len(image), image), default=None)


def _shared_end(one: str, other: str) -> int:
    pairs = zip(reversed(one.split("/")), reversed(other.split("/")), strict=False)
    length = 0
    for mine, theirs in pairs:
        if mine != theirs:
            break
        length += 1
    return length
