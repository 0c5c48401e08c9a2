"""Jobs: the list, one as it happens, cancelled and retried. What an image of one under way is served by."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Cursor, Here
from service.api.jobs import PROGRESS_EVERY_SECONDS, FoundJob, cancel_job, list_jobs, retry_job
from service.jobs.job import ACTIVE_JOB_STATES, FINAL_JOB_STATES, JobKind, JobState
from service.web.jobs.asked import asked
from service.web.jobs.findings import findings
from service.web.jobs.parts import JobParts, digests, parse_shown, shown_id
from service.web.jobs.words import KINDS, WHAT_STAYS, DatasetNames, kind_of, tab_title, title
from service.web.page_route import PageRoute
from service.web.pages import go_to, is_part, page

router = APIRouter(prefix="/jobs", include_in_schema=False, route_class=PageRoute)
PAGE_LENGTH = 30
# What the list can be narrowed to: the word in the address, and the states that it means.
STATES = {
    "under-way": [*ACTIVE_JOB_STATES, JobState.CANCELLING],
    "succeeded": [JobState.SUCCEEDED],
    "failed": [JobState.FAILED],
    "cancelled": [JobState.CANCELLED],
}
# Whoever has lost the stream asks for it again after this time.
COMES_BACK_MS = 1000
MOST_SHOWN_CHARS = 1000
Shown = Annotated[str, Query(max_length=MOST_SHOWN_CHARS)]


@router.get("", dependencies=[needs(Scope.JOBS_READ)])
def show_jobs(
    request: Request,
    here: Here,
    cursor: Cursor = None,
    kind: JobKind | Literal[""] = "",
    state: Literal["", "under-way", "succeeded", "failed", "cancelled"] = "",
) -> Response:
    """A page that is open asks for the table alone, as long as anything in it goes on."""
    found = list_jobs(here, PAGE_LENGTH, cursor, JobKind(kind) if kind else None, STATES.get(state))
    names = DatasetNames(here)
    return page(
        request,
        "jobs/_jobs.html" if is_part(request) else "jobs/jobs.html",
        section="jobs",
        jobs=[(job, kind_of(job), title(job, names)) for job in found.items],
        next_cursor=found.next_cursor,
        cursor=cursor,
        chosen_kind=kind,
        chosen_state=state,
        kinds=KINDS,
        states=list(STATES),
        goes_on=any(job.state not in FINAL_JOB_STATES for job in found.items),
    )


@router.get("/{job_id}", dependencies=[needs(Scope.JOBS_READ)])
def show_job(request: Request, here: Here, job_id: str) -> Response:
    parts = JobParts(here, job_id)
    html = parts.look()
    names = DatasetNames(here)
    job = parts.view
    return page(
        request,
        "jobs/job.html",
        section=_section(job.kind),
        job=job,
        parts=html,
        shown=shown_id(digests(html)),
        is_final=parts.is_final,
        kind=kind_of(job),
        name=title(job, names),
        tab_title=tab_title(job),
        asked=asked(parts.job, names),
        what_stays=WHAT_STAYS[job.kind],
    )


@router.get("/{job_id}/live", response_class=EventSourceResponse, dependencies=[needs(Scope.JOBS_READ)])
async def follow_job(
    job: FoundJob,
    here: Here,
    request: Request,
    shown: Shown = "",
    last_event_id: Annotated[str, Header(max_length=MOST_SHOWN_CHARS)] = "",
) -> AsyncIterator[ServerSentEvent]:
    """The parts of the page that are not as they are `shown`, then what changes, and an end."""
    parts, on_page = JobParts(here, job.id), parse_shown(last_event_id or shown)
    while not await request.is_disconnected():
        html = await run_in_threadpool(parts.look)
        for name, digest in digests(html).items():
            if on_page.get(name) != digest:
                on_page[name] = digest
                told = shown_id(on_page)
                yield ServerSentEvent(raw_data=html[name], event=name, id=told, retry=COMES_BACK_MS)
        if parts.is_final:
            yield ServerSentEvent(raw_data="", event="end")
            return
        await asyncio.sleep(PROGRESS_EVERY_SECONDS)


@router.get("/{job_id}/findings", dependencies=[needs(Scope.JOBS_READ)])
def show_more_findings(
    request: Request, job: FoundJob, here: Here, start: Annotated[int, Query(ge=0, le=1_000_000)] = 0
) -> Response:
    """Further rows of the table."""
    found = findings(here, job, start)
    return page(request, "jobs/_job_finding_rows.html", section="jobs", job=job, found=found)


@router.post("/{job_id}/cancel", dependencies=[needs(Scope.JOBS_WRITE)])
def cancel(request: Request, here: Here, job_id: str) -> Response:
    cancel_job(job_id, here, Response())
    return go_to(request, f"/jobs/{job_id}")


@router.post("/{job_id}/retry", dependencies=[needs(Scope.JOBS_WRITE)])
def retry(request: Request, here: Here, job_id: str) -> Response:
    return go_to(request, f"/jobs/{retry_job(job_id, here).id}")


def _section(kind: JobKind) -> str:
    """Where the page belongs in the navigation."""
    return {JobKind.TRAINING: "trainings", JobKind.EXPERIMENT: "experiments"}.get(kind, "jobs")
