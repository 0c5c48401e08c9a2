"""Experiments: asked for, watched run by run, read as JSON, a page or Markdown. One is a job like others."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, JSONResponse

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.byte_ranges import Part
from service.api.dependencies import Here, Services
from service.api.downloads import attachment, content, content_in_parts, download, stored
from service.api.experiment_wishes import NewExperiment
from service.api.jobs import JobRoute, job_view
from service.api.views import ArmView, ExperimentView, JobView, RunView
from service.errors import InvalidRequest, NotFound, ObjectNotFound
from service.experiments.arms import PRETRAINING, training_runs
from service.jobs.experiments import submit_experiment
from service.jobs.job import DETECTOR_EVENT, Job, JobKind, ShardState, Stage
from service.jobs.store import JobStore
from service.storage import keys

router = APIRouter(prefix="/experiments", tags=["experiments"], route_class=JobRoute)
MAX_EVENTS = 100_000
# Names of files and categories are strangers' words; whatever one of them might smuggle in must not run.
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
}
STATES = {ShardState.PENDING: "waiting", ShardState.RUNNING: "training", ShardState.DONE: "done"}


@router.post("", status_code=202, dependencies=[needs(Scope.JOBS_WRITE)])
def create_experiment(wish: NewExperiment, here: Here) -> JobView:
    """Compare ways to train a detector. Answers at once; the job ends with a report and a verdict."""
    return job_view(here, submit_experiment(here.desk, wish.wish(), here.settings.allowed_detectors))


@router.get("/{job_id}", dependencies=[needs(Scope.JOBS_READ)])
def get_experiment(job_id: str, here: Here) -> ExperimentView:
    """How far each arm is with each seed, and at the end the verdict."""
    jobs = here.desk.jobs
    job = _experiment(jobs, job_id)
    told = _told(jobs, job.id)
    states = [STATES[shard.state] for shard in jobs.shards(job.id) if shard.stage is Stage.WORK]
    runs = _runs(job, states, told)
    before = [facts for (arm, _), facts in told.items() if arm == PRETRAINING]
    arms = [
        ArmView(name=arm["name"], parts=arm["parts"], generator=_reference(arm), runs=runs.get(number, []))
        for number, arm in enumerate(job.spec["arms"])
    ]
    last = jobs.last_event(job.id, DETECTOR_EVENT)
    return ExperimentView(
        job=job_view(here, job),
        arms=arms,
        pretraining=_run(before[-1], "done" if states else "training") if before else None,
        current=None if last is None or job.is_final else _run(told[_key(last.data)], "training"),
        verdict=job.outcome.get("verdict"),
    )


@router.get("/{job_id}/report", response_class=JSONResponse, dependencies=[needs(Scope.JOBS_READ)])
def get_report(job_id: str, here: Here) -> Response:
    """Everything that was found, as JSON."""
    return Response(_found(here, job_id, keys.report(job_id)), media_type="application/json")


@router.get("/{job_id}/report.html", response_class=HTMLResponse, dependencies=[needs(Scope.JOBS_READ)])
def get_page(job_id: str, here: Here) -> Response:
    """The report as one page that needs nothing else."""
    return HTMLResponse(_found(here, job_id, keys.report_page(job_id)), headers=PAGE_HEADERS)


@router.get(
    "/{job_id}/report.md",
    response_class=Response,
    responses=content("text/markdown"),
    dependencies=[needs(Scope.JOBS_READ)],
)
def get_summary(job_id: str, here: Here) -> Response:
    """The report in short, as Markdown."""
    return Response(_found(here, job_id, keys.report_summary(job_id)), media_type="text/markdown")


@download(
    router,
    "/{job_id}/detectors/{arm}/{seed}",
    Scope.JOBS_READ,
    content_in_parts("application/octet-stream"),
)
def get_detector(job_id: str, arm: str, seed: int, here: Here, part: Part) -> Response:
    """The best weights of an arm with a seed, as Ultralytics loads them. An arm that brightens test frames
    uses the baseline's.
    """
    job = _experiment(here.desk.jobs, job_id)
    number = _arm_number(job, arm)
    plan_key = here.desk.jobs.shards(job.id)[0].plan_key
    run = keys.experiment(plan_key, "runs", keys.experiment_run(number, seed))
    key = f"{run}/{keys.BEST_WEIGHTS}"
    if not here.store.exists(
        f"{run}/{keys.DETECTIONS}"
    ):  # until it has looked at the test frames it may change
        raise NotFound(f"finished detector of seed {seed} for arm", arm)
    name = f"{job.spec['detector']['name']}-{arm}-{seed}.pt"
    return stored(here.store, key, part, "application/octet-stream", **attachment(name))


def _experiment(jobs: JobStore, job_id: str) -> Job:
    job = jobs.job(job_id)
    if job.kind is not JobKind.EXPERIMENT:
        raise InvalidRequest(f"Job {job_id} is no experiment.", f"See it at /v1/jobs/{job_id}.")
    return job


def _found(here: Services, job_id: str, key: str) -> bytes:
    job = _experiment(here.desk.jobs, job_id)
    try:
        return here.store.read(key)
    except ObjectNotFound:
        raise NotFound(f"report (the state is {job.state}) of experiment", job_id) from None


def _told(jobs: JobStore, job_id: str) -> dict[tuple[str, int], dict[str, Any]]:
    """The latest that was said of each run; a validation stays until there is a newer one."""
    told: dict[tuple[str, int], dict[str, Any]] = {}
    for event in jobs.events(job_id, 0, MAX_EVENTS, DETECTOR_EVENT):
        told.setdefault(_key(event.data), {}).update(event.data)
    return told


def _key(data: Mapping[str, Any]) -> tuple[str, int]:
    return data["arm"], data["seed"]


def _runs(
    job: Job, states: Sequence[str], told: Mapping[tuple[str, int], Mapping[str, Any]]
) -> dict[int, list[RunView]]:
    """By the number of the arm. `states`: of the shards, one for each run; none before the plan."""
    found: dict[int, list[RunView]] = {}
    for place, (number, seed) in enumerate(training_runs(job.spec)):
        name = job.spec["arms"][number]["name"]
        state = states[place] if place < len(states) else "waiting"
        run = {"arm": name, "seed": seed, **told.get((name, seed), {})}
        found.setdefault(number, []).append(_run(run, state))
    return found


def _run(facts: Mapping[str, Any], state: str) -> RunView:
    return RunView(**{name: facts[name] for name in RunView.model_fields if name in facts}, state=state)


def _reference(arm: Mapping[str, Any]) -> str | None:
    card = arm["enhance"]
    return None if card is None else f"{card['name']}:{card['version']}"


def _arm_number(job: Job, name: str) -> int:
    names = [arm["name"] for arm in job.spec["arms"]]
    if name not in names:
        raise NotFound("arm", name)
    is_trained = job.spec["arms"][names.index(name)]["enhance"] is None
    return names.index(name if is_trained else job.spec["baseline"])
