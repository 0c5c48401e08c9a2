"""Datasets: made from an upload, read page by page, downloaded as a stream."""

from enum import StrEnum
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field, model_validator

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.byte_ranges import Part
from service.api.dependencies import Cursor, Here, Limit, Services, age_cursor, following, services
from service.api.downloads import (
    ELSEWHERE,
    KEPT,
    attachment,
    content,
    content_in_parts,
    download,
    elsewhere,
    made_while_sent,
    stored,
)
from service.api.idempotency import IdempotentRoute
from service.api.jobs import job_report, job_view
from service.api.views import DatasetAndJob, DatasetView, FrameView, Page
from service.datasets.dataset import Split
from service.datasets.plan import Options
from service.datasets.selection import Selection
from service.errors import NotFound
from service.exports import ExportFormat, export_zip
from service.frames.filter import FrameFilter
from service.frames.page import frame_page
from service.jobs.job import Job
from service.jobs.removal import remove_dataset
from service.jobs.submit import IngestWish, submit_ingest
from service.storage import keys
from service.storage.import_uris import BucketFolder, registered_folder


class DatasetRoute(IdempotentRoute):
    """Its requests make a dataset, by a job."""

    def again(self, request: Request, made_id: str) -> BaseModel:
        here = services(request)
        return _dataset_and_job(here, here.desk.jobs.job(made_id))


router = APIRouter(prefix="/datasets", tags=["datasets"], route_class=DatasetRoute)
SUFFIXES = {".jpg": "image/jpeg", ".png": "image/png"}
Word = Annotated[str | None, Query(max_length=200)]
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


def frame_filter(
    timeofday: Word = None, category: Word = None, split: Split | None = None, suspect: bool | None = None,
    text: Annotated[str | None, Query(max_length=200, description="a part of the frame's id")] = None,
) -> FrameFilter:  # fmt: skip
    """`timeofday`: a tag, or "untagged". `category`: at least one object of it. `suspect`: whether the pixels
    contradict the tag."""
    return FrameFilter(timeofday, category, split, suspect, text)


Wanted = Annotated[FrameFilter, Depends(frame_filter)]


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
    return _dataset_and_job(here, job)


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
def list_frames(
    dataset_id: str, here: Here, wanted: Wanted, limit: Limit = 50, cursor: Cursor = None
) -> Page[FrameView]:
    """The manifest, page by page. Where few frames are wanted a page may hold fewer than `limit`, or none,
    and have a `next_cursor` all the same: no request searches for long. A cursor is good for its own filter.
    """
    dataset = here.desk.library.ready_dataset(dataset_id)
    listing = f"frames of {dataset.id} {wanted.digest}"
    start_byte = 0 if cursor is None else here.cursors.decode(listing, cursor, int)[0]
    page = frame_page(here.store, dataset.id, wanted, start_byte, limit)
    next_cursor = None if page.next_byte is None else here.cursors.encode(listing, [page.next_byte])
    return Page(items=[_frame_view(dataset.id, entry) for entry in page.entries], next_cursor=next_cursor)


@download(
    router,
    "/{dataset_id}/frames/{split}/{frame_id}/image",
    Scope.DATASETS_READ,
    content_in_parts(*SUFFIXES.values()) | ELSEWHERE | NOT_READY,
)
def get_image(dataset_id: str, split: Split, frame_id: str, here: Here, part: Part) -> Response:
    dataset = here.desk.library.ready_dataset(dataset_id)
    for suffix, media_type in SUFFIXES.items():
        key = keys.dataset(dataset.id, keys.image(split, frame_id, suffix))
        if "/" not in frame_id and here.store.exists(key):
            link = elsewhere(here.store, key, part, media_type, "inline")
            return link or stored(here.store, key, part, media_type, **KEPT)
    raise NotFound("frame", frame_id)


@router.get(
    "/{dataset_id}/frames/{split}/{frame_id}/thumbnail",
    response_class=Response,
    responses=content("image/jpeg") | NOT_READY,
    dependencies=[needs(Scope.DATASETS_READ)],
)
async def get_thumbnail(dataset_id: str, split: Split, frame_id: str, here: Here) -> Response:
    """A JPEG of 320 pixels' width, or less where the image is small; made when it is first asked for."""
    dataset = await run_in_threadpool(here.desk.library.ready_dataset, dataset_id)
    data = await here.thumbnails.of(dataset, split, frame_id)
    return Response(data, media_type="image/jpeg", headers=KEPT)


@download(
    router,
    "/{dataset_id}/files/{name}",
    Scope.DATASETS_READ,
    content_in_parts("text/plain") | ELSEWHERE | NOT_READY,
)
def get_file(dataset_id: str, name: FileName, here: Here, part: Part) -> Response:
    """The dataset's card, data.yaml or manifest."""
    dataset = here.desk.library.ready_dataset(dataset_id)
    key = keys.dataset(dataset.id, name)
    kept_as = attachment(f"{dataset.id}-{name}")["Content-Disposition"]
    link = elsewhere(here.store, key, part, "text/plain; charset=utf-8", kept_as)
    return link or stored(here.store, key, part, "text/plain")


@download(router, "/{dataset_id}/archive", Scope.DATASETS_READ, content("application/zip") | NOT_READY)
def get_archive(
    dataset_id: str,
    here: Here,
    part: Part,
    form: Annotated[ExportFormat, Query(alias="format")] = ExportFormat.YOLO,
) -> Response:
    """The whole dataset as a zip, made while it is sent."""
    dataset = here.desk.library.ready_dataset(dataset_id)
    kept_as = attachment(f"{dataset.id}-{form}.zip")
    return made_while_sent(export_zip(here.store, dataset, form), part, "application/zip", **kept_as)


def _dataset_and_job(here: Services, job: Job) -> DatasetAndJob:
    dataset = here.desk.library.dataset(str(job.result_id))
    return DatasetAndJob(dataset=DatasetView.of(dataset), job=job_view(here, job))


def _folder(here: Services, source_uri: str | None) -> BucketFolder | None:
    if source_uri is None:
        return None
    return registered_folder(source_uri, here.settings.import_buckets, here.caller.tenant)


def _frame_view(dataset_id: str, entry: dict[str, Any]) -> FrameView:
    split, frame_id = entry["frame"]["split"], entry["frame"]["id"]
    frame_url = f"/v1/datasets/{dataset_id}/frames/{split}/{frame_id}"
    return FrameView(entry=entry, image_url=f"{frame_url}/image", thumbnail_url=f"{frame_url}/thumbnail")
