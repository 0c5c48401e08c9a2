"""Uploads and datasets as they are known by name: plain values, without SQL, for the client too."""

from dataclasses import dataclass
from enum import StrEnum
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


class UploadState(StrEnum):
    """Of an upload that comes in pieces. `finishing`: every byte is there, the object is being made of
    them."""

    RECEIVING = "receiving"
    FINISHING = "finishing"
    COMPLETE = "complete"
    CORRUPT = "corrupt"
    TERMINATED = "terminated"
    EXPIRED = "expired"
    REMOVED = "removed"


# These take room: what they have announced is reserved for them.
OPEN_UPLOAD_STATES = (UploadState.RECEIVING, UploadState.FINISHING)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset's row; its frames lie in the store. `counts` and its size are known once it is ready."""

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
    size_bytes: int
    created_at: float
