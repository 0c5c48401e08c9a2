"""The validation report of a dataset: what was found in which file, filtered by code, page by page."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Here
from service.datasets.dataset import Severity
from service.jobs.job import DatasetState
from service.web.datasets.reports import frame_of, report_of
from service.web.page_route import PageRoute
from service.web.pages import page

router = APIRouter(prefix="/datasets", include_in_schema=False, route_class=PageRoute)
PAGE_LENGTH = 60
MOST_PAGES = 1000


@router.get("/{dataset_id}/findings", dependencies=[needs(Scope.DATASETS_READ)])
def show_findings(
    request: Request,
    dataset_id: str,
    here: Here,
    code: Annotated[str | None, Query(max_length=100)] = None,
    severity: Severity | None = None,
    number: Annotated[int, Query(alias="page", ge=1, le=MOST_PAGES)] = 1,
) -> Response:
    """Pages have numbers: a report is a list of limited length that does not grow at its beginning."""
    dataset = here.desk.library.dataset(dataset_id)
    report = report_of(here, dataset.job_id)
    wanted = report.of(code or None, severity)
    shown = wanted[(number - 1) * PAGE_LENGTH : number * PAGE_LENGTH]
    is_ready = dataset.state is DatasetState.READY
    return page(
        request,
        "datasets/findings.html",
        section="datasets",
        dataset=dataset,
        report=report,
        code=code or None,
        severity=severity,
        number=number,
        pages=-(-len(wanted) // PAGE_LENGTH),
        wanted=len(wanted),
        findings=[(each, frame_of(here, dataset.id, each) if is_ready else None) for each in shown],
    )
