"""What a preview has made: its frames one by one, while it runs and afterwards."""

from fastapi import APIRouter, Response
from pydantic import BaseModel

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Here, Services
from service.api.downloads import KEPT, content
from service.datasets.dataset import Split
from service.errors import NotFound
from service.jobs.job import Job
from service.jobs.previews import PreviewFrame, preview_frames

router = APIRouter(prefix="/jobs/{job_id}/preview", tags=["jobs"])


class PreviewFrameView(BaseModel):
    """`source_url` is the dataset's own image, `image_url` the translated one, null until it is there."""

    name: str
    split: Split
    id: str
    width_px: int
    height_px: int
    source_url: str
    image_url: str | None


class PreviewView(BaseModel):
    """`frames` is empty until the job has chosen them."""

    job_id: str
    frames: list[PreviewFrameView]


@router.get("", dependencies=[needs(Scope.JOBS_READ)])
def get_preview(job_id: str, here: Here) -> PreviewView:
    """The frames of a translation's preview, in the dataset's order."""
    return preview_view(here, preview_job(here, job_id))


@router.get(
    "/{number}",
    response_class=Response,
    responses=content("image/jpeg"),
    dependencies=[needs(Scope.JOBS_READ)],
)
def get_preview_image(job_id: str, number: int, here: Here) -> Response:
    """A translated frame, by its place in the list."""
    frames = preview_frames(here.desk, here.store, preview_job(here, job_id))
    key = frames[number].image_key if 0 <= number < len(frames) else None
    if key is None:
        raise NotFound("translated frame", f"{job_id} {number}")
    return Response(here.store.read(key), media_type="image/jpeg", headers=KEPT)


def preview_job(here: Services, job_id: str) -> Job:
    """Raises:
    NotFound: there is no such job, or it is no preview.
    """
    job = here.desk.jobs.job(job_id)
    if not job.spec.get("preview"):
        raise NotFound("preview", job_id)
    return job


def preview_view(here: Services, job: Job) -> PreviewView:
    found = preview_frames(here.desk, here.store, job)
    frames = [_frame_view(job, number, each) for number, each in enumerate(found)]
    return PreviewView(job_id=job.id, frames=frames)


def _frame_view(job: Job, number: int, preview: PreviewFrame) -> PreviewFrameView:
    frame = preview.frame
    return PreviewFrameView(
        name=frame.name,
        split=frame.split,
        id=frame.id,
        width_px=frame.width_px,
        height_px=frame.height_px,
        source_url=f"/v1/datasets/{job.dataset_id}/frames/{frame.split}/{frame.id}/image",
        image_url=None if preview.image_key is None else f"/v1/jobs/{job.id}/preview/{number}",
    )
