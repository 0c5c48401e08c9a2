"""Quality of a dataset: measured by a job, against real night frames."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Here
from service.api.jobs import JobRoute, job_view
from service.api.views import JobView
from service.datasets.selection import Selection
from service.jobs.submit import QualityWish, submit_quality

router = APIRouter(prefix="/quality", tags=["quality"], route_class=JobRoute)


class NewQuality(BaseModel):
    """`reference_id`: a dataset of real night frames; without it the bundled figures of some serve.
    `backbone`: whose features KID and FID compare: `streetnet` is bundled; for `inception` or a classifier of
    torchvision, upload its weights and name the upload.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    dataset_id: str
    reference_id: str | None = None
    select: dict[str, list[str]] = {}
    reference_select: dict[str, list[str]] = {}
    backbone: str = "streetnet"
    backbone_upload_id: str | None = None


@router.post("", status_code=202, dependencies=[needs(Scope.JOBS_WRITE)])
def create_quality(wish: NewQuality, here: Here) -> JobView:
    """Measure a dataset. Answers at once; the figures are in the job's outcome and report."""
    values = wish.model_dump(exclude={"select", "reference_select"})
    selection = Selection.from_json(wish.select)
    reference = Selection.from_json(wish.reference_select)
    measuring = QualityWish(**values, selection=selection, reference_selection=reference)
    return job_view(here, submit_quality(here.desk, measuring))
