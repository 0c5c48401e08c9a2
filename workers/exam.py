"""How a freshly trained generator is examined: on frames it was not shown, if there are any."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from models.generators.interface import Direction, Generator, Scene
from models.inference import Translator
from models.metrics.measurements import Measurements
from models.metrics.quality import Quality, quality
from service.datasets.manifest import ManifestEntry
from service.datasets.selection import Selection
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers.artifacts import StoredImageUnreadable, chosen_entries, stored_pixels
from workers.images import Pixels
from workers.resident_meter import resident_meter

EXAMINED, REFERENCE = 32, 128
Side = Mapping[str, Any]  # dataset_id, name and selection, as a training's spec has them


def examine(
    store: ObjectStore, generator: Generator, direction: str, sides: Mapping[str, Side], device: str | None
) -> dict[str, Any]:
    """Figures for the generator's card: some frames, translated, against real ones of the other side."""
    is_to_night = direction == Direction.DAY2NIGHT
    source, target = (sides["day"], sides["night"]) if is_to_night else (sides["night"], sides["day"])
    unseen = spread(lambda: _unseen(store, source), EXAMINED)
    frames = unseen or spread(lambda: _shown(store, source), EXAMINED)
    meter = resident_meter(store)
    reference = Measurements(meter.yardstick, str(target["name"]))
    shown = spread(lambda: _shown(store, target), REFERENCE)
    for number, (_, pixels) in enumerate(_readable(store, target, shown)):
        reference.add(number, meter.measure(pixels))
    translator = Translator(generator, device=device)
    before, after = Measurements(meter.yardstick), Measurements(meter.yardstick)
    for number, (entry, pixels) in enumerate(_readable(store, source, frames)):
        (translated,) = translator.translate([pixels], [Scene(number)])
        boxes = [box.xyxy for box in entry.frame.boxes if not box.is_ignored]
        before.add(number, meter.measure(pixels))
        after.add(number, meter.measure(translated, pixels, boxes))
    return {
        "frames_were_trained_on": not unseen,
        "source": summary(quality(before, reference)),
        "translated": summary(quality(after, reference)),
    }


def summary(figures: Quality) -> dict[str, Any]:
    """What fits on a card: the figures that there are, to four digits."""
    names = ("kid", "fid", "niqe", "share_night", "gradient_similarity_inside", "gradient_similarity_outside")
    values = {name: getattr(figures, name).value for name in names}
    values["brightness"] = figures.brightness.median
    rounded = {name: float(f"{value:.4g}") for name, value in values.items() if value is not None}
    return {"frames": figures.frames, **rounded}


def spread(entries: Callable[[], Iterator[ManifestEntry]], wanted: int) -> list[ManifestEntry]:
    """At most so many, spread evenly; they are gone through twice rather than held."""
    total = sum(1 for _ in entries())
    numbers = {number * total // wanted for number in range(wanted)} if wanted < total else None
    return [entry for number, entry in enumerate(entries()) if numbers is None or number in numbers]


def _shown(store: ObjectStore, side: Side) -> Iterator[ManifestEntry]:
    return chosen_entries(store, side["dataset_id"], Selection.from_json(side["selection"]))


def _unseen(store: ObjectStore, side: Side) -> Iterator[ManifestEntry]:
    """Of the same kind, from the other splits."""
    alike = {key: values for key, values in side["selection"].items() if key != "split"}
    for entry in chosen_entries(store, side["dataset_id"], Selection.from_json(alike)):
        if entry.frame.split not in side["selection"]["split"]:
            yield entry


def _readable(
    store: ObjectStore, side: Side, entries: Iterable[ManifestEntry]
) -> Iterator[tuple[ManifestEntry, Pixels]]:
    """One damaged image must not cost a training that took hours."""
    for entry in entries:
        with suppress(StoredImageUnreadable):
            yield entry, stored_pixels(store, keys.dataset(side["dataset_id"], entry.image))
