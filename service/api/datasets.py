"""Datasets: made from an upload, read page by page, downloaded as a stream."""

import json
from enum import StrEnum
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Cursor, Here, Limit, Services, age_cursor, following
from service.api.downloads import ELSEWHERE, KEPT, attachment, content, elsewhere, streamed
from service.api.idempotency import IdempotentRoute
from service.api.jobs import job_report, job_view
from service.api.views import DatasetAndJob, DatasetView, FrameView, Page
from service.datasets.dataset import Split
from service.datasets.plan import Options
from service.datasets.selection import Selection
from service.errors import NotFound
from service.exports import ExportFormat, export_zip
from service.jobs.removal import remove_dataset
from service.jobs.submit import IngestWish, submit_ingest
from service.storage import keys
from service.storage.import_uris import BucketFolder, registered_folder

router = APIRouter(prefix="/datasets", tags=["datasets"], route_class=IdempotentRoute)
SUFFIXES = {".jpg": "image/jpeg", ".png": "image/png"}
NOT_READY: dict[int | str, dict[str, Any]] = {409: {}}


class NewDataset(BaseModel):
    """From an upload, or from `source_uri`: s3://bucket/prefix/ of a bucket that the operator has registered.
    `select`: which frames, such as {"timeofday": ["daytime"], "split": ["train"]}. `category_map`: names
    that are to become others. `strict`: one faulty item rejects the whole dataset."""

    model_config = ConfigDict(extra="forbid", strict=True)

    upload_id: str | None = None
    source_uri: Annotated[str | None, Field(max_length=2000)] = None
    name: Annotated[str, Field(max_length=200)] = ""
    select: dict[str, list[str]] = {}
    category_map: dict[str, str] = {}
    ignore_unknown: bool = False
    unlabelled: bool = False
    exclude_suspects: bool = False
    strict: bool = False
    licence: Annotated[str, Field(max_length=1000)] = ""

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.upload_id is None) == (self.source_uri is None):
            raise ValueError("give one of upload_id and source_uri")
        return self


class FileName(StrEnum):
    CARD = "card.json"
    DATA_YAML = "data.yaml"
    MANIFEST = "manifest.jsonl"


@router.post("", status_code=202, dependencies=[needs(Scope.DATASETS_WRITE)])
def create_dataset(wish: NewDataset, here: Here) -> DatasetAndJob:
    """Read an upload, or a folder of a registered bucket, as a dataset: the format is found by itself.
    Answers at once; follow the job.
    """
    options = Options(
        selection=Selection.from_json(wish.select),
        category_map=wish.category_map,
        ignore_unknown=wish.ignore_unknown,
        unlabelled=wish.unlabelled,
    )
    job = submit_ingest(
        here.desk,
        IngestWish(
            upload_id=wish.upload_id,
            name=wish.name,
            options=options,
            exclude_suspects=wish.exclude_suspects,
            strict=wish.strict,
            licence=wish.licence,
            folder=_folder(here, wish.source_uri),
        ),
    )
    dataset = here.desk.library.dataset(str(job.result_id))
    return DatasetAndJob(dataset=DatasetView.of(dataset), job=job_view(here, job))


@router.get("", dependencies=[needs(Scope.DATASETS_READ)])
def list_datasets(here: Here, limit: Limit = 50, cursor: Cursor = None) -> Page[DatasetView]:
    """Newest first."""
    found = here.desk.library.datasets(limit + 1, age_cursor(here, "datasets", cursor))
    next_cursor = following(here, "datasets", found, limit)
    return Page(items=[DatasetView.of(dataset) for dataset in found[:limit]], next_cursor=next_cursor)


@router.get("/{dataset_id}", dependencies=[needs(Scope.DATASETS_READ)])
def get_dataset(dataset_id: str, here: Here) -> DatasetView:
    return DatasetView.of(here.desk.library.dataset(dataset_id))


@router.delete(
    "/{dataset_id}", status_code=204, dependencies=[needs(Scope.DATASETS_WRITE)], responses={409: {}}
)
def delete_dataset(dataset_id: str, here: Here) -> None:
    """It is gone at once; its objects are removed soon after. Not while a job makes it or works on it."""
    remove_dataset(here.database, dataset_id, here.caller.tenant)


@router.get("/{dataset_id}/report", dependencies=[needs(Scope.DATASETS_READ)])
def get_report(dataset_id: str, here: Here) -> dict[str, Any]:
    """What was found while the dataset was made: every rejected or changed item with its reason."""
    dataset = here.desk.library.dataset(dataset_id)
    return job_report(here, here.desk.jobs.job(dataset.job_id))


@router.get("/{dataset_id}/frames", responses=NOT_READY, dependencies=[needs(Scope.DATASETS_READ)])
def list_frames(dataset_id: str, here: Here, limit: Limit = 50, cursor: Cursor = None) -> Page[FrameView]:
    """The manifest, page by page."""
    dataset = here.desk.library.ready_dataset(dataset_id)
    listing = f"frames of {dataset.id}"
    start_byte = 0 if cursor is None else here.cursors.decode(listing, cursor, int)[0]
    lines, next_byte = _manifest_lines(here, dataset.id, start_byte, limit)
    items = [_frame_view(dataset.id, json.loads(line)) for line in lines]
    next_cursor = None if next_byte is None else here.cursors.encode(listing, [next_byte])
    return Page(items=items, next_cursor=next_cursor)


@router.get(
    "/{dataset_id}/frames/{split}/{frame_id}/image",
    response_class=Response,
    responses=content(*SUFFIXES.values()) | ELSEWHERE | NOT_READY,
    dependencies=[needs(Scope.DATASETS_READ)],
)
def get_image(dataset_id: str, split: Split, frame_id: str, here: Here) -> Response:
    dataset = here.desk.library.ready_dataset(dataset_id)
    for suffix, media_type in SUFFIXES.items():
        key = keys.dataset(dataset.id, keys.image(split, frame_id, suffix))
        if "/" not in frame_id and here.store.exists(key):
            return elsewhere(here.store, key, media_type, "inline") or Response(
                here.store.read(key), media_type=media_type, headers=KEPT
            )
    raise NotFound("frame", frame_id)


@router.get(
    "/{dataset_id}/files/{name}",
    response_class=PlainTextResponse,
    responses=ELSEWHERE | NOT_READY,
    dependencies=[needs(Scope.DATASETS_READ)],
)
def get_file(dataset_id: str, name: FileName, here: Here) -> Response:
    """The dataset's card, data.yaml or manifest."""
    dataset = here.desk.library.ready_dataset(dataset_id)
    key = keys.dataset(dataset.id, name)
    kept_as = attachment(f"{dataset.id}-{name}")["Content-Disposition"]
    link = elsewhere(here.store, key, "text/plain; charset=utf-8", kept_as)
    return link or streamed(here.store, key, "text/plain")


@router.get(
    "/{dataset_id}/archive",
    response_class=Response,
    responses=content("application/zip") | NOT_READY,
    dependencies=[needs(Scope.DATASETS_READ)],
)
def get_archive(
    dataset_id: str, here: Here, form: Annotated[ExportFormat, Query(alias="format")] = ExportFormat.YOLO
) -> StreamingResponse:
    """The whole dataset as a zip, made while it is sent."""
    dataset = here.desk.library.ready_dataset(dataset_id)
    return StreamingResponse(
        export_zip(here.store, dataset, form),
        media_type="application/zip",
        headers=attachment(f"{dataset.id}-{form}.zip"),
    )


def _folder(here: Services, source_uri: str | None) -> BucketFolder | None:
    if source_uri is None:
        return None
    return registered_folder(source_uri, here.settings.import_buckets, here.caller.tenant)


def _manifest_lines(
    here: Here, dataset_id: str, start_byte: int, limit: int
) -> tuple[list[bytes], int | None]:
    """Lines from a byte on, and where the next page starts: a page costs the same anywhere in the file."""
    lines: list[bytes] = []
    with here.store.open(keys.manifest(dataset_id)) as file:
        file.seek(start_byte)
        for line in file:
            if len(lines) == limit:
                return lines, start_byte
            lines.append(line)
            start_byte += len(line)
    return lines, None


def _frame_view(dataset_id: str, entry: dict[str, Any]) -> FrameView:
    split, frame_id = entry["frame"]["split"], entry["frame"]["id"]
    return FrameView(entry=entry, image_url=f"/v1/datasets/{dataset_id}/frames/{split}/{frame_id}/image")
