"""Thumbnails are made once, elsewhere, and kept in the store."""

import io
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from PIL import Image

from service.confined.pool import Pool
from service.datasets.dataset import Split
from service.errors import ImageUnreadable, NotFound, Unavailable
from service.jobs.job import DatasetState
from service.jobs.records import Dataset
from service.storage import keys
from service.storage.object_store import ObjectStore
from service.thumbnails.thumbnails import Maker, Thumbnails

HOSTILE = (str(Path(__file__).parents[1] / "confined/echo.py"),)


class HostileMaker(Maker):
    """It does what the image says."""

    def __init__(self) -> None:
        super(Maker, self).__init__(HOSTILE, (1000, 1000))


class NoMaker(Maker):
    def __init__(self) -> None:
        raise RuntimeError("does not start")


def dataset_of(tenant: str = "local") -> Dataset:
    return Dataset(
        id="ds-1", tenant=tenant, name="", state=DatasetState.READY, version=1, job_id="", source={},
        format="yolo", categories=[], counts={}, size_bytes=0, created_at=0.0,
    )  # fmt: skip


def jpeg(width: int = 640, height: int = 360) -> bytes:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(buffer, "JPEG")
    return buffer.getvalue()


def put(store: ObjectStore, data: bytes, frame_id: str = "a", suffix: str = ".jpg") -> None:
    store.write(keys.dataset("ds-1", keys.image("train", frame_id, suffix)), data)


def look(thumbnails: Thumbnails, frame_id: str = "a", split: Split = Split.TRAIN) -> bytes:
    return anyio.run(thumbnails.of, dataset_of(), split, frame_id)


def by(thumbnails: Thumbnails, maker: type[Maker]) -> Thumbnails:
    """The same with other makers."""
    thumbnails._makers = Pool(maker, most=2)
    return thumbnails


@pytest.fixture
def thumbnails(store: ObjectStore) -> Iterator[Thumbnails]:
    made = Thumbnails(store)
    yield made
    made.close()


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_thumbnail_is_made_once_and_kept(store: ObjectStore, thumbnails: Thumbnails, suffix: str) -> None:
    put(store, jpeg(), suffix=suffix)
    first = look(thumbnails)
    assert Image.open(io.BytesIO(first)).size == (320, 180)
    assert store.keys("thumbnails") == [keys.thumbnail("ds-1", "train", "a")]
    assert look(by(Thumbnails(store), NoMaker)) == first


def test_requests_at_once_for_one_frame_all_get_it(store: ObjectStore, thumbnails: Thumbnails) -> None:
    put(store, jpeg())
    found: list[bytes] = []

    async def ask() -> None:
        found.append(await thumbnails.of(dataset_of(), Split.TRAIN, "a"))

    async def ask_at_once() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(ask)

    anyio.run(ask_at_once)
    assert found == [store.read(keys.thumbnail("ds-1", "train", "a"))] * 6


@pytest.mark.parametrize(
    ("split", "frame_id"),
    [
        (Split.VAL, "a"),
        (Split.TRAIN, "b"),
        (Split.TRAIN, "../train/a"),
        (Split.TRAIN, "a" * 300),
        (Split.TRAIN, "a\0"),
        (Split.TRAIN, ""),
    ],
    ids=["split", "id", "path", "long", "nul", "empty"],
)
def test_a_frame_that_is_not_there_has_none(
    store: ObjectStore, thumbnails: Thumbnails, split: Split, frame_id: str
) -> None:
    put(store, jpeg())
    with pytest.raises(NotFound):
        look(by(thumbnails, NoMaker), frame_id, split)
    assert store.keys("thumbnails") == []


def test_an_image_that_cannot_be_reduced_is_tried_once(store: ObjectStore, thumbnails: Thumbnails) -> None:
    put(store, b"no image any more")
    with pytest.raises(ImageUnreadable, match="'a'"):
        look(thumbnails)
    with pytest.raises(ImageUnreadable):
        look(by(Thumbnails(store), NoMaker))


@pytest.mark.parametrize(
    "data", [b"END", b"SAY <script>", b"SAY " + bytes(2000)], ids=["end", "html", "long"]
)
def test_a_maker_that_was_taken_over_harms_one_frame_alone(
    store: ObjectStore, thumbnails: Thumbnails, data: bytes
) -> None:
    put(store, data)
    put(store, b"SAY \xff\xd8\xff", "honest")
    hostile = by(thumbnails, HostileMaker)
    with pytest.raises(ImageUnreadable):
        look(hostile)
    assert look(hostile, "honest") == b"\xff\xd8\xff"


def test_where_no_maker_starts_nothing_is_kept_of_it(store: ObjectStore, thumbnails: Thumbnails) -> None:
    put(store, jpeg())
    with pytest.raises(Unavailable):
        look(by(thumbnails, NoMaker))
    assert store.keys("thumbnails") == []
    assert look(by(thumbnails, Maker))
