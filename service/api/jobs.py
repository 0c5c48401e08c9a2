"""Jobs: translations are asked for, every job is followed, cancelled, retried."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from service.api.dependencies import Cursor, Here, Limit, Services, age_cursor, encode_cursor
from service.api.experiment_wishes import ThenTrain
from service.api.idempotency import IdempotentRoute
from service.api.views import JobView, Page
from service.catalogue import HIGHEST_RATIO, LOWEST_RATIO
from service.datasets.selection import Selection
from service.errors import NotFound, ObjectNotFound
from service.jobs.experiments import submit_chain
from service.jobs.job import Job, JobKind
from service.jobs.results import report_so_far
from service.jobs.submit import TranslationWish, retry, submit_translation
from service.storage import keys

router = APIRouter(tags=["jobs"], route_class=IdempotentRoute)
PROGRESS_EVERY_SECONDS = 0.5


def found_job(job_id: str, here: Here) -> Job:
    """Looked up before a stream begins: afterwards it is too late for a 404."""
    return here.desk.jobs.job(job_id)


FoundJob = Annotated[Job, Depends(found_job)]


class NewTranslation(BaseModel):
    """`generator`: a name of the catalogue, or name:version. `preview`: translate only so many frames and
    answer with a contact sheet, no dataset. `error_budget`: the share of images that may fail.
    `quality_frames`: how many of the results are measured for the report, at most. `ratio`: how many times as
    bright the images shall become, for generators that can be told; without it, what they were made with.
    `then_train`: an experiment that begins when the result is there; `follow_up_id` in the answer names it.
    """

    model_config = ConfigDict(extra="forbid")

    dataset_id: str
    generator: str
    name: Annotated[str, Field(max_length=200)] = ""
    select: dict[str, list[str]] = {}
    preview: Annotated[int, Field(ge=0, le=64)] = 0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    strength: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 1.0
    ratio: Annotated[float, Field(ge=LOWEST_RATIO, le=HIGHEST_RATIO, allow_inf_nan=False)] | None = None
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 95
    batch_size: Annotated[int, Field(ge=0, le=256)] = 0
    error_budget: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.05
    quality_frames: Annotated[int, Field(ge=0, le=100_000)] = 256
    then_train: ThenTrain | None = None


@router.post("/translations", status_code=202)
def create_translation(wish: NewTranslation, here: Here) -> JobView:
    """Translate a dataset. Answers at once; the result's dataset id is in the job."""
    values = wish.model_dump(exclude={"select", "then_train"})
    translation = TranslationWish(**values, selection=Selection.from_json(wish.select))
    if wish.then_train is None:
        return job_view(here, submit_translation(here.desk, translation))
    allowed = here.settings.allowed_detectors
    return job_view(here, submit_chain(here.desk, translation, wish.then_train.wish(), allowed)[0])


@router.get("/jobs")
def list_jobs(
    here: Here, limit: Limit = 50, cursor: Cursor = None, kind: JobKind | None = None
) -> Page[JobView]:
    """Newest first."""
    found = here.desk.jobs.jobs(limit + 1, age_cursor(cursor), kind)
    following = (
        encode_cursor([found[limit - 1].created_at, found[limit - 1].id]) if len(found) > limit else None
    )
    return Page(items=[job_view(here, job) for job in found[:limit]], next_cursor=following)


@router.get("/jobs/{job_id}", responses={304: {"description": "unchanged since the ETag"}})
def get_job(
    job_id: str, here: Here, response: Response, if_none_match: Annotated[str | None, Header()] = None
) -> Any:
    view = job_view(here, here.desk.jobs.job(job_id))
    etag = _etag(view)
    if if_none_match == etag:
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return view


@router.post("/jobs/{job_id}/cancel", status_code=202)
def cancel_job(job_id: str, here: Here) -> JobView:
    """Workers stop within seconds; what was finished stays for a retry."""
    return job_view(here, here.desk.jobs.cancel(job_id))


@router.post("/jobs/{job_id}/retry", status_code=202)
def retry_job(job_id: str, here: Here) -> JobView:
    """A new job for a failed or cancelled one; it takes over the shards that were finished."""
    return job_view(here, retry(here.desk, job_id))


@router.get("/jobs/{job_id}/events", response_class=EventSourceResponse)
async def job_events(
    job: FoundJob, here: Here, request: Request, last_event_id: Annotated[int, Header()] = 0
) -> AsyncIterator[ServerSentEvent]:
    """The job as it happens (SSE): its events from the last one seen, its progress, and an end."""
    seen, shown = last_event_id, ""
    while not await request.is_disconnected():
        view = await run_in_threadpool(_view_by_id, here, job.id)
        for event in await run_in_threadpool(here.desk.jobs.events, job.id, seen):
            seen = event.id
            yield ServerSentEvent(data={"at": event.at, **event.data}, event=event.kind, id=str(event.id))
        progress = view.progress.model_dump_json()
        if progress != shown:
            shown = progress
            yield ServerSentEvent(data=view.progress, event="progress")
        if view.finished_at is not None:
            yield ServerSentEvent(data=view, event="end")
            return
        await asyncio.sleep(PROGRESS_EVERY_SECONDS)


@router.get("/jobs/{job_id}/report")
def get_job_report(job_id: str, here: Here) -> dict[str, Any]:
    """Which images failed and why; of a job that has not ended well, what its finished shards found."""
    return job_report(here, here.desk.jobs.job(job_id))


@router.get("/jobs/{job_id}/contact-sheet")
def get_contact_sheet(job_id: str, here: Here) -> Response:
    """Pairs of source and translated frames, one JPEG."""
    here.desk.jobs.job(job_id)
    try:
        return Response(here.store.read(keys.contact_sheet(job_id)), media_type="image/jpeg")
    except ObjectNotFound:
        raise NotFound("contact sheet of job", job_id) from None


def job_report(here: Services, job: Job) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(here.store.read(keys.report(job.id)))
    except ObjectNotFound:
        so_far = report_so_far(here.store, job.kind, here.desk.jobs.shards(job.id))
        return so_far.to_json(kind=job.kind, state=job.state)
    return report


def job_view(here: Services, job: Job) -> JobView:
    return JobView.of(job, here.desk.jobs.progress(job), here.desk.jobs.follow_up(job.id))


def _view_by_id(here: Services, job_id: str) -> JobView:
    return job_view(here, here.desk.jobs.job(job_id))


def _etag(view: JobView) -> str:
    return '"' + hashlib.sha256(view.model_dump_json().encode()).hexdigest()[:20] + '"'
