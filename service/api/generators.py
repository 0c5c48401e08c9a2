"""The catalogue of generators, and the import of checkpoints."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from service.access.scopes import Scope
from service.api.authentication import Needed, needs
from service.api.dependencies import Here
from service.api.jobs import JobRoute, job_view
from service.api.views import GeneratorView, JobView, Page
from service.catalogue import BUNDLED, GeneratorCard
from service.jobs.submit import GeneratorImportWish, submit_generator_import

GENERATOR_NAME = r"^[a-z0-9][a-z0-9._-]{0,79}$"
MOST_PARTS = 8
SHARES = Needed(frozenset({Scope.OPERATOR}))
router = APIRouter(prefix="/generators", tags=["generators"], route_class=JobRoute)


class NewGenerator(BaseModel):
    """A checkpoint of an original repository, uploaded before. Only tensors are read from it.

    `part_upload_ids`: the further files of a checkpoint that comes in several, such as the two networks of
    KinD's TensorFlow code. `options`: what the tensors do not show, such as the `align_corners` of an
    EnlightenGAN, or the `ratio` by which a KinD brightens unless told otherwise. `shared`: for every
    tenant of this server, not for this one alone; the key needs the scope operator too.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    upload_id: str
    name: Annotated[str, Field(pattern=GENERATOR_NAME)]
    architecture: str
    direction: str
    part_upload_ids: Annotated[list[str], Field(max_length=MOST_PARTS)] = []
    options: dict[str, bool | int | Annotated[float, Field(allow_inf_nan=False)] | str] = {}
    card: dict[str, Annotated[str, Field(max_length=1000)]] = {}
    shared: bool = False


@router.get("", dependencies=[needs(Scope.JOBS_READ)])
def list_generators(here: Here) -> Page[GeneratorView]:
    cards = [*BUNDLED, *here.desk.library.made_generators()]
    return Page(items=[_view(card) for card in cards], next_cursor=None)


@router.get("/{reference}", dependencies=[needs(Scope.JOBS_READ)])
def get_generator(reference: str, here: Here) -> GeneratorView:
    return _view(here.desk.library.generator(reference))


@router.post("", status_code=202, dependencies=[needs(Scope.ADMIN)])
def import_generator(wish: NewGenerator, here: Here) -> JobView:
    """Convert a checkpoint and add it to the catalogue. Answers at once; follow the job."""
    if wish.shared:
        SHARES.check(here.caller)
    return job_view(here, submit_generator_import(here.desk, GeneratorImportWish(**wish.model_dump())))


def _view(card: GeneratorCard) -> GeneratorView:
    return GeneratorView(**card.to_json(), reference=card.reference)
