"""Which JSON files of an upload hold labels, and in which form: told by structure, not by name."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, BinaryIO

from service.datasets import bdd100k
from service.datasets.dataset import Finding, Split
from service.datasets.members import folder, ignored_files, is_image, label_split, stem
from service.datasets.plan import BDD100K_FORMATS, Format, OpenMember
from service.datasets.streams import events, pieces
from service.errors import DatasetRejected, LabelUnreadable
from service.wording import cut

# How far to look for what tells the forms apart.
_EVENTS = 50_000
_FRAMES = 20


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A JSON member that holds labels, and the split that its path names."""

    member: str
    form: Format
    split: Split | None


@contextmanager
def reading(member: str) -> Iterator[None]:
    """Refuse the dataset, naming the file, if a label file that stands for many images cannot be read."""
    try:
        yield
    except LabelUnreadable as error:
        message = f"{cut(member)}, {cut(error.where)}: {error.problem}."
        raise DatasetRejected(error.code, message, error.cure) from None


def find_label_files(members: Sequence[str], open_member: OpenMember) -> list[LabelFile]:
    """The label files among JSON members (sorted), in their order."""
    found, per_image_folders = [], set[str]()
    for member in members:
        # Seventy thousand files of one image each need not be opened twice: one tells for its folder.
        if folder(member) in per_image_folders:
            form: Format | None = Format.BDD100K_2018_PER_IMAGE
        else:
            form = sniff(member, open_member)
        if form is Format.BDD100K_2018_PER_IMAGE:
            per_image_folders.add(folder(member))
        if form:
            found.append(LabelFile(member, form, label_split(member)))
    return found


def sniff(member: str, open_member: OpenMember) -> Format | None:
    """The form of a JSON file, or None if it holds no labels.

    Raises:
        DatasetRejected: if it is not JSON.
    """
    with reading(member):
        with open_member(member) as stream:
            form = _structure(stream)
        if form is Format.BDD100K_DET20:
            with open_member(member) as stream:
                records = list(islice(bdd100k.records(stream), _FRAMES))
            if any(map(bdd100k.looks_2018, records)):
                return Format.BDD100K_2018
        return form


def prefer(files: Iterable[LabelFile]) -> tuple[list[LabelFile], list[Finding]]:
    """Where several files cover a split, those of the best form, and a note on the others.

    BDD100K was released three times, best last; COCO's annotation archive holds the same images again with
    captions, keypoints and panoptic masks.
    """
    files = list(files)
    best: dict[Split | None, int] = {}
    for file in files:
        best[file.split] = min(best.get(file.split, 9), _rank(file))
    kept = [file for file in files if _rank(file) == best[file.split]]
    others = [file.member for file in files if _rank(file) > best[file.split]]
    return kept, list(ignored_files(others, "covered by better label files for the same split"))


def _rank(file: LabelFile) -> int:
    if file.form is Format.COCO:
        return int(stem(file.member).startswith(("captions", "person_keypoints", "panoptic", "stuff")))
    return BDD100K_FORMATS.index(file.form)


def _structure(stream: BinaryIO) -> Format | None:
    """The form by the first keys; det_20 also stands for the 2018 list, which has the same structure."""
    found = islice(events(pieces(stream)), _EVENTS)
    _, first, _ = next(found, ("", "", None))
    if first == "start_array":
        return Format.BDD100K_DET20 if _is_frame(_keys(found, "item")) else None
    return _dict_form(found) if first == "start_map" else None


def _dict_form(found: Iterator[tuple[str, str, Any]]) -> Format | None:
    for prefix, event, _ in found:
        if event == "start_array" and prefix in ("images", "annotations"):
            return Format.COCO
        if event == "start_array" and prefix == "frames":
            keys = _keys(found, "frames.item")
            if "objects" in keys:
                return Format.BDD100K_2018_PER_IMAGE
            return Format.BDD100K_DET20 if _is_frame(keys) else None
    return None


def _keys(found: Iterator[tuple[str, str, Any]], prefix: str) -> dict[str, Any]:
    """The keys of the first object under `prefix`, with the values of those that are plain."""
    keys: dict[str, Any] = {}
    for place, event, value in found:
        if place == prefix and event == "map_key":
            keys[value] = None
        elif place == f"{prefix}.name":
            keys["name"] = value
        elif place == prefix and event != "start_map":
            break
    return keys


def _is_frame(keys: dict[str, Any]) -> bool:
    name = keys.get("name")
    return isinstance(name, str) and ("labels" in keys or "attributes" in keys or is_image(name))
