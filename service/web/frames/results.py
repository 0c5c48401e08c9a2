"""What a translation has brought, as a part of its dataset's page: a slider, its figures, the generator."""

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.datasets import FileName
from service.api.dependencies import Here, Services
from service.api.quality import NewQuality, create_quality
from service.api.views import DatasetView
from service.datasets.manifest import frame_from_json
from service.errors import NotFound
from service.exports import ExportFormat
from service.frames.spread import spread_entries
from service.jobs.job import DatasetState, JobKind
from service.jobs.records import Dataset
from service.storage import keys
from service.web.frames.figures import Quality, measured, rows
from service.web.frames.pairs import pair_of
from service.web.page_route import PageRoute
from service.web.pages import go_to

router = APIRouter(prefix="/datasets/{dataset_id}", include_in_schema=False, route_class=PageRoute)
EXAMPLES = 12
NEWEST_JOBS = 200


def result_of(here: Services, dataset: Dataset | DatasetView) -> dict[str, Any] | None:
    """What `_result.html` knows as `result`; None of a dataset that is no translation, or not ready."""
    if "generator" not in dataset.source or dataset.state is not DatasetState.READY:
        return None
    card: dict[str, Any] = json.loads(here.store.read(keys.card(dataset.id)))
    examples = spread_entries(here.store, dataset.id, EXAMPLES)
    ours, source = _figures(here, dataset, card)
    return {
        "dataset": dataset,
        "pair": pair_of(here, dataset.id, examples[0]),
        "examples": [frame_from_json(entry["frame"]) for entry in examples],
        "card": card["generator"],
        "recipe": card["recipe"],
        "licence": card["licence"],
        "quality": ours,
        "is_source_measured": source is not None,
        "rows": [] if ours is None else rows(ours, source),
        "job_id": dataset.job_id,
        "source_id": dataset.source["dataset_id"],
        "source_name": _source_name(here, dataset),
        "may_measure": Scope.JOBS_WRITE in here.caller.scopes,
        "formats": list(ExportFormat),
        "files": list(FileName),
    }


@router.post("/quality", dependencies=[needs(Scope.JOBS_WRITE)])
def measure(request: Request, here: Here, dataset_id: str) -> Response:
    """Measure all frames of a dataset by a job, which is shown."""
    return go_to(request, f"/jobs/{create_quality(NewQuality(dataset_id=dataset_id), here).id}")


def _source_name(here: Services, dataset: Dataset | DatasetView) -> str:
    source_id = str(dataset.source["dataset_id"])
    try:
        return here.desk.library.dataset(source_id).name or source_id
    except NotFound:
        return source_id


def _figures(
    here: Services, dataset: Dataset | DatasetView, card: dict[str, Any]
) -> tuple[Quality | None, Quality | None]:
    """Of the translation and of its source, as far as somebody has measured them."""
    may_read_jobs = Scope.JOBS_READ in here.caller.scopes
    jobs = here.desk.jobs.jobs(NEWEST_JOBS, None, JobKind.QUALITY) if may_read_jobs else []
    ours: Quality | None = card.get("quality") or measured(jobs, dataset.id)
    if ours is None:
        return None, None
    return ours, measured(jobs, dataset.source["dataset_id"], like=ours)
