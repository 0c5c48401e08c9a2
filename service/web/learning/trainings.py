"""Trainings of generators: those there are, a new one, and how one is going."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Cursor, Here, Services
from service.api.jobs import list_jobs
from service.api.trainings import NewTraining, create_training, get_training
from service.api.views import JobView
from service.jobs.job import SAMPLE_EVENT, TRAINING_EVENT, Job, JobKind
from service.web.choices import chosen_frames, ready_datasets
from service.web.forms import wish
from service.web.learning.recipes import FEWEST_FRAMES, PAPERS, SEPARATOR
from service.web.page_route import PageRoute
from service.web.pages import go_to, page

router = APIRouter(prefix="/trainings", include_in_schema=False, route_class=PageRoute)
PAGE_LENGTH = 24
FIRST_CHOICE = f"cyclegan{SEPARATOR}compact"


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """`sample`: the newest step that left a picture."""

    job: JobView
    step: int
    sample: int | None

    @property
    def steps(self) -> int:
        return int(self.job.outcome.get("steps", 0))

    @property
    def title(self) -> str:
        return PAPERS[self.job.spec["architecture"]].title


class TrainingForm(BaseModel):
    """As a browser sends it. `recipe`: `cyclegan/compact`; of it a `recipe_toml` leaves only the paper."""

    recipe: str = FIRST_CHOICE
    recipe_toml: str = ""
    day: str
    night: str
    day_select: str = ""
    night_select: str = ""
    name: str = ""
    steps: int = 0
    seed: int | None = None
    direction: str = ""

    def wish(self) -> NewTraining:
        architecture, _, recipe = self.recipe.partition(SEPARATOR)
        return wish(
            NewTraining,
            architecture=architecture,
            recipe=recipe,
            recipe_toml=self.recipe_toml.replace("\r\n", "\n"),
            day_dataset_id=self.day,
            night_dataset_id=self.night,
            day_select=chosen_frames(self.day_select),
            night_select=chosen_frames(self.night_select),
            name=self.name or None,
            steps=self.steps,
            seed=self.seed,
            direction=self.direction,
        )


@router.get("", dependencies=[needs(Scope.JOBS_READ)])
def show_trainings(request: Request, here: Here, cursor: Cursor = None) -> Response:
    found = list_jobs(here, PAGE_LENGTH, cursor, JobKind.TRAINING)
    rows = [_row(here, job) for job in found.items]
    return page(
        request, "learning/trainings.html", section="trainings", trainings=rows, next_cursor=found.next_cursor
    )


@router.get("/new", dependencies=[needs(Scope.JOBS_WRITE), needs(Scope.DATASETS_READ)])
def show_new_training(request: Request, here: Here, day: str = "", night: str = "") -> Response:
    return page(
        request,
        "learning/new_training.html",
        section="trainings",
        papers=PAPERS,
        datasets=ready_datasets(here, day, night),
        chosen={"recipe": FIRST_CHOICE, "day": day, "night": night},
        fewest=FEWEST_FRAMES,
    )


@router.post("", dependencies=[needs(Scope.JOBS_WRITE)])
def start_training(request: Request, here: Here, form: Annotated[TrainingForm, Form()]) -> Response:
    return go_to(request, f"/jobs/{create_training(form.wish(), here).id}")


def training_panel(here: Services, job: Job) -> dict[str, Any]:
    """What `_training.html` shows, under one name of its own."""
    view = get_training(job.id, here)
    return {"training": view, "paper": PAPERS[job.spec["architecture"]]}


def _row(here: Services, job: JobView) -> TrainingRow:
    told = here.desk.jobs.last_event(job.id, TRAINING_EVENT)
    sample = here.desk.jobs.last_event(job.id, SAMPLE_EVENT)
    return TrainingRow(
        job,
        0 if told is None else told.data["step"],
        None if sample is None else sample.data["step"],
    )
