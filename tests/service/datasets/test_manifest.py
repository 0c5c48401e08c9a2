"""The manifest's lines, as later versions must still read them."""

from service.datasets.dataset import Box, Frame, Split
from service.datasets.manifest import ManifestEntry, SourceFrame, canonical_labels

FULL = ManifestEntry(
    Frame(
        name="ä/a.jpg",
        id="a",
        split=Split.VAL,
        width_px=1280,
        height_px=720,
        boxes=(
            Box((1.5, 2.0, 3.25, 4.0), "car", "7", True, {"occluded": True}, {"manualShape": False}),
            Box((1.0, 2.0, 3.0, 4.0), "bus", 7),
        ),
        attributes={"timeofday": "night"},
        other_labels=({"category": "lane"},),
        extra={"timestamp": 10000},
    ),
    image="images/val/a.jpg",
    sha256="ab",
    source=SourceFrame("d1", "cd"),
    brightness=0.125,
    looks="day",
)
LINE = (
    '{"brightness":0.125,"frame":{"attributes":{"timeofday":"night"},"boxes":[{"attributes":{"occluded":true},"category":"car",'
    '"extra":{"manualShape":false},"id":"7","is_ignored":true,"xyxy":[1.5,2.0,3.25,4.0]},'
    '{"category":"bus","id":7,"xyxy":[1.0,2.0,3.0,4.0]}],"extra":{"timestamp":10000},"height_px":720,"id":"a",'
    '"name":"ä/a.jpg","other_labels":[{"category":"lane"}],"split":"val","width_px":1280},'
    '"image":"images/val/a.jpg","looks":"day","sha256":"ab","source":{"dataset":"d1","sha256":"cd"}}'
)


def test_a_full_entry_is_this_line() -> None:
    assert FULL.to_line() == LINE
    assert ManifestEntry.from_line(LINE) == FULL


def test_an_entry_of_a_background_image_is_short() -> None:
    entry = ManifestEntry(Frame("a.jpg", "a", Split.TRAIN, 8, 8), "images/train/a.jpg", "ab")
    assert entry.to_line() == (
        '{"frame":{"boxes":[],"height_px":8,"id":"a","name":"a.jpg","split":"train","width_px":8},'
        '"image":"images/train/a.jpg","sha256":"ab"}'
    )
    assert ManifestEntry.from_line(entry.to_line()) == entry


def test_labels_are_compared_without_names_and_frame_attributes() -> None:
    labels = canonical_labels(FULL.frame)
    assert set(labels) == {"width_px", "height_px", "boxes", "other_labels"}
    assert labels["other_labels"] == [{"category": "lane"}]
