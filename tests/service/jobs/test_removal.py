"""A deleted dataset is gone at once, and its objects soon after."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from service.errors import NotFound
from service.jobs.database import Database
from service.jobs.job import DatasetState
from service.jobs.library import Library
from service.jobs.removal import remove_dataset, sweep_datasets
from service.jobs.submit import Desk, QualityWish, retry, submit_quality
from service.jobs.tables import datasets
from service.storage import keys
from service.storage.object_store import ObjectStore


def test_its_objects_are_swept_away_and_nothing_else_is(
    database: Database, store: ObjectStore, add_dataset: Callable[..., str]
) -> None:
    for dataset_id in ("ds-1", "ds-12"):
        add_dataset(dataset_id)
        store.write(keys.manifest(dataset_id), b"{}")
        store.write(keys.dataset(dataset_id, "images/train/a.jpg"), b"jpeg")
        store.write(keys.thumbnail(dataset_id, "train", "a"), b"small")
    remove_dataset(database, "ds-1")
    library = Library(database)
    with pytest.raises(NotFound):
        library.dataset("ds-1")
    assert [dataset.id for dataset in library.datasets(10, None)] == ["ds-12"]
    assert store.exists(keys.manifest("ds-1"))
    assert sweep_datasets(database, store) == ["ds-1"]
    assert sweep_datasets(database, store) == []
    assert store.keys("datasets") == ["datasets/ds-12/images/train/a.jpg", keys.manifest("ds-12")]
    assert store.keys("thumbnails") == [keys.thumbnail("ds-12", "train", "a")]
    with database.reading() as connection:
        assert list(connection.scalars(select(datasets.c.id))) == ["ds-12"]


def test_it_is_gone_for_good(database: Database, add_dataset: Callable[..., str]) -> None:
    add_dataset("ds-1", state=DatasetState.REJECTED)
    remove_dataset(database, "ds-1")
    with pytest.raises(NotFound):
        remove_dataset(database, "ds-1")


def test_that_of_another_tenant_is_not_there(database: Database, add_dataset: Callable[..., str]) -> None:
    add_dataset("ds-1")
    with pytest.raises(NotFound):
        remove_dataset(database, "ds-1", "other")
    assert Library(database).dataset("ds-1").state is DatasetState.READY
    remove_dataset(database, "ds-1", "local")


def test_a_job_is_not_tried_again_on_what_was_deleted(
    database: Database, desk: Desk, add_dataset: Callable[..., str]
) -> None:
    add_dataset("ds-1")
    job = submit_quality(desk, QualityWish("ds-1"))
    desk.jobs.cancel(job.id)
    remove_dataset(database, "ds-1")
    with pytest.raises(NotFound, match="ds-1"):
        retry(desk, job.id)
