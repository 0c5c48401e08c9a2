"""One dataset: on its way, rejected with the reasons, or ready with its counts, its frames and its doubts."""

import json
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Request, Response

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.datasets import FileName, delete_dataset
from service.api.dependencies import Here, Services
from service.api.jobs import job_view, retry_job
from service.api.views import DatasetView
from service.datasets.dataset import Frame, TimeOfDay
from service.datasets.manifest import frame_from_json
from service.exports import ExportFormat
from service.frames.filter import FrameFilter
from service.frames.page import frame_page
from service.jobs.job import DatasetState
from service.jobs.records import Dataset
from service.storage import keys
from service.web.datasets.charts import charts_of
from service.web.datasets.reports import report_of
from service.web.frames.results import result_of
from service.web.page_route import PageRoute
from service.web.pages import go_to, page

router = APIRouter(prefix="/datasets", include_in_schema=False, route_class=PageRoute)
STRIP_LENGTH = 12
SHOWN_REASONS = 8
# What the audit of the timeofday tags finds.
DOUBTS = ("not-daytime", "not-night")


@router.get("/{dataset_id}", dependencies=[needs(Scope.DATASETS_READ)])
def show_dataset(request: Request, dataset_id: str, here: Here) -> Response:
    dataset = here.desk.library.dataset(dataset_id)
    facts = {DatasetState.READY: _ready, DatasetState.REJECTED: _rejected}.get(dataset.state, _pending)
    return page(
        request,
        "datasets/dataset.html",
        section="datasets",
        dataset=DatasetView.of(dataset),
        may_write=Scope.DATASETS_WRITE in here.caller.scopes,
        may_work=Scope.JOBS_WRITE in here.caller.scopes,
        **facts(here, dataset),
    )


@router.get("/{dataset_id}/progress", dependencies=[needs(Scope.DATASETS_READ)])
def show_progress(request: Request, dataset_id: str, here: Here) -> Response:
    """A part that is asked for again and again; when the dataset is made, the whole page comes anew."""
    dataset = here.desk.library.dataset(dataset_id)
    if dataset.state is not DatasetState.PENDING:
        return Response(headers={"HX-Refresh": "true"})
    return page(request, "datasets/_dataset_progress.html", dataset=dataset, **_pending(here, dataset))


@router.get("/{dataset_id}/suspects", dependencies=[needs(Scope.DATASETS_READ)])
def show_suspects(request: Request, dataset_id: str, here: Here) -> Response:
    """A part that comes after the page: they are looked for in the manifest."""
    dataset = here.desk.library.ready_dataset(dataset_id)
    suspects = frame_page(here.store, dataset.id, FrameFilter(suspect=True), limit=STRIP_LENGTH)
    return page(
        request,
        "datasets/_suspects.html",
        dataset=dataset,
        tiles=_tiles(dataset.id, suspects.entries),
        query="?suspect=true",
        next_path=None,
    )


@router.post("/{dataset_id}/delete", dependencies=[needs(Scope.DATASETS_WRITE)])
def remove_dataset(request: Request, dataset_id: str, here: Here) -> Response:
    delete_dataset(dataset_id, here)
    return go_to(request, "/datasets")


@router.post("/{dataset_id}/retry", dependencies=[needs(Scope.JOBS_WRITE)])
def retry_dataset(request: Request, dataset_id: str, here: Here) -> Response:
    """The job that was to make it is done again; this page shows how far it is."""
    retry_job(here.desk.library.dataset(dataset_id).job_id, here)
    return go_to(request, f"/datasets/{dataset_id}")


def _pending(here: Services, dataset: Dataset) -> dict[str, Any]:
    return {"job": job_view(here, here.desk.jobs.job(dataset.job_id))}


def _rejected(here: Services, dataset: Dataset) -> dict[str, Any]:
    report = report_of(here, dataset.job_id)
    reasons = report.of(None, "error")[:SHOWN_REASONS]
    return {**_pending(here, dataset), "report": report, "reasons": reasons}


def _ready(here: Services, dataset: Dataset) -> dict[str, Any]:
    first = frame_page(here.store, dataset.id, FrameFilter(), limit=STRIP_LENGTH).entries
    found = dataset.counts.get("findings", {})
    return {
        "result": result_of(here, dataset),
        "experiment": _part_in_an_experiment(dataset),
        "card": json.loads(here.store.read(keys.card(dataset.id))),
        "charts": charts_of(dataset.counts),
        "tiles": _tiles(dataset.id, first),
        "query": "",
        "next_path": None,
        "doubts": {code: found[code] for code in DOUBTS if code in found},
        "formats": list(ExportFormat),
        "files": list(FileName),
    }


def _part_in_an_experiment(dataset: Dataset) -> dict[str, str]:
    """What it would be there: synthetic night beside its day, the day, or real night to be tested on."""
    if "generator" in dataset.source:
        return {"day": dataset.source["dataset_id"], "synthetic": dataset.id}
    night = dataset.counts.get("timeofday", {}).get(TimeOfDay.NIGHT, 0)
    return {"test" if 2 * night > dataset.counts["frames"] else "day": dataset.id}


def _tiles(dataset_id: str, entries: Iterable[dict[str, Any]]) -> list[tuple[Frame, str, str | None]]:
    """What `_tiles.html` shows: frames, their thumbnails, and what they look like if not as tagged."""
    frames = [(frame_from_json(entry["frame"]), entry.get("looks")) for entry in entries]
    path = f"/v1/datasets/{dataset_id}/frames"
    return [(frame, f"{path}/{frame.split}/{frame.id}/thumbnail", looks) for frame, looks in frames]
