"""What a tenant may keep and have under way; another's use does not count."""

import threading

import pytest

from service.access.quotas import check_upload_quota, usage
from service.errors import StorageQuotaExceeded, TooManyJobs, UploadTooLarge
from service.jobs.database import Database
from service.jobs.job import JobKind
from service.jobs.library import Library
from service.jobs.store import JobStore, NewJob, new_id
from service.jobs.submit import new_job
from service.settings import Settings


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
