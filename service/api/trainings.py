"""Trainings of generators: asked for, watched by losses and samples. A training is a job like others."""

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Cursor, Here, Limit
from service.api.downloads import content
from service.api.generators import GENERATOR_NAME
from service.api.jobs import JobRoute, job_view
from service.api.views import JobView, LossesView, Page, TrainingView
from service.datasets.selection import Selection
from service.errors import InvalidRequest, NotFound, ObjectNotFound
from service.jobs.job import CHECKPOINT_EVENT, SAMPLE_EVENT, TRAINING_EVENT, Job, JobKind
from service.jobs.store import JobStore
from service.jobs.submit import TrainingWish, submit_training
from service.storage import keys

router = APIRouter(prefix="/trainings", tags=["trainings"], route_class=JobRoute)
MAX_RECIPE_CHARACTERS = 20_000
MAX_EVENTS = 100_000


class NewTraining(BaseModel):
    """`name`: what to call the generator; a paper that learns both directions adds `NAME-night2day`.

    Without a split in a selection only frames of the training split are used. `recipe` names one that comes
    with Nightshift (`default` is the paper's, `compact` is for CPUs and some hundred images); `recipe_toml`
    is a whole one instead. `steps`, `seed` and `direction` take precedence over the recipe's; a direction can
    be chosen of papers that train one at a time. `backbone_upload_id`: the weights of the network that a
    recipe's perceptual losses look through, uploaded before.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    architecture: str
    day_dataset_id: str
    night_dataset_id: str
    name: Annotated[str, Field(pattern=GENERATOR_NAME)] | None = None
    day_select: dict[str, list[str]] = {}
    night_select: dict[str, list[str]] = {}
    recipe: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")] = "default"
    recipe_toml: Annotated[str, Field(max_length=MAX_RECIPE_CHARACTERS)] = ""
    steps: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    direction: Literal["", "day2night", "night2day"] = ""
    backbone_upload_id: str | None = None


@router.post("", status_code=202, dependencies=[needs(Scope.JOBS_WRITE)])
def create_training(wish: NewTraining, here: Here) -> JobView:
    """Train a generator. Answers at once; the job ends with new generators in the catalogue."""
    training = TrainingWish(
        **wish.model_dump(exclude={"day_select", "night_select", "name"}),
        name=wish.name or "",
        day_selection=Selection.from_json(wish.day_select),
        night_selection=Selection.from_json(wish.night_select),
    )
    return job_view(here, submit_training(here.desk, training))


@router.get("/{job_id}", dependencies=[needs(Scope.JOBS_READ)])
def get_training(job_id: str, here: Here) -> TrainingView:
    """The latest losses, the time left and which samples there are."""
    jobs = here.desk.jobs
    job = _training(jobs, job_id)
    last = jobs.last_event(job.id, TRAINING_EVENT)
    told = {} if last is None else last.data
    checkpoint = jobs.last_event(job.id, CHECKPOINT_EVENT)
    view = job_view(here, job)
    return TrainingView(
        job=view,
        step=told.get("step", 0),
        steps=job.outcome.get("steps", 0),
        checkpoint_step=0 if checkpoint is None else checkpoint.data["step"],
        images_per_second=view.progress.images_per_second,
        seconds_left=view.progress.seconds_left,
        losses=told.get("losses", {}),
        samples=sorted({event.data["step"] for event in jobs.events(job.id, 0, MAX_EVENTS, SAMPLE_EVENT)}),
    )


@router.get("/{job_id}/losses", dependencies=[needs(Scope.JOBS_READ)])
def get_losses(job_id: str, here: Here, limit: Limit = 500, cursor: Cursor = None) -> Page[LossesView]:
    """The curves, from the first step on; what was trained again after a fault is told once."""
    job = _training(here.desk.jobs, job_id)
    listing = f"losses of {job.id}"
    seen = 0 if cursor is None else here.cursors.decode(listing, cursor, int)[0]
    found = here.desk.jobs.events(job.id, 0, MAX_EVENTS, TRAINING_EVENT)
    latest = {event.data["step"]: event.data["losses"] for event in found}
    steps = sorted(step for step in latest if step > seen)
    items = [LossesView(step=step, losses=latest[step]) for step in steps[:limit]]
    next_cursor = here.cursors.encode(listing, [items[-1].step]) if len(steps) > limit else None
    return Page(items=items, next_cursor=next_cursor)


@router.get(
    "/{job_id}/samples/{step}",
    response_class=Response,
    responses=content("image/png"),
    dependencies=[needs(Scope.JOBS_READ)],
)
def get_sample(job_id: str, step: int, here: Here) -> Response:
    """A picture after so many steps, a row for each example; which columns it has depends on the paper."""
    job = _training(here.desk.jobs, job_id)
    plan_key = here.desk.jobs.shards(job.id)[0].plan_key
    try:
        return Response(here.store.read(keys.training_sample(plan_key, step)), media_type="image/png")
    except ObjectNotFound:
        raise NotFound("sample of this training at step", str(step)) from None


def _training(jobs: JobStore, job_id: str) -> Job:
    job = jobs.job(job_id)
    if job.kind is not JobKind.TRAINING:
        raise InvalidRequest(f"Job {job_id} is no training.", f"See it at /v1/jobs/{job_id}.")
    return job
