"""Uploads and datasets as they are known by name: plain values, without SQL, for the client too."""

from dataclasses import dataclass
from typing import Any

from service.jobs.job import DatasetState


@dataclass(frozen=True, slots=True)
class Upload:
    id: str
    tenant: str
    filename: str
    size_bytes: int
    sha256: str
    created_at: float


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset's row; its frames lie in the store. `counts` are known once it is ready."""

    id: str
    tenant: str
    name: str
    state: DatasetState
    version: int
    job_id: str
    source: dict[str, Any]
    format: str | None
    categories: list[str]
    counts: dict[str, Any]
    created_at: float
