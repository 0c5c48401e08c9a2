"""Uploads in pieces on a real S3 server, by hosts that share nothing but the bucket and the database."""

import hashlib
import itertools
import random

import pytest
from sqlalchemy import update

from service.errors import NotFound
from service.jobs.database import Database
from service.jobs.library import Library
from service.jobs.records import UploadState
from service.jobs.tables import incoming_uploads
from service.settings import Settings
from service.storage import keys
from service.storage.object_store import open_store
from service.uploads.desk import UploadDesk, open_upload_desk
from service.uploads.refusals import UploadGone, UploadLocked
from tests.servers.ceph import CephServer
from tests.service.uploads.conftest import begin, send

pytestmark = pytest.mark.servers
MIB = 1 << 20
DATA = random.Random(0).randbytes(20 * MIB + 12345)


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts as large as S3 wants them."""
    monkeypatch.setattr("tests.service.uploads.conftest.CHUNK_BYTES", 256 << 10)


@pytest.fixture
def hosts(settings: Settings, database: Database, s3_server: CephServer) -> list[UploadDesk]:
    in_s3 = settings.model_copy(
        update={
            "store_url": f"s3://{s3_server.new_bucket()}/some/prefix",
            "s3_endpoint_url": s3_server.endpoint_url,
            "s3_key": s3_server.key,
            "upload_lock_seconds": 3600.0,  # nothing is claimed just because time goes by
            "s3_secret": type(settings.s3_secret)(s3_server.secret),
        }
    )
    return [open_upload_desk(in_s3, database, open_store(in_s3)) for _ in range(2)]


def test_any_host_goes_on_where_another_one_stopped(hosts: list[UploadDesk], database: Database) -> None:
    first, second = hosts
    upload_id = begin(first, len(DATA)).id
    places = [0, 1000, 9 * MIB, 9 * MIB + 5, 17 * MIB, len(DATA)]
    for number, (start, end) in enumerate(itertools.pairwise(places)):
        host = hosts[number % 2]
        assert send(host, upload_id, start, DATA[start:end]) == end
        assert second.look(upload_id).offset_bytes == end
    assert Library(database).upload(upload_id).sha256 == hashlib.sha256(DATA).hexdigest()
    assert first.store.read(keys.upload(upload_id)) == DATA
    assert first.store.keys("") == [keys.upload(upload_id)], "no tail is left"
    assert open_uploads(first) == []


def test_a_host_that_dies_at_the_end_is_stood_in_for(
    hosts: list[UploadDesk], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = hosts
    for step in ("Finisher.finish", "IncomingUploads.complete"):
        module = "finish" if step.startswith("Finisher") else "incoming"
        upload_id = begin(first, 9 * MIB).id

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(f"service.uploads.{module}.{step}", die)
            with pytest.raises(KeyboardInterrupt):
                send(first, upload_id, 0, DATA[: 9 * MIB])
        assert second.look(upload_id).state is UploadState.COMPLETE
        assert second.store.read(keys.upload(upload_id)) == DATA[: 9 * MIB]


def test_one_that_comes_back_after_its_lock_was_taken_spoils_nothing(
    hosts: list[UploadDesk], database: Database
) -> None:
    first, second = hosts
    upload_id = begin(first, len(DATA)).id

    def overtake() -> None:
        with database.writing() as connection:
            connection.execute(update(incoming_uploads).values(locked_until=1.0))
        offset = second.look(upload_id).offset_bytes
        send(second, upload_id, offset, DATA[offset : 18 * MIB])

    with pytest.raises(UploadLocked):
        send(first, upload_id, 0, DATA[: 9 * MIB] + DATA[: 6 * MIB], before_end=overtake)
    send(first, upload_id, 18 * MIB, DATA[18 * MIB :])
    assert first.store.read(keys.upload(upload_id)) == DATA


def test_nothing_is_left_of_an_upload_that_is_given_up(hosts: list[UploadDesk], database: Database) -> None:
    first, second = hosts
    upload_id = begin(first, len(DATA)).id
    send(first, upload_id, 0, DATA[: 9 * MIB])
    assert len(open_uploads(first)) == 1
    second.terminate(upload_id)
    with pytest.raises(UploadGone):
        first.look(upload_id)
    assert (first.store.keys(""), open_uploads(first)) == ([], [])
    with pytest.raises(NotFound):
        Library(database).upload(upload_id)


def open_uploads(desk: UploadDesk) -> list[object]:
    """Objects in S3 of which only parts are there."""
    multipart = desk.store.multipart
    assert multipart is not None
    answer = multipart._files.call_s3("list_multipart_uploads", Bucket=multipart._bucket)
    found: list[object] = answer.get("Uploads", [])
    return found
