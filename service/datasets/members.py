"""What the name of a member of an upload tells: image or label, split, and what to pass over."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import PurePosixPath

from service.datasets.dataset import Finding, Severity, Split
from service.datasets.names import is_reserved, path_fault
from service.wording import cut

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"})

SPLIT_NAMES = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "val": Split.VAL,
    "valid": Split.VAL,
    "validation": Split.VAL,
    "test": Split.TEST,
    "testing": Split.TEST,
}

# What operating systems leave in a folder; hidden files are passed over as well.
_JUNK = frozenset({"__macosx", "thumbs.db", "desktop.ini"})

# Parts of the BDD100K downloads that hold no boxes for the 100K images.
_OTHER_TASKS = frozenset(
    {
        "lane",
        "drivable",
        "sem_seg",
        "pan_seg",
        "ins_seg",
        "box_track_20",
        "seg_track_20",
        "pose_21",
    }
)
_MAX_ID_CHARS = 120
_ARCHIVE_SUFFIXES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"})
_MAX_LISTED = 100


def suffix(member: str) -> str:
    return PurePosixPath(member).suffix.lower()


def stem(name: str) -> str:
    return PurePosixPath(name).stem


def folder(member: str) -> str:
    """The folder's path, empty for the root."""
    return member.rpartition("/")[0]


def is_image(member: str) -> bool:
    return suffix(member) in IMAGE_SUFFIXES


def folder_split(member: str) -> Split | None:
    """The split that the innermost telling folder names; `train2017` is a train folder."""
    place = split_place(member)
    return None if place is None else _split(member.split("/")[place])


def split_place(member: str) -> int | None:
    """Which part of the path names the split."""
    parts = member.split("/")[:-1]
    return next((place for place in reversed(range(len(parts))) if _split(parts[place])), None)


def label_split(member: str) -> Split | None:
    """The split of a label file, by its folder or by its own name (`det_train.json`)."""
    if split := folder_split(member):
        return split
    words = re.split(r"[^a-z]+", stem(member).lower())
    found = {SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None


def _split(part: str) -> Split | None:
    return SPLIT_NAMES.get(re.sub(r"_?\d{4}$", "", part.lower()))


def is_frame_id(text: str) -> bool:
    """Whether it could be one: others are no names of files, and nothing is looked for under them."""
    return re.fullmatch(r"[A-Za-z0-9._-]+", text) is not None and len(text) <= _MAX_ID_CHARS


def possible_ids(path: str) -> Iterator[str]:
    """What the frame of an image or label may be called, the likeliest first: nobody has written down which
    of its folders are part of the frame's name. One that shares its name with others may have another id.
    """
    parts = path.split("/")
    for start in range(len(parts)):
        yield _safe_stem("/".join(parts[start:]))[:_MAX_ID_CHARS]


class FrameIds:
    """Makes frame ids: safe as file stems, and unique within their split even where case does not count."""

    def __init__(self) -> None:
        self._used: dict[Split, set[str]] = {split: set() for split in Split}

    def make(self, name: str, split: Split) -> str:
        """The id for a name; a later equal one gets "-2", then "-3"."""
        base = _safe_stem(name)
        candidate, number = base[:_MAX_ID_CHARS], 1
        while candidate.casefold() in self._used[split]:
            number += 1
            ending = f"-{number}"
            candidate = base[: _MAX_ID_CHARS - len(ending)] + ending
        self._used[split].add(candidate.casefold())
        return candidate


def _safe_stem(name: str) -> str:
    folders, _, last = name.rpartition("/")
    joined = "__".join([*filter(None, folders.split("/")), stem(last)])
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", joined).lstrip(".-") or "frame"
    return f"frame-{safe}" if is_reserved(safe) else safe


def usable_members(members: Sequence[str]) -> tuple[list[str], list[Finding]]:
    """The members to look at, sorted, and one note for each folder whose files are passed over."""
    has_100k = any("images/100k/" in f"/{member}" for member in members)
    used, nested, passed_over = [], [], Counter[tuple[str, str]]()
    for member in sorted(members):
        if member.endswith("/"):
            continue
        if reason := _passed_over(member, has_100k):
            passed_over[reason] += 1
        elif suffix(member) in _ARCHIVE_SUFFIXES:
            nested.append(member)
        else:
            used.append(member)
    return used, [*_notes(passed_over), *_nested(nested), *_illegal_names(used)]


def ignored_files(members: Iterable[str], why: str) -> Iterator[Finding]:
    """One note for each folder of files that are not used."""
    yield from _notes(Counter((folder(member), why) for member in members))


def _passed_over(member: str, has_100k: bool) -> tuple[str, str] | None:
    """The folder to blame and why, or None."""
    parts = member.split("/")
    for place, part in enumerate(parts):
        if part.startswith(".") or part.lower() in _JUNK:
            return "/".join(parts[: place or 1]) if place else "", "the system's own or hidden"
        if place == len(parts) - 1:
            break
        if has_100k and parts[place : place + 2] == ["images", "10k"]:
            return "/".join(parts[: place + 2]), "of the 10K images, a set of their own"
        # Somebody's own images may well lie in a folder called `lane`.
        if part in _OTHER_TASKS and not (is_image(member) and "images" in parts[:place]):
            return "/".join(parts[: place + 1]), "for another task than detection"
    return None


def _nested(members: Sequence[str]) -> Iterator[Finding]:
    message = "An archive within the upload is not opened."
    for member in members[:_MAX_LISTED]:
        yield Finding("nested-archive", Severity.WARNING, member, message, "Unpack it and upload the folder.")


def _illegal_names(members: Iterable[str]) -> Iterator[Finding]:
    """Images whose names a file system or a person could trip over; they are stored under frame ids."""
    faults = ((member, fault) for member in members if is_image(member) and (fault := path_fault(member)))
    for member, fault in islice(faults, _MAX_LISTED):
        message = f"The name {fault}; the image is stored under another one."
        yield Finding("illegal-name", Severity.WARNING, member, message, "Rename it, and its label.")


def _notes(counted: Counter[tuple[str, str]]) -> Iterator[Finding]:
    for (path, why), count in sorted(counted.items()):
        message = f"{count} file(s) in {cut(path) or 'the top folder'} are not used: they are {why}."
        yield Finding("ignored-file", Severity.NOTE, path, message)
