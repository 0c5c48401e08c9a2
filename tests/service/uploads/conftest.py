"""Uploads in pieces, small ones: on a disk, and in parts as S3 keeps them."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import fsspec
import pytest

from service.jobs.database import Database
from service.settings import Settings
from service.storage.multipart import Part
from service.storage.object_store import ObjectStore, open_store
from service.uploads.checksums import Checksum
from service.uploads.desk import UploadDesk, open_upload_desk
from service.uploads.digests import Digests
from service.uploads.incoming import Incoming
from service.uploads.metadata import parse_metadata
from service.uploads.on_s3 import S3Staging
from service.uploads.receive import ClientGone

PART_BYTES = 64
CHUNK_BYTES = 7  # what the line brings at a time


class PartsInMemory:
    """What S3 does with parts, as far as uploads rely on it."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._made = 0
        self.open: dict[str, dict[int, bytes]] = {}

    def begin(self, _key: str) -> str:
        self._made += 1
        self.open[f"parts-{self._made}"] = {}
        return f"parts-{self._made}"

    def put(self, _key: str, name: str, number: int, data: bytes) -> Part:
        if name not in self.open:
            raise FileNotFoundError(name)
        self.open[name][number] = data
        return Part(number, f"{hash(data)}")

    def complete(self, key: str, name: str, parts: list[Part]) -> None:
        stored = self.open.pop(name, None)
        if stored is None:
            raise FileNotFoundError(name)
        assert [part.number for part in parts] == sorted({part.number for part in parts})
        assert all(part.etag == f"{hash(stored[part.number])}" for part in parts)
        assert all(len(stored[part.number]) == PART_BYTES for part in parts[:-1])
        self._store.write(key, b"".join(stored[part.number] for part in parts))

    def abort(self, _key: str, name: str) -> None:
        self.open.pop(name, None)


def open_desk(kind: str, settings: Settings, database: Database) -> UploadDesk:
    if kind == "disk":
        return open_upload_desk(settings, database, open_store(settings))
    store = ObjectStore(fsspec.filesystem("memory", skip_instance_cache=True), f"/{id(settings)}")
    staging: Any = S3Staging(store, PartsInMemory(store))  # type: ignore[arg-type]
    return UploadDesk(settings, database, store, staging, Digests())


@pytest.fixture(scope="session")
def empty_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: the migrations take longer than most of these tests."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("tables"))
    database = Database.of(settings)
    database.migrate()
    database.close()
    return settings.data_dir / "nightshift.sqlite3"


@pytest.fixture
def database(settings: Settings, empty_tables: Path) -> Iterator[Database]:
    settings.data_dir.mkdir()
    shutil.copy(empty_tables, settings.data_dir)
    database = Database.of(settings)
    yield database
    database.close()


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.uploads.receive.BLOCK_BYTES", 16)
    monkeypatch.setattr("service.uploads.receive.CLAIM_BYTES", 48)
    monkeypatch.setattr("service.uploads.on_s3.part_bytes", lambda _size_bytes: PART_BYTES)


@pytest.fixture(params=["disk", "parts"])
def desk(request: pytest.FixtureRequest, settings: Settings, database: Database) -> UploadDesk:
    return open_desk(request.param, settings, database)


def another_host(desk: UploadDesk) -> UploadDesk:
    """That knows nothing but what is in the database and the store."""
    return replace(desk, digests=Digests())


def begin(desk: UploadDesk, size_bytes: int, metadata: str = "") -> Incoming:
    return desk.create(size_bytes, parse_metadata(metadata))


async def _pieces(data: bytes, is_cut: bool, before_end: Callable[[], None] | None) -> AsyncIterator[bytes]:
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]
    if before_end is not None:
        await anyio.to_thread.run_sync(before_end)
    if is_cut:
        raise ClientGone


def send(
    desk: UploadDesk,
    upload_id: str,
    offset_bytes: int,
    data: bytes,
    *,
    is_cut: bool = False,
    checksum: str | None = None,
    length_bytes: int | None = None,
    before_end: Callable[[], None] | None = None,
) -> int:
    """One piece. `is_cut`: the line breaks after the data; `before_end` is called when all data have come."""

    async def receive() -> int:
        summed = None if checksum is None else Checksum(checksum)
        chunks = _pieces(data, is_cut, before_end)
        return await desk.receiver.receive(upload_id, offset_bytes, chunks, length_bytes, summed)

    return anyio.run(receive)
