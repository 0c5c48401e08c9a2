"""Jobs: translations are asked for, every job is followed, cancelled, retried."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Cursor, Here, Limit, Services, age_cursor, following, services
from service.api.downloads import content
from service.api.experiment_wishes import ThenTrain
from service.api.idempotency import IdempotentRoute
from service.api.views import JobView, Page
from service.catalogue import HIGHEST_RATIO, LOWEST_RATIO
from service.datasets.selection import Selection
from service.errors import NotFound, ObjectNotFound
from service.jobs.experiments import submit_chain
from service.jobs.job import Job, JobKind, JobState
from service.jobs.results import report_so_far
from service.jobs.submit import TranslationWish, retry, submit_translation
from service.storage import keys


class JobRoute(IdempotentRoute):
    """Its requests make a job."""

    def again(self, request: Request, made_id: str) -> BaseModel:
        here = services(request)
        return job_view(here, here.desk.jobs.job(made_id))


router = APIRouter(tags=["jobs"], route_class=JobRoute)
PROGRESS_EVERY_SECONDS = 0.5
Name = Annotated[str, Field(max_length=200)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Strength = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=LOWEST_RATIO, le=HIGHEST_RATIO, allow_inf_nan=False)]
JpegQuality = Annotated[int, Field(ge=1, le=100)]


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

    model_config = ConfigDict(extra="forbid", strict=True)

    dataset_id: str
    generator: str
    name: Name = ""
    select: dict[str, list[str]] = {}
    preview: Annotated[int, Field(ge=0, le=64)] = 0
    seed: Seed = 0
    strength: Strength = 1.0
    ratio: Ratio | None = None
    jpeg_quality: JpegQuality = 95
    batch_size: Annotated[int, Field(ge=0, le=256)] = 0
    error_budget: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.05
    quality_frames: Annotated[int, Field(ge=0, le=100_000)] = 256
    then_train: ThenTrain | None = None


@router.post("/translations", status_code=202, dependencies=[needs(Scope.JOBS_WRITE)])
def create_translation(wish: NewTranslation, here: Here) -> JobView:
    """Translate a dataset. Answers at once; the result's dataset id is in the job."""
    values = wish.model_dump(exclude={"select", "then_train"})
    translation = TranslationWish(**values, selection=Selection.from_json(wish.select))
    if wish.then_train is None:
        return job_view(here, submit_translation(here.desk, translation))
    allowed = here.settings.allowed_detectors
    return job_view(here, submit_chain(here.desk, translation, wish.then_train.wish(), allowed)[0])


@router.get("/jobs", dependencies=[needs(Scope.JOBS_READ)])
def list_jobs(
    here: Here,
    limit: Limit = 50,
    cursor: Cursor = None,
    kind: JobKind | None = None,
    state: Annotated[list[JobState] | None, Query(description="repeated: any of them")] = None,
) -> Page[JobView]:
    """Newest first."""
    found = here.desk.jobs.jobs(limit + 1, age_cursor(here, "jobs", cursor), kind, state or ())
    next_cursor = following(here, "jobs", found, limit)
    return Page(items=[job_view(here, job) for job in found[:limit]], next_cursor=next_cursor)


@router.get(
    "/jobs/{job_id}",
    response_model=JobView,
    responses={304: {"description": "unchanged since the ETag"}},
    dependencies=[needs(Scope.JOBS_READ)],
)
def get_job(
    job_id: str, here: Here, response: Response, if_none_match: Annotated[str | None, Header()] = None
) -> Any:
    view = _look(here, job_id)
    etag = _etag(view)
    if if_none_match == etag:
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return view


@router.post(
    "/jobs/{job_id}/cancel",
    status_code=202,
    responses={200: {"model": JobView, "description": "it was cancelled before"}},
    dependencies=[needs(Scope.JOBS_WRITE)],
)
def cancel_job(job_id: str, here: Here, response: Response) -> JobView:
    """Workers stop within seconds; what was finished stays for a retry."""
    before = here.desk.jobs.job(job_id)
    job = here.desk.jobs.cancel(job_id)
    if before.state in (JobState.CANCELLING, JobState.CANCELLED):
        response.status_code = 200
    return job_view(here, job)


@router.post("/jobs/{job_id}/retry", status_code=202, dependencies=[needs(Scope.JOBS_WRITE)])
def retry_job(job_id: str, here: Here) -> JobView:
    """A new job for a failed or cancelled one; it takes over the shards that were finished."""
    return job_view(here, retry(here.desk, job_id))


@router.get(
    "/jobs/{job_id}/events", response_class=EventSourceResponse, dependencies=[needs(Scope.JOBS_READ)]
)
async def job_events(
    job: FoundJob, here: Here, request: Request, last_event_id: Annotated[int, Header(ge=0, lt=2**63)] = 0
) -> AsyncIterator[ServerSentEvent]:
    """The job as it happens (SSE): its events from the last one seen, its progress, and an end."""
    seen, shown = last_event_id, ""
    while not await request.is_disconnected():
        view = await run_in_threadpool(_look, here, job.id)
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


@router.get("/jobs/{job_id}/report", dependencies=[needs(Scope.JOBS_READ)])
def get_job_report(job_id: str, here: Here) -> dict[str, Any]:
    """Which images failed and why; of a job that has not ended well, what its finished shards found."""
    return job_report(here, here.desk.jobs.job(job_id))


@router.get(
    "/jobs/{job_id}/contact-sheet",
    response_class=Response,
    responses=content("image/jpeg"),
    dependencies=[needs(Scope.JOBS_READ)],
)
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


def _look(here: Services, job_id: str) -> JobView:
    found = here.desk.jobs.look(job_id)
    return JobView.of(found.job, found.progress, found.follow_up_id)


def _etag(view: JobView) -> str:
    return '"' + hashlib.sha256(view.model_dump_json().encode()).hexdigest()[:20] + '"'
