"""Datasets: made from an upload, read page by page, downloaded as a stream."""

import json
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from service.api.dependencies import Cursor, Here, Limit, age_cursor, decode_cursor, encode_cursor
from service.api.idempotency import IdempotentRoute
from service.api.jobs import job_report, job_view
from service.api.views import DatasetAndJob, DatasetView, FrameView, Page
from service.datasets.dataset import Split
from service.datasets.plan import Options
from service.datasets.selection import Selection
from service.errors import NotFound
from service.exports import ExportFormat, export_zip
from service.jobs.submit import IngestWish, submit_ingest
from service.storage import keys

router = APIRouter(prefix="/datasets", tags=["datasets"], route_class=IdempotentRoute)
SUFFIXES = {".jpg": "image/jpeg", ".png": "image/png"}
LINE_BLOCK_BYTES = 1 << 20


class NewDataset(BaseModel):
    """`select`: which frames, such as {"timeofday": ["daytime"], "split": ["train"]}. `category_map`: names
    that are to become others. `strict`: one faulty item rejects the whole dataset."""

    model_config = ConfigDict(extra="forbid")

    upload_id: str
    name: Annotated[str, Field(max_length=200)] = ""
    select: dict[str, list[str]] = {}
    category_map: dict[str, str] = {}
    ignore_unknown: bool = False
    unlabelled: bool = False
    exclude_suspects: bool = False
    strict: bool = False
    licence: Annotated[str, Field(max_length=1000)] = ""


class FileName(StrEnum):
    CARD = "card.json"
    DATA_YAML = "data.yaml"
    MANIFEST = "manifest.jsonl"


@router.post("", status_code=202)
def create_dataset(wish: NewDataset, here: Here) -> DatasetAndJob:
    """Read an upload as a dataset: the format is found by itself. Answers at once; follow the job."""
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
        ),
    )
    dataset = here.desk.library.dataset(str(job.result_id))
    return DatasetAndJob(dataset=DatasetView.of(dataset), job=job_view(here, job))


@router.get("")
def list_datasets(here: Here, limit: Limit = 50, cursor: Cursor = None) -> Page[DatasetView]:
    """Newest first."""
    found = here.desk.library.datasets(limit + 1, age_cursor(cursor))
    following = (
        encode_cursor([found[limit - 1].created_at, found[limit - 1].id]) if len(found) > limit else None
    )
    return Page(items=[DatasetView.of(dataset) for dataset in found[:limit]], next_cursor=following)


@router.get("/{dataset_id}")
def get_dataset(dataset_id: str, here: Here) -> DatasetView:
    return DatasetView.of(here.desk.library.dataset(dataset_id))


@router.get("/{dataset_id}/report")
def get_report(dataset_id: str, here: Here) -> dict[str, Any]:
    """What was found while the dataset was made: every rejected or changed item with its reason."""
    dataset = here.desk.library.dataset(dataset_id)
    return job_report(here, here.desk.jobs.job(dataset.job_id))


@router.get("/{dataset_id}/frames")
def list_frames(dataset_id: str, here: Here, limit: Limit = 50, cursor: Cursor = None) -> Page[FrameView]:
    """The manifest, page by page."""
    dataset = here.desk.library.ready_dataset(dataset_id)
    start_byte = 0 if cursor is None else int(decode_cursor(cursor, int)[0])
    lines, next_byte = _manifest_lines(here, dataset.id, max(0, start_byte), limit)
    items = [_frame_view(dataset.id, json.loads(line)) for line in lines]
    return Page(items=items, next_cursor=None if next_byte is None else encode_cursor([next_byte]))


@router.get("/{dataset_id}/frames/{split}/{frame_id}/image")
def get_image(dataset_id: str, split: Split, frame_id: str, here: Here) -> Response:
    dataset = here.desk.library.ready_dataset(dataset_id)
    for suffix, media_type in SUFFIXES.items():
        key = keys.dataset(dataset.id, keys.image(split, frame_id, suffix))
        if "/" not in frame_id and here.store.exists(key):
            return Response(
                here.store.read(key), media_type=media_type, headers={"Cache-Control": "max-age=31536000"}
            )
    raise NotFound("frame", frame_id)


@router.get("/{dataset_id}/files/{name}")
def get_file(dataset_id: str, name: FileName, here: Here) -> StreamingResponse:
    """The dataset's card, data.yaml or manifest."""
    dataset = here.desk.library.ready_dataset(dataset_id)
    key = keys.dataset(dataset.id, name)
    size_bytes = here.store.size_bytes(key)
    lines = (line + b"\n" for line in here.store.lines(key))
    return StreamingResponse(lines, media_type="text/plain", headers={"Content-Length": str(size_bytes)})


@router.get("/{dataset_id}/archive")
def get_archive(
    dataset_id: str, here: Here, form: Annotated[ExportFormat, Query(alias="format")] = ExportFormat.YOLO
) -> StreamingResponse:
    """The whole dataset as a zip, made while it is sent."""
    dataset = here.desk.library.ready_dataset(dataset_id)
    headers = {"Content-Disposition": f'attachment; filename="{dataset.id}-{form}.zip"'}
    return StreamingResponse(
        export_zip(here.store, dataset, form), media_type="application/zip", headers=headers
    )


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
