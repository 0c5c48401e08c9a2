"""Thumbnails as the API and the page ask for them: kept in the store, made elsewhere when first wanted."""

from functools import partial
from typing import Any

import structlog
from anyio import CapacityLimiter, to_thread

from service.confined.pool import Pool
from service.confined.process import ChildDied, ConfinedProcess
from service.datasets.dataset import Split
from service.datasets.members import is_frame_id
from service.errors import ImageUnreadable, NotFound, ObjectNotFound, Unavailable
from service.jobs.records import Dataset
from service.storage import keys
from service.storage.object_store import ObjectStore

log = structlog.get_logger(__name__)

MAKERS = 2
MAX_BYTES = 1_000_000
SUFFIXES = (".jpg", ".png")
# Kept in the place of a thumbnail: this image ends its makers, and nobody is to try it at every look.
NONE_TO_BE_HAD = b""


class Maker(ConfinedProcess):
    def __init__(self) -> None:
        super().__init__(("-m", "service.thumbnails.maker"), (MAX_BYTES, 0))

    def make(self, data: bytes) -> bytes | None:
        """None: by the maker's word the image cannot be read.

        Raises:
            ChildDied: then this one is of no use any more.
        """
        return self.ask(data, _read)


class Thumbnails:
    """Of one server. Its makers start at the first need and never see the frames of two tenants."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._makers = Pool(Maker, most=MAKERS)
        # Whoever waits for a maker holds none of the threads that answer other requests.
        self._turns = CapacityLimiter(MAKERS)

    async def of(self, dataset: Dataset, split: Split, frame_id: str) -> bytes:
        """A small JPEG of a ready dataset's frame.

        Raises:
            NotFound: there is no such frame.
            ImageUnreadable: of this one there is no thumbnail to be had.
        """
        kept = await to_thread.run_sync(self._kept, dataset, split, frame_id)
        if kept is None:
            make = partial(self._make, dataset, split, frame_id)
            kept = await to_thread.run_sync(make, limiter=self._turns)
        if kept == NONE_TO_BE_HAD:
            raise ImageUnreadable(frame_id)
        return kept

    def close(self) -> None:
        self._makers.close()

    def _kept(self, dataset: Dataset, split: Split, frame_id: str) -> bytes | None:
        try:
            return self._store.read(_key(dataset, split, frame_id))
        except ObjectNotFound:
            return None

    def _make(self, dataset: Dataset, split: Split, frame_id: str) -> bytes:
        """Two requests at once make the same bytes twice, and write them to one key."""
        if (kept := self._kept(dataset, split, frame_id)) is not None:  # made while we waited
            return kept
        data = self._image(dataset, split, frame_id)
        try:
            made = self._makers.ask(lambda maker: maker.make(data), dataset.tenant) or NONE_TO_BE_HAD
        except ChildDied:
            made = NONE_TO_BE_HAD
        except RuntimeError as error:  # it does not even start
            log.error("no thumbnails", reason=str(error))
            raise Unavailable("maker of thumbnails") from None
        self._store.write(_key(dataset, split, frame_id), made)
        return made

    def _image(self, dataset: Dataset, split: Split, frame_id: str) -> bytes:
        for suffix in SUFFIXES:
            try:
                return self._store.read(keys.dataset(dataset.id, keys.image(split, frame_id, suffix)))
            except ObjectNotFound:
                continue
        raise NotFound("frame", frame_id)


def _key(dataset: Dataset, split: Split, frame_id: str) -> str:
    """Raises:
    NotFound: no frame can be called so, and no key is made of it.
    """
    if not is_frame_id(frame_id):
        raise NotFound("frame", frame_id)
    return keys.thumbnail(dataset.id, split, frame_id)


def _read(facts: Any, image: bytes, _nothing: bytes) -> bytes | None:
    if "refused" in facts:
        return None
    if not image.startswith(b"\xff\xd8\xff"):  # whatever it is then, no browser shall guess
        raise ValueError(image[:3])
    return image
