"""Frames of a translation that is under way: its dataset is not ready, but every image in it is whole."""

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Here, Services
from service.api.jobs import FoundJob
from service.datasets.dataset import Split
from service.datasets.members import is_frame_id
from service.errors import NotFound, ObjectNotFound
from service.jobs.job import Job, JobKind
from service.jobs.records import Dataset
from service.web.jobs.newest_pairs import result_key
from service.web.page_route import PageRoute

router = APIRouter(
    prefix="/jobs/{job_id}/frames/{split}/{frame_id}", include_in_schema=False, route_class=PageRoute
)
# A retry makes it anew, perhaps on another machine.
KEPT_A_WHILE = {"Cache-Control": "private, max-age=600"}


@router.get("/thumbnail", dependencies=[needs(Scope.JOBS_READ), needs(Scope.DATASETS_READ)])
async def get_thumbnail(job: FoundJob, here: Here, split: Split, frame_id: str) -> Response:
    dataset = await run_in_threadpool(_dataset, here, job, frame_id)
    data = await here.thumbnails.of(dataset, split, frame_id)
    return Response(data, media_type="image/jpeg", headers=KEPT_A_WHILE)


@router.get("/image", dependencies=[needs(Scope.JOBS_READ), needs(Scope.DATASETS_READ)])
def get_image(job: FoundJob, here: Here, split: Split, frame_id: str) -> Response:
    _dataset(here, job, frame_id)
    try:
        data = here.store.read(result_key(job, split, frame_id))
    except ObjectNotFound:
        raise NotFound("frame", frame_id) from None
    return Response(data, media_type="image/jpeg", headers=KEPT_A_WHILE)


def _dataset(here: Services, job: Job, frame_id: str) -> Dataset:
    """What the job makes, ready or not.

    Raises:
        NotFound: it makes none of frames, or no frame can be called so.
    """
    if job.kind is not JobKind.TRANSLATION or job.result_id is None or not is_frame_id(frame_id):
        raise NotFound("frame", frame_id)
    return here.desk.library.dataset(job.result_id)
