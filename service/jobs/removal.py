"""Datasets that nobody needs any more. The state goes first; objects and row are swept away after it."""

from typing import Any

from sqlalchemy import Connection, delete, select

from service.errors import InUse, NotFound
from service.jobs.database import Database
from service.jobs.job import FINAL_JOB_STATES, DatasetState
from service.jobs.moves import move_dataset
from service.jobs.tables import datasets, jobs
from service.storage import keys
from service.storage.object_store import ObjectStore

REMOVABLE = (DatasetState.READY, DatasetState.REJECTED)
# The reconciler's rounds wait for it.
MOST_AT_ONCE = 1


def remove_dataset(database: Database, dataset_id: str, tenant: str | None = None) -> None:
    """From now on it is not found.

    Raises:
        InUse: a job that has not ended makes it, or works on it, or will.
    """
    with database.writing() as connection:
        columns = (datasets.c.tenant, datasets.c.state, datasets.c.job_id)
        row = connection.execute(select(*columns).where(datasets.c.id == dataset_id)).first()
        is_there = row is not None and row.state != DatasetState.DELETED
        if row is None or not is_there or tenant not in (None, row.tenant):
            raise NotFound("dataset", dataset_id)
        job_id = _user(connection, row.tenant, dataset_id)
        if job_id is not None:
            raise InUse(f"Dataset {dataset_id}", job_id)
        moved = [move_dataset(connection, dataset_id, state, DatasetState.DELETED) for state in REMOVABLE]
        if not any(moved):  # a job is about to be made for it
            raise InUse(f"Dataset {dataset_id}", row.job_id)


def sweep_datasets(database: Database, store: ObjectStore) -> list[str]:
    """Those that were removed: their objects, then their rows. Safe to do twice at once."""
    query = select(datasets.c.id).where(datasets.c.state == DatasetState.DELETED).limit(MOST_AT_ONCE)
    with database.reading() as connection:
        removed = list(connection.scalars(query))
    for dataset_id in removed:
        store.delete(keys.thumbnails(dataset_id))
        store.delete(keys.dataset(dataset_id))
        with database.writing() as connection:
            connection.execute(delete(datasets).where(datasets.c.id == dataset_id))
    return removed


def _user(connection: Connection, tenant: str, dataset_id: str) -> str | None:
    """A job under way that names the dataset anywhere in what was asked of it."""
    query = select(jobs.c.id, jobs.c.dataset_id, jobs.c.result_id, jobs.c.spec)
    under_way = query.where(jobs.c.tenant == tenant, jobs.c.state.not_in(list(FINAL_JOB_STATES)))
    for job in connection.execute(under_way):
        if dataset_id in (job.dataset_id, job.result_id) or _names(job.spec, dataset_id):
            return str(job.id)
    return None


def _names(wish: Any, dataset_id: str) -> bool:
    if isinstance(wish, dict):
        return any(_names(value, dataset_id) for value in wish.values())
    if isinstance(wish, list):
        return any(_names(value, dataset_id) for value in wish)
    return bool(wish == dataset_id)
