"""What nobody waits for is removed, what somebody needs stays."""

import pytest
from sqlalchemy import select, update

from service.errors import InUse, NotFound
from service.jobs.database import Database
from service.jobs.job import JobKind, Stage
from service.jobs.library import Library
from service.jobs.records import UploadState
from service.jobs.store import JobStore
from service.jobs.submit import new_job
from service.jobs.tables import incoming_uploads, uploads
from service.storage import keys
from service.uploads.desk import UploadDesk
from service.uploads.refusals import UploadGone
from tests.service.uploads.conftest import begin, send

FOR_EVER = 1e9


def complete(desk: UploadDesk) -> str:
    upload_id = begin(desk, 100).id
    send(desk, upload_id, 0, bytes(100))
    return upload_id


def grow_old(database: Database, upload_id: str) -> None:
    with database.writing() as connection:
        connection.execute(
            update(incoming_uploads).where(incoming_uploads.c.id == upload_id).values(expires_at=1.0)
        )
        connection.execute(update(uploads).where(uploads.c.id == upload_id).values(created_at=1.0))


def use(database: Database, upload_id: str) -> str:
    spec = {"parts": [{"upload_id": upload_id}]}
    job = new_job(JobKind.GENERATOR_IMPORT, spec, first_stage=Stage.PUBLISH)
    JobStore(database).add([job])
    return job.id


def test_an_upload_without_news_is_given_up(desk: UploadDesk, database: Database) -> None:
    old, young = begin(desk, 100).id, begin(desk, 100).id
    for upload_id in (old, young):
        send(desk, upload_id, 0, bytes(70))
    grow_old(database, old)
    desk.sweeper(FOR_EVER)
    with pytest.raises(UploadGone):
        desk.look(old)
    assert all(young in key or key.startswith("parts") for key in desk.store.keys("incoming"))
    assert send(desk, young, 70, bytes(30)) == 100


def test_an_upload_that_is_being_written_to_is_not_given_up(desk: UploadDesk, database: Database) -> None:
    upload_id = begin(desk, 100).id

    def wait_too_long() -> None:
        grow_old(database, upload_id)
        desk.sweeper(FOR_EVER)

    assert send(desk, upload_id, 0, bytes(100), before_end=wait_too_long) == 100


def test_one_that_is_gone_is_forgotten_in_the_end(desk: UploadDesk, database: Database) -> None:
    upload_id = begin(desk, 100).id
    desk.terminate(upload_id)
    with pytest.raises(UploadGone):
        desk.look(upload_id)
    grow_old(database, upload_id)
    desk.sweeper(FOR_EVER)
    with pytest.raises(NotFound):
        desk.look(upload_id)


def test_a_complete_upload_is_removed_after_its_time_unless_a_job_names_it(
    desk: UploadDesk, database: Database
) -> None:
    served, used, young = (complete(desk) for _ in range(3))
    job_id = use(database, used)
    for upload_id in (served, used):
        grow_old(database, upload_id)
    desk.sweeper(3600.0)
    assert [desk.store.exists(keys.upload(each)) for each in (served, used, young)] == [False, True, True]
    with pytest.raises(NotFound):
        Library(database).upload(served)
    with pytest.raises(UploadGone):
        desk.look(served)
    JobStore(database).fail(job_id, "x", "x")
    desk.sweeper(3600.0)
    assert not desk.store.exists(keys.upload(used))


def test_a_plain_upload_is_removed_as_any_other(desk: UploadDesk, database: Database) -> None:
    desk.store.write(keys.upload("up-plain"), b"zip")
    Library(database).add_upload("up-plain", "day.zip", 3, "0" * 64)
    desk.terminate("up-plain")
    assert desk.store.keys("") == []
    with pytest.raises(NotFound):
        Library(database).upload("up-plain")


def test_an_upload_that_a_job_works_on_cannot_be_removed(desk: UploadDesk, database: Database) -> None:
    upload_id = complete(desk)
    job_id = use(database, upload_id)
    with pytest.raises(InUse, match=job_id):
        desk.terminate(upload_id)
    assert Library(database).upload(upload_id).size_bytes == 100


def test_an_end_that_a_server_left_is_made_without_its_client(
    desk: UploadDesk, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = begin(desk, 100).id

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("service.uploads.finish.Finisher.finish", die)
        with pytest.raises(KeyboardInterrupt):
            send(desk, upload_id, 0, bytes(100))
    desk.sweeper(FOR_EVER)
    with database.reading() as connection:
        assert connection.scalar(select(incoming_uploads.c.state)) == UploadState.COMPLETE
    assert desk.store.read(keys.upload(upload_id)) == bytes(100)


def test_a_stranger_neither_sees_nor_removes_an_upload(desk: UploadDesk) -> None:
    mine, theirs = desk.of("mine"), desk.of("theirs")
    open_id, complete_id = begin(mine, 100).id, complete(mine)
    for upload_id in (open_id, complete_id, "up-none"):
        for ask in (theirs.look, theirs.terminate, lambda each: send(theirs, each, 0, b"x")):
            with pytest.raises(NotFound):
                ask(upload_id)
    assert mine.look(complete_id).state is UploadState.COMPLETE
