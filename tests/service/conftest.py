"""Datasets as workers leave them in SQL, without a worker."""

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import insert

from service.jobs.database import Database, database_now
from service.jobs.job import DatasetState
from service.jobs.tables import datasets

AddDataset = Callable[..., str]


@pytest.fixture
def add_dataset(database: Database) -> AddDataset:
    def add(
        dataset_id: str,
        categories: Sequence[str] = ("car", "bus"),
        boxes: int = 40,
        state: DatasetState = DatasetState.READY,
    ) -> str:
        counts = {"frames": 20, "boxes": boxes} if state is DatasetState.READY else {}
        with database.writing() as connection:
            connection.execute(
                insert(datasets).values(
                    id=dataset_id, name=f"frames of {dataset_id}", state=state, version=1, job_id="job-old",
                    source={}, format="yolo", categories=list(categories), counts=counts,
                    created_at=database_now(),
                )
            )  # fmt: skip
        return dataset_id

    return add
