"""The keys of the tenant, for those who may hand them out. A new key is shown once."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel

from service.access.scopes import Scope
from service.api.access_views import NewKeyView
from service.api.authentication import needs
from service.api.dependencies import Here, Services
from service.api.keys import NewKeyWish, create_key, list_keys, revoke_key, rotate_key
from service.web.forms import wish
from service.web.page_route import PageRoute
from service.web.pages import is_part, page

router = APIRouter(
    prefix="/keys", include_in_schema=False, route_class=PageRoute, dependencies=[needs(Scope.ADMIN)]
)
MEANINGS = {
    Scope.DATASETS_READ: "see datasets",
    Scope.DATASETS_WRITE: "upload and delete datasets",
    Scope.JOBS_READ: "see jobs and their results",
    Scope.JOBS_WRITE: "translate, train, experiment",
    Scope.ADMIN: "hand out keys, import generators",
    Scope.OPERATOR: "import generators that all may use, read the metrics",
}
# What somebody who works with the page or the command line needs.
USUAL = (Scope.DATASETS_READ, Scope.DATASETS_WRITE, Scope.JOBS_READ, Scope.JOBS_WRITE)


class KeyForm(BaseModel):
    """As a browser sends it: without `days` the key is valid until it is revoked."""

    name: str = ""
    scopes: list[str] = []
    days: float | None = None

    def wish(self) -> NewKeyWish:
        return wish(NewKeyWish, name=self.name, scopes=self.scopes, expires_in_days=self.days)


@router.get("")
def show_keys(request: Request, here: Here) -> Response:
    return _keys_page(request, here, None)


@router.post("")
def make_key(request: Request, here: Here, form: Annotated[KeyForm, Form()]) -> Response:
    return _keys_page(request, here, create_key(form.wish(), here))


@router.post("/{key_id}/rotate")
def make_next_key(request: Request, key_id: str, here: Here) -> Response:
    return _keys_page(request, here, rotate_key(key_id, here).new)


@router.post("/{key_id}/revoke")
def end_key(request: Request, key_id: str, here: Here) -> Response:
    revoke_key(key_id, here)
    return _keys_page(request, here, None)


def _keys_page(request: Request, here: Services, made: NewKeyView | None) -> Response:
    answer = page(
        request,
        "keys/_keys.html" if is_part(request) else "keys/keys.html",
        section="keys",
        keys=list_keys(here).items,
        made=made,
        now=datetime.now(UTC),
        own_id=here.caller.key_id,
        meanings=MEANINGS,
        usual=USUAL,
        may_give=here.caller.scopes,
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer
