"""A frame and the one that it was made from, to be laid one over the other."""

from dataclasses import dataclass
from typing import Any

from service.api.dependencies import Services
from service.datasets.dataset import Frame, Split, TimeOfDay
from service.datasets.manifest import frame_from_json
from service.errors import DatasetNotReady, NotFound
from service.frames.index import frame_entry

WORDS = {TimeOfDay.DAYTIME: "Day", TimeOfDay.NIGHT: "Night", TimeOfDay.DAWN_DUSK: "Dusk"}


@dataclass(frozen=True, slots=True)
class Side:
    """One of two frames: whose it is, and the word that tells it from the other."""

    dataset_id: str
    frame: Frame
    word: str

    @property
    def path(self) -> str:
        """Below `/v1` its image and thumbnail are found, on the page the frame itself."""
        return f"/datasets/{self.dataset_id}/frames/{self.frame.split}/{self.frame.id}"


@dataclass(frozen=True, slots=True)
class Pair:
    """`source` is None of a frame that is no translation, and where the source is gone: `lost_source_id`."""

    frame: Side
    source: Side | None = None
    lost_source_id: str | None = None


def pair_of(here: Services, dataset_id: str, entry: dict[str, Any]) -> Pair:
    frame = frame_from_json(entry["frame"])
    if "source" not in entry:
        return Pair(_side(dataset_id, frame, None))
    source = _source(here, entry)
    if source is None:
        return Pair(_side(dataset_id, frame, None), lost_source_id=entry["source"]["dataset"])
    day, night = _words(source, frame)
    return Pair(Side(dataset_id, frame, night), Side(entry["source"]["dataset"], source, day))


def _source(here: Services, entry: dict[str, Any]) -> Frame | None:
    """A translation keeps the split and the id of every frame."""
    source_id, frame = entry["source"]["dataset"], entry["frame"]
    try:
        here.desk.library.ready_dataset(source_id)
        found = frame_entry(here.store, source_id, Split(frame["split"]), frame["id"])
    except (NotFound, DatasetNotReady):
        return None
    return frame_from_json(found["frame"])


def _side(dataset_id: str, frame: Frame, word: str | None) -> Side:
    return Side(dataset_id, frame, word or _word(frame) or "Frame")


def _words(source: Frame, frame: Frame) -> tuple[str, str]:
    before, after = _word(source), _word(frame)
    return (before, after) if before and after and before != after else ("Before", "After")


def _word(frame: Frame) -> str | None:
    return next((word for timeofday, word in WORDS.items() if frame.timeofday == timeofday), None)
