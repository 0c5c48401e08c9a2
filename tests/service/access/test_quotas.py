"""What a tenant may keep and have under way; another's use does not count."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from service.access.quotas import check_upload_quota, usage
from service.errors import StorageFull, StorageQuotaExceeded, TooManyJobs, UploadTooLarge
from service.jobs.database import Database
from service.jobs.job import JobKind
from service.jobs.leases import LeaseStore
from service.jobs.library import Library
from service.jobs.removal import remove_dataset
from service.jobs.store import JobStore, NewJob, new_id
from service.jobs.submit import new_job
from service.settings import Settings
from service.uploads.incoming import IncomingUploads
from service.uploads.metadata import parse_metadata


def upload(database: Database, tenant: str, size_bytes: int) -> None:
    Library(database, tenant).add_upload(new_id("up"), "day.zip", size_bytes, "0" * 64)


def job() -> NewJob:
    return new_job(JobKind.QUALITY, {})


def test_uploads_are_refused_beyond_what_the_tenant_may_keep(settings: Settings, database: Database) -> None:
    limited = settings.model_copy(update={"max_stored_bytes": 100, "max_upload_bytes": 60})
    upload(database, "acme", 50)
    check_upload_quota(database, limited, "acme", 50)
    with pytest.raises(StorageQuotaExceeded, match="50 of 100"):
        check_upload_quota(database, limited, "acme", 51)
    with pytest.raises(UploadTooLarge, match="60"):
        check_upload_quota(database, limited, "acme", 61)
    check_upload_quota(database, limited, "other", 60)


def dataset(database: Database, tenant: str, size_bytes: int) -> str:
    """A ready one, as a job leaves it."""
    first = new_job(JobKind.INGEST, {}, result=row())
    JobStore(database, tenant).add([first])
    leases = LeaseStore(database, 30.0, 3)
    plan = leases.claim(first.id, 0, "worker")
    assert plan is not None
    leases.finish_plan(plan, [], {})
    publish = leases.claim(first.id, 1, "worker")
    assert publish is not None
    assert leases.finish_publish(publish, {}, {"size_bytes": size_bytes})
    return str(JobStore(database).job(first.id).result_id)


def row() -> dict[str, Any]:
    return {"id": new_id("ds"), "name": "", "source": {}, "format": None}


def test_datasets_count_once_they_are_ready_and_until_they_are_deleted(
    settings: Settings, database: Database
) -> None:
    limited = settings.model_copy(update={"max_stored_bytes": 100})
    JobStore(database, "acme").add([new_job(JobKind.INGEST, {}, result=row())])
    assert usage(database, "acme").stored_bytes == 0
    made = dataset(database, "acme", 70)
    upload(database, "acme", 7)
    assert (usage(database, "acme").stored_bytes, usage(database, "other").stored_bytes) == (77, 0)
    with pytest.raises(StorageQuotaExceeded, match="77 of 100"):
        check_upload_quota(database, limited, "acme", 24)
    remove_dataset(database, made)
    assert usage(database, "acme").stored_bytes == 7


def test_a_tenant_without_room_makes_no_further_dataset(database: Database) -> None:
    dataset(database, "acme", 100)
    full, roomy = (JobStore(database, "acme", most_bytes=most) for most in (100, 101))
    with pytest.raises(StorageFull, match="100 of 100"):
        full.add([job(), new_job(JobKind.TRANSLATION, {}, result=row())])
    assert len(full.jobs(10, None)) == 1, "all or none"
    full.add([job()])  # what makes no dataset needs no room
    roomy.add([new_job(JobKind.TRANSLATION, {}, result=row())])


def announce(database: Database) -> None:
    uploads = IncomingUploads(database, 15.0, 60.0, "acme")
    uploads.create(new_id("up"), 10, parse_metadata(""), most_bytes=35)


def send(database: Database) -> None:
    Library(database, "acme").add_upload(new_id("up"), "day.zip", 10, "0" * 64, most_bytes=35)


@pytest.mark.parametrize("take", [announce, send])
def test_uploads_at_once_do_not_all_find_room(database: Database, take: Callable[[Database], None]) -> None:
    ready = threading.Barrier(8)

    def attempt(_number: int) -> bool:
        with closing(Database(database.url)) as own:
            ready.wait(10)
            try:
                take(own)
            except StorageQuotaExceeded:
                return False
            return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(attempt, range(8))) == [False] * 5 + [True] * 3
    assert usage(database, "acme").stored_bytes == 30


def test_use_is_counted_by_tenant(database: Database) -> None:
    upload(database, "acme", 7)
    jobs = JobStore(database, "acme")
    jobs.add([job(), job()])
    jobs.cancel(jobs.jobs(1, None)[0].id)
    assert (usage(database, "acme").stored_bytes, usage(database, "acme").active_jobs) == (7, 1)
    assert (usage(database, "other").stored_bytes, usage(database, "other").active_jobs) == (0, 0)


def test_jobs_are_refused_beyond_what_may_be_under_way(database: Database) -> None:
    jobs = JobStore(database, "acme", most_active=2)
    jobs.add([job()])
    with pytest.raises(TooManyJobs, match="2 jobs"):
        jobs.add([job(), job()])
    assert len(jobs.jobs(10, None)) == 1, "all or none"
    jobs.add([job()])
    JobStore(database, "other", most_active=2).add([job()])
    jobs.cancel(jobs.jobs(1, None)[0].id)
    jobs.add([job()])


def test_submissions_at_once_do_not_all_find_room(database: Database) -> None:
    ready = threading.Barrier(8)
    refused = []

    def submit() -> None:
        own = Database(database.url)
        ready.wait(10)
        try:
            JobStore(own, "acme", most_active=3).add([job()])
        except TooManyJobs as error:
            refused.append(error)
        own.close()

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(refused) == 5
    assert usage(database, "acme").active_jobs == 3


def test_what_the_machinery_makes_belongs_to_whom_it_comes_from(database: Database) -> None:
    first = job()
    JobStore(database, "acme").add([first])
    machinery, second = JobStore(database), new_job(JobKind.QUALITY, {}, after_id=first.id)
    machinery.add([second])
    assert machinery.job(second.id).tenant == "acme"
