"""The frames of an experiment: which of which dataset, for what, and with which boxes."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from service.datasets.dataset import Box, Split
from service.datasets.manifest import ManifestEntry
from service.datasets.selection import Selection
from service.errors import InvalidRequest
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.artifacts import chosen_entries

XYXY = tuple[float, float, float, float]
HELD_OUT_EVERY = 10


class Role(StrEnum):
    """What a frame is there for; nothing is there for two things."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class ExperimentFrame:
    """One frame. `data` is what the experiment calls its dataset; `categories` are places in the experiment's
    list, one for each of `boxes` (xyxy in px); `ignored` are regions that count neither way. `origin` is the
    sha256 of the image it was translated from, or its own.
    """

    data: str
    role: Role
    image: str
    name: str
    sha256: str
    origin: str
    width_px: int
    height_px: int
    scene: str
    boxes: tuple[XYXY, ...] = ()
    categories: tuple[int, ...] = ()
    ignored: tuple[XYXY, ...] = ()

    @property
    def is_translated(self) -> bool:
        return self.origin != self.sha256

    def to_line(self) -> bytes:
        return json.dumps(asdict(self), separators=(",", ":")).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "ExperimentFrame":
        data = json.loads(line)
        data["role"] = Role(data["role"])
        data["boxes"], data["ignored"] = (tuple(map(tuple, data[name])) for name in ("boxes", "ignored"))
        return cls(**{**data, "categories": tuple(data["categories"])})


@dataclass(frozen=True, slots=True)
class Labels:
    """How the labels of the datasets are read: categories renamed, and those that are learnt."""

    learnt: tuple[str, ...]
    renamed: Mapping[str, str]

    def number(self, category: str) -> int | None:
        """None: not learnt, so that its boxes are left out."""
        name = self.renamed.get(category, category)
        return self.learnt.index(name) if name in self.learnt else None


def labels_of(spec: Mapping[str, Any], known: Sequence[str]) -> Labels:
    """`known`: the categories of the baseline's dataset, which are learnt unless others are asked for."""
    renamed = spec["category_map"]
    names = spec["categories"] or list(dict.fromkeys(renamed.get(name, name) for name in known))
    return Labels(tuple(names), renamed)


def gather(spec: Mapping[str, Any], store: ObjectStore, labels: Labels) -> list[ExperimentFrame]:
    """All frames of an experiment, in an order that follows from the datasets alone.

    Raises:
        InvalidRequest: a dataset has no frame for what it is there for.
    """
    reader = _Reader(spec, store, labels)
    frames = [frame for name in spec["data"] for frame in reader.learnt_from(name)]
    test = _at_most(reader.test(), spec["test_at_most"])
    validation = [frame for frame in frames if frame.role is Role.VALIDATION]
    kept = set(map(id, _at_most(validation, spec["validation_frames"])))
    frames = [frame for frame in frames if frame.role is Role.TRAIN or id(frame) in kept]
    if not kept:
        raise InvalidRequest(
            "There is no frame to validate on.", "Give the day dataset a 'val' split of at least one frame."
        )
    return [*frames, *test]


def of_role(frames: Iterable[ExperimentFrame], role: Role) -> list[ExperimentFrame]:
    return [frame for frame in frames if frame.role is role]


def write_frames(store: ObjectStore, plan_key: str, frames: Iterable[ExperimentFrame]) -> None:
    with store.writing(frames_key(plan_key)) as file:
        for frame in frames:
            file.write(frame.to_line())


def read_frames(store: ObjectStore, plan_key: str) -> list[ExperimentFrame]:
    return [ExperimentFrame.from_line(line) for line in store.lines(frames_key(plan_key))]


def frames_key(plan_key: str) -> str:
    return keys.experiment(plan_key, "frames.jsonl")


def shuffled(frames: Iterable[ExperimentFrame], seed: int) -> list[ExperimentFrame]:
    """By their origins, so that a frame and its translations have the same place in their datasets."""

    def place(frame: ExperimentFrame) -> tuple[bytes, str]:
        return hashlib.sha256(f"{seed} {frame.origin}".encode()).digest(), frame.image

    return sorted(frames, key=place)


class _Reader:
    def __init__(self, spec: Mapping[str, Any], store: ObjectStore, labels: Labels) -> None:
        self._spec, self._store, self._labels = spec, store, labels
        baseline = next(arm for arm in spec["arms"] if arm["name"] == spec["baseline"])
        self._baseline = [part["data"] for part in baseline["parts"]]
        self._held_out = self._chosen_to_be_held_out()

    def learnt_from(self, name: str) -> list[ExperimentFrame]:
        """Frames to train on, and those to validate on.

        Real night frames never steer a training: validation frames are the baseline's and translated ones.
        """
        entries, wanted = self._entries_of(name)
        dataset_id = self._spec["data"][name]["dataset_id"]
        frames = []
        for entry in entries:
            is_apart = entry.frame.split not in wanted or self._belongs_to(entry) in self._held_out
            role = Role.VALIDATION if is_apart else Role.TRAIN
            if role is Role.TRAIN or name in self._baseline or entry.source is not None:
                frames.append(self._frame(entry, name, dataset_id, role))
        if not of_role(frames, Role.TRAIN):
            asked = {**self._spec["data"][name]["selection"], "split": sorted(wanted)}
            raise InvalidRequest(
                f"Dataset {dataset_id} ({name}) has no frame to train on with {Selection.from_json(asked)}.",
                "Choose others by attribute or split; the dataset's counts show what there is.",
            )
        return frames

    def test(self) -> list[ExperimentFrame]:
        """All that were chosen; without a split among the choices, the test split if there is one."""
        chosen = self._spec["test"]
        entries = list(_entries(self._store, chosen["dataset_id"], chosen["selection"]))
        tests = [entry for entry in entries if entry.frame.split is Split.TEST]
        if tests and "split" not in chosen["selection"]:
            entries = tests
        if not entries:
            raise InvalidRequest(
                f"Test dataset {chosen['dataset_id']} has no frame with"
                f" {Selection.from_json(chosen['selection'])}.",
                "Choose others; the dataset's counts show what there is.",
            )
        return [self._frame(entry, "test", chosen["dataset_id"], Role.TEST) for entry in entries]

    def _entries_of(self, name: str) -> tuple[list[ManifestEntry], set[str]]:
        """The frames to learn from, with those of the validation split, and the splits to train on."""
        chosen = self._spec["data"][name]
        asked = dict(chosen["selection"])
        wanted = set(asked.pop("split", [Split.TRAIN]))
        asked["split"] = [*wanted, Split.VAL]
        return list(_entries(self._store, chosen["dataset_id"], asked)), wanted

    def _chosen_to_be_held_out(self) -> set[str]:
        """Where the baseline has no validation split: a tenth of its scenes, or of its frames where no scenes
        are known. What was translated from a frame goes where that frame goes.
        """
        belongings = set()
        for name in self._baseline:
            entries, wanted = self._entries_of(name)
            if any(entry.frame.split not in wanted for entry in entries):
                return set()
            belongings |= {self._belongs_to(entry) for entry in entries}
        ordered = sorted(belongings, key=lambda name: hashlib.sha256(name.encode()).digest())
        return set(ordered[: -(-len(ordered) // HELD_OUT_EVERY)])

    def _belongs_to(self, entry: ManifestEntry) -> str:
        scene = self._scene(entry)
        return scene if scene != entry.frame.name else _origin(entry)

    def _scene(self, entry: ManifestEntry) -> str:
        """What belongs together when chance is judged; a frame of its own unless something is known."""
        known = self._spec["scenes"].get(entry.frame.name)
        value = known or entry.frame.attributes.get(self._spec["scene_attribute"] or "", entry.frame.name)
        return str(value)

    def _frame(self, entry: ManifestEntry, data: str, dataset_id: str, role: Role) -> ExperimentFrame:
        frame = entry.frame
        named = [(box, self._labels.number(box.category)) for box in frame.boxes]
        kept = [(box, number) for box, number in named if number is not None and not box.is_ignored]
        return ExperimentFrame(
            data=data,
            role=role,
            image=keys.dataset(dataset_id, entry.image),
            name=frame.name,
            sha256=entry.sha256,
            origin=_origin(entry),
            width_px=frame.width_px,
            height_px=frame.height_px,
            scene=self._scene(entry),
            boxes=tuple(box.xyxy for box, _ in kept),
            categories=tuple(number for _, number in kept),
            ignored=tuple(_ignored(frame.boxes)),
        )


def _ignored(boxes: Iterable[Box]) -> Iterator[XYXY]:
    return (box.xyxy for box in boxes if box.is_ignored)


def _origin(entry: ManifestEntry) -> str:
    return entry.sha256 if entry.source is None else entry.source.sha256


def _entries(store: ObjectStore, dataset_id: str, asked: Mapping[str, Any]) -> Iterator[ManifestEntry]:
    return chosen_entries(store, dataset_id, Selection.from_json(asked))


def _at_most(frames: list[ExperimentFrame], wanted: int | None) -> list[ExperimentFrame]:
    """The same ones whatever else the experiment is made of, in their own order."""
    if wanted is None or len(frames) <= wanted:
        return frames
    kept = set(map(id, shuffled(frames, 0)[:wanted]))
    return [frame for frame in frames if id(frame) in kept]
