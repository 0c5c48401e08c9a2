"""Generators: their cards with what each does, where each was used, and the import of checkpoints."""

import re
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Here, Services
from service.api.generators import NewGenerator, get_generator, import_generator, list_generators
from service.api.jobs import job_view
from service.api.views import GeneratorView
from service.catalogue import ADJUSTABLE, ARCHITECTURES, DIRECTIONS
from service.jobs.job import SAMPLE_EVENT, Job, JobKind
from service.jobs.previews import RECENT_JOBS
from service.web.datasets.library import PIECE_BYTES
from service.web.forms import wish
from service.web.generators.form import ImportForm
from service.web.generators.quality import quality_of
from service.web.generators.sheets import bundled_sheet, in_order, sheet_of_jobs, uses
from service.web.page_route import PageRoute
from service.web.pages import go_to, page

router = APIRouter(prefix="/generators", include_in_schema=False, route_class=PageRoute)
READS = needs(Scope.JOBS_READ)
MOST_USES = 20


@router.get("", dependencies=[READS])
def show_generators(request: Request, here: Here) -> Response:
    cards = in_order(list_generators(here).items)
    translations = _recent(here, JobKind.TRANSLATION)
    trainings = _recent(here, JobKind.TRAINING) if any(not card.is_bundled for card in cards) else []
    sheets = {card.reference: _sheet(here, card, translations, trainings) for card in cards}
    return page(
        request,
        "generators/generators.html",
        section="generators",
        cards=cards,
        sheets=sheets,
        quality_of=quality_of,
        page_of=page_of,
        may_import=Scope.ADMIN in here.caller.scopes,
    )


@router.get("/import", dependencies=[needs(Scope.ADMIN)])
def show_import(request: Request, here: Here) -> Response:
    return page(
        request,
        "generators/import_generator.html",
        section="generators",
        architectures=ARCHITECTURES,
        directions=DIRECTIONS,
        adjustable=ADJUSTABLE,
        piece_bytes=PIECE_BYTES,
        may_share=Scope.OPERATOR in here.caller.scopes,
    )


@router.post("", dependencies=[needs(Scope.ADMIN)])
def start_import(request: Request, here: Here, form: Annotated[ImportForm, Form()]) -> Response:
    job = import_generator(wish(NewGenerator, **form.values()), here)
    return go_to(request, f"/jobs/{job.id}")


@router.get("/{reference}", dependencies=[READS])
def show_generator(request: Request, here: Here, reference: str) -> Response:
    card = get_generator(reference, here)
    translations = _recent(here, JobKind.TRANSLATION)
    trainings = _recent(here, JobKind.TRAINING) if not card.is_bundled else []
    used = [job_view(here, job) for job in translations if uses(job, card)][:MOST_USES]
    return page(
        request,
        "generators/generator.html",
        section="generators",
        card=card,
        used=used,
        quality=quality_of(card),
        sheet=_sheet(here, card, translations, trainings),
        made_by=_maker(card, trainings),
        page_of=page_of,
    )


def page_of(paper: str) -> str | None:
    """Where a paper can be read that is named as arXiv names it."""
    return f"https://arxiv.org/abs/{paper[6:]}" if re.fullmatch(r"arXiv:\d{4}\.\d{4,5}", paper) else None


def _recent(here: Services, kind: JobKind) -> list[Job]:
    return here.desk.jobs.jobs(RECENT_JOBS, None, kind)


def _sheet(here: Services, card: GeneratorView, translations: list[Job], trainings: list[Job]) -> str | None:
    """A picture that comes with it, or of somebody's preview, or the last that its training left."""
    found = bundled_sheet(card) or sheet_of_jobs(card, translations)
    maker = _maker(card, trainings)
    if found is not None or maker is None:
        return found
    sample = here.desk.jobs.last_event(maker.id, SAMPLE_EVENT)
    return None if sample is None else f"/v1/trainings/{maker.id}/samples/{sample.data['step']}"


def _maker(card: GeneratorView, trainings: list[Job]) -> Job | None:
    for job in trainings:
        if card.name in job.spec["names"] and card.version == job.spec["version"]:
            return job
    return None
