"""A new translation: generators are picked by what they make of one's own frames, then one is started."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Here, Services
from service.api.experiment_wishes import ThenTrain
from service.api.generators import list_generators
from service.api.previews import preview_job
from service.api.views import DatasetView, GeneratorView
from service.catalogue import ADJUSTABLE, DETECTORS
from service.datasets.dataset import TimeOfDay
from service.errors import InvalidRequest, NotFound, UnknownGenerator
from service.experiments.presets import DETECTOR
from service.jobs.experiments import submit_chain
from service.jobs.job import Job
from service.jobs.previews import GIVEN_UP, submit_previews
from service.jobs.submit import submit_all, translation_job
from service.web.choices import ready_datasets
from service.web.forms import wish
from service.web.generators.sheets import bundled_sheet, in_order
from service.web.page_route import PageRoute
from service.web.pages import go_to, page
from service.web.translations.estimates import estimates, frames_of
from service.web.translations.form import FEWEST_FRAMES, MOST_FRAMES, TranslationForm, form_of_address
from service.web.translations.preview_grid import Grid, grid_of

router = APIRouter(prefix="/translations", include_in_schema=False, route_class=PageRoute)
READS, STARTS = needs(Scope.JOBS_READ), needs(Scope.JOBS_WRITE)
MOST_SHOWN = 8
Filled = Annotated[TranslationForm, Form()]
Asked = Annotated[TranslationForm, Query()]


@router.get("/new", dependencies=[READS, needs(Scope.DATASETS_READ)])
def show_new(request: Request, here: Here) -> Response:
    form, faults = form_of_address(request.query_params)
    datasets = ready_datasets(here, form.dataset)
    dataset = next((each for each in datasets if each.id == form.dataset), None)
    if form.dataset and dataset is None:
        faults.append(f"There is no ready dataset {form.dataset[:100]!r}. Choose one of these.")
    cards = list_generators(here).items
    faults += _unknown(cards, form)
    is_fresh = not {"timeofday", "preview"} & set(request.query_params)
    if dataset is not None and is_fresh:
        form = form.model_copy(update={"timeofday": _usual_timeofday(dataset)})
    return page(
        request,
        "translations/new_translation.html",
        section="datasets",
        form=form,
        faults=faults,
        datasets=datasets,
        dataset=dataset,
        cards=in_order(cards),
        adjustable=ADJUSTABLE,
        taggable=set(TimeOfDay),
        detectors=DETECTORS,
        usual_detector=DETECTOR,
        fewest=FEWEST_FRAMES,
        most=MOST_FRAMES,
        grid=_grid(here, form.preview),
        sheet_of=bundled_sheet,
    )


@router.post("/preview", dependencies=[STARTS])
def start_preview(request: Request, here: Here, form: Filled) -> Response:
    """The same generators on the same frames with the same values again: the pictures that are there."""
    if len(form.generator) > MOST_SHOWN:
        raise InvalidRequest(f"No more than {MOST_SHOWN} generators are compared at once.", "Tick fewer.")
    jobs = submit_previews(here.desk, form.wishes(_adjustable(here), form.frames))
    shown = page(
        request, "translations/_preview.html", grid=grid_of(here, jobs), job_ids=[job.id for job in jobs]
    )
    kept = form.model_dump(exclude_defaults=True, exclude={"preview"})
    address = urlencode({**kept, "preview": [job.id for job in jobs]}, doseq=True)
    shown.headers["HX-Replace-Url"] = f"/translations/new?{address}"
    return shown


@router.get("/preview", dependencies=[READS])
def show_preview(
    request: Request, here: Here, job: Annotated[list[str], Query()], seen: str = ""
) -> Response:
    """The grid again, unless it is still as it was `seen`."""
    grid = grid_of(here, [preview_job(here, each) for each in job[:MOST_SHOWN]])
    if grid.state == seen and not grid.is_final:
        return Response(status_code=204)
    shown = page(request, "translations/_preview.html", grid=grid, job_ids=job[:MOST_SHOWN])
    if grid.is_final:
        shown.headers["HX-Trigger"] = "previewed"  # now it is known how fast each is
    return shown


@router.get("/estimate", dependencies=[READS, needs(Scope.DATASETS_READ)])
def show_estimate(request: Request, here: Here, form: Asked) -> Response:
    """How long it will take, by what was seen of each generator."""
    dataset = here.desk.library.ready_dataset(form.dataset)
    frames = frames_of(dataset.counts, form.timeofday, form.split)
    return page(
        request, "translations/_estimate.html", frames=frames, estimates=estimates(here, form, frames)
    )


@router.post("", dependencies=[STARTS])
def start(request: Request, here: Here, form: Filled, only: Annotated[str, Form()] = "") -> Response:
    """`only`: one of the generators that were compared."""
    if only:
        form = form.model_copy(update={"generator": [only]})
    jobs = _started(here, form)
    return go_to(request, f"/jobs/{jobs[0].id}" if len(jobs) == 1 else "/jobs")


def _started(here: Services, form: TranslationForm) -> list[Job]:
    wishes = form.wishes(_adjustable(here))
    if not form.then_train:
        return submit_all(here.desk, [translation_job(here.desk, each) for each in wishes])
    if len(wishes) > 1:
        raise InvalidRequest("A detector is trained after one translation.", "Tick a single generator.")
    if not form.test_dataset:
        raise InvalidRequest("There is nothing to test the detector on.", "Choose a dataset of real nights.")
    then = wish(ThenTrain, **form.then())
    return [submit_chain(here.desk, wishes[0], then.wish(), here.settings.allowed_detectors)[0]]


def _adjustable(here: Services) -> set[str]:
    able = [card for card in list_generators(here).items if card.architecture in ADJUSTABLE]
    return {card.reference for card in able} | {card.name for card in able}


def _unknown(cards: list[GeneratorView], form: TranslationForm) -> list[str]:
    """An address may name a generator without its version: then its newest is meant."""
    newest = {card.name: card.reference for card in sorted(cards, key=lambda card: card.version)}
    known = {card.reference for card in cards}
    wanted = [newest.get(name, name) for name in form.generator]
    form.generator = [name for name in wanted if name in known]
    return [str(UnknownGenerator(name[:100], newest)) for name in wanted if name not in known]


def _usual_timeofday(dataset: DatasetView) -> list[str]:
    tagged = dataset.counts.get("timeofday", {})
    return [str(TimeOfDay.DAYTIME)] if len(tagged) > 1 and TimeOfDay.DAYTIME in tagged else []


def _grid(here: Services, job_ids: list[str]) -> Grid | None:
    """Of an address that was kept for later: what is not there any more is not shown."""
    jobs = []
    for job_id in job_ids[:MOST_SHOWN]:
        try:
            job = preview_job(here, job_id)
        except NotFound:
            continue
        if job.state not in GIVEN_UP:
            jobs.append(job)
    return grid_of(here, jobs) if jobs else None
