"""Experiments: those there are, a new one, and how one is going or went."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.exceptions import RequestValidationError

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Cursor, Here, Services
from service.api.errors import fault_of
from service.api.experiments import create_experiment, get_experiment
from service.api.generators import list_generators
from service.api.jobs import list_jobs
from service.catalogue import DETECTORS
from service.errors import NightshiftError
from service.experiments.presets import PRESETS
from service.jobs.experiments import ENHANCING, experiment_job
from service.jobs.job import Job, JobKind, JobState
from service.web.choices import ready_datasets
from service.web.learning.experiment_form import ExperimentForm
from service.web.learning.runs import runs_of
from service.web.learning.scores import SCORES, read_report
from service.web.page_route import PageRoute
from service.web.pages import go_to, page

router = APIRouter(prefix="/experiments", include_in_schema=False, route_class=PageRoute)
PAGE_LENGTH = 30
SIDES = ("day", "night", "synthetic")


@router.get("", dependencies=[needs(Scope.JOBS_READ)])
def show_experiments(request: Request, here: Here, cursor: Cursor = None) -> Response:
    found = list_jobs(here, PAGE_LENGTH, cursor, JobKind.EXPERIMENT)
    return page(request, "learning/experiments.html", section="experiments", experiments=found)


@router.get("/new", dependencies=[needs(Scope.JOBS_WRITE), needs(Scope.DATASETS_READ)])
def show_new_experiment(
    request: Request, here: Here, day: str = "", night: str = "", synthetic: str = "", test: str = ""
) -> Response:
    chosen = dict(zip(SIDES, (day, night, synthetic), strict=True))
    cards = list_generators(here).items
    return page(
        request,
        "learning/new_experiment.html",
        section="experiments",
        datasets=ready_datasets(here, day, night, synthetic, test),
        chosen=chosen,
        test=test,
        detectors=DETECTORS,
        presets=PRESETS,
        brighteners=[card for card in cards if card.direction == ENHANCING],
    )


@router.post("/check", dependencies=[needs(Scope.JOBS_WRITE)])
def check_experiment(request: Request, here: Here, form: Annotated[ExperimentForm, Form()]) -> Response:
    """What would be done, or why it would not be: nothing is handed in. A fault is an answer here."""
    try:
        job = experiment_job(here.desk, form.wish().wish(), here.settings.allowed_detectors)
    except NightshiftError as error:
        return page(request, "learning/_experiment_plan.html", plan=None, fault=str(error))
    except RequestValidationError as error:
        fault = json.loads(bytes(fault_of(error).body))["detail"]
        return page(request, "learning/_experiment_plan.html", plan=None, fault=fault)
    return page(request, "learning/_experiment_plan.html", plan=job.spec, fault=None)


@router.post("", dependencies=[needs(Scope.JOBS_WRITE)])
def start_experiment(request: Request, here: Here, form: Annotated[ExperimentForm, Form()]) -> Response:
    return go_to(request, f"/jobs/{create_experiment(form.wish(), here).id}")


def experiment_panel(here: Services, job: Job) -> dict[str, Any]:
    """What `_experiment.html` shows: the runs until it has ended well, then the scores."""
    view = get_experiment(job.id, here)
    is_done = job.state is JobState.SUCCEEDED
    return {
        "experiment": view,
        "runs": None if is_done else runs_of(here.desk.jobs, view),
        "scores": read_report(here.store, job.id) if is_done else None,
        "score_names": SCORES.values(),
    }
