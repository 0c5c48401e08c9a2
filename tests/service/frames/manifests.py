"""Manifests of frames that have anything said of them, and words of filters where they do not belong."""

from collections.abc import Sequence
from itertools import count

from hypothesis import strategies as st

from service.datasets.dataset import Box, Frame, Split, TimeOfDay
from service.datasets.manifest import ManifestEntry
from service.frames.filter import UNTAGGED, FrameFilter
from service.storage import keys
from service.storage.object_store import ObjectStore

CATEGORIES = ("car", "person", 'a "quoted" thing', "käfer")
# Between them all that a filter looks for, as keys and as text.
ODD = {
    "timeofday": "night", "looks": "night", "image": "images/val/else.jpg", "category": "person",
    "text": '"timeofday":"night","looks":"day","image":"images/test/b.png"',
}  # fmt: skip

_numbers = count()

boxes = st.builds(
    Box,
    xyxy=st.just((1.0, 2.0, 3.5, 4.0)),
    category=st.sampled_from(CATEGORIES),
    is_ignored=st.booleans(),
    extra=st.sampled_from([{}, ODD]),
)
times = st.sampled_from([*map(str, TimeOfDay), UNTAGGED, "", None, 7])
attributes = st.builds(lambda value: {} if value is None else {"timeofday": value}, times)


@st.composite
def entries(draw: st.DrawFn) -> list[ManifestEntry]:
    made = []
    for number in range(draw(st.integers(0, 12))):
        split = draw(st.sampled_from(list(Split)))
        frame_id = f"{draw(st.sampled_from(['Street', 'a.b', 'road_1']))}-{number}"
        frame = Frame(
            name=draw(st.sampled_from(["a.jpg", "a\u2028b.jpg", ODD["text"]])),
            id=frame_id,
            split=split,
            width_px=8,
            height_px=8,
            boxes=tuple(draw(st.lists(boxes, max_size=2))),
            attributes=draw(attributes),
            extra=draw(st.sampled_from([{}, ODD])),
        )
        suffix = draw(st.sampled_from([".jpg", ".png"]))
        looks = draw(st.sampled_from([None, "night", "day"]))
        image = keys.image(split, frame_id, suffix)
        made.append(ManifestEntry(frame, image, "0" * 64, brightness=0.5, looks=looks))
    return made


filters = st.builds(
    FrameFilter,
    timeofday=st.sampled_from([None, None, "night", "daytime", UNTAGGED]),
    category=st.sampled_from([None, None, *CATEGORIES, "unheard of"]),
    split=st.sampled_from([None, None, *Split]),
    suspect=st.sampled_from([None, None, True, False]),
    text=st.sampled_from([None, None, "street", "A.B", "-1", "else"]),
)


def is_wanted(entry: ManifestEntry, wanted: FrameFilter) -> bool:
    """By what the entry means."""
    frame = entry.frame
    return all(
        (
            wanted.timeofday in (None, frame.timeofday or UNTAGGED),
            wanted.category in (None, *(box.category for box in frame.boxes if not box.is_ignored)),
            wanted.split in (None, frame.split),
            wanted.suspect in (None, entry.looks is not None),
            wanted.text is None or wanted.text.lower() in frame.id.lower(),
        )
    )


def written(store: ObjectStore, made: Sequence[ManifestEntry]) -> str:
    """The id of a dataset that has these frames."""
    dataset_id = f"ds-{next(_numbers)}"
    store.write(keys.manifest(dataset_id), b"".join(entry.to_line().encode() + b"\n" for entry in made))
    return dataset_id
