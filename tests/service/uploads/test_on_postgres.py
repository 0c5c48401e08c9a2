"""The rows of uploads on PostgreSQL, where writers do not wait for each other by themselves."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.errors import NightshiftError, NotFound
from service.jobs.database import Database
from service.jobs.library import Library
from service.jobs.records import UploadState
from service.settings import Settings
from service.storage import keys
from service.uploads.desk import UploadDesk
from service.uploads.refusals import OffsetMismatch, UploadLocked
from tests.servers.postgres import PostgresServer
from tests.service.uploads.conftest import another_host, begin, open_desk, send

pytestmark = pytest.mark.servers
DATA = bytes(range(256))


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    database = Database(postgres_server.new_database())
    database.migrate()
    yield database
    database.close()


@pytest.fixture(params=["disk", "parts"])
def desk(request: pytest.FixtureRequest, settings: Settings, database: Database) -> UploadDesk:
    settings.data_dir.mkdir()
    return open_desk(request.param, settings, database)


def test_an_upload_lives_and_is_removed(desk: UploadDesk, database: Database) -> None:
    upload_id = begin(desk, len(DATA), "filename " + "w7w=").id
    send(desk, upload_id, 0, DATA[:100])
    with pytest.raises(OffsetMismatch):
        send(desk, upload_id, 0, DATA)
    send(another_host(desk), upload_id, 100, DATA[100:])
    assert Library(database).upload(upload_id).filename == "ü"
    assert desk.incoming.reserved_bytes() == 0
    desk.sweeper(kept_seconds=0.0)
    assert desk.store.keys("") == []
    with pytest.raises(NotFound):
        Library(database).upload(upload_id)


def test_of_many_who_send_at_once_one_is_heard(desk: UploadDesk) -> None:
    upload_id = begin(desk, len(DATA)).id

    def attempt(_number: int) -> int | NightshiftError:
        try:
            return send(another_host(desk), upload_id, 0, DATA)
        except NightshiftError as refusal:
            return refusal

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(attempt, range(8)))
    assert answers.count(len(DATA)) == 1
    assert desk.look(upload_id).state is UploadState.COMPLETE
    assert desk.store.read(keys.upload(upload_id)) == DATA


def test_two_hosts_cannot_hold_the_same_lock(desk: UploadDesk) -> None:
    upload_id = begin(desk, len(DATA)).id

    def attempt(number: int) -> bool:
        try:
            desk.incoming.lock(upload_id, f"host {number}", UploadState.RECEIVING)
        except UploadLocked:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
