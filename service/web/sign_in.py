"""Who is looking: a key is shown once, then a cookie stands for it. `nightshift up` prints a link instead."""

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from service.access.key_store import KeyStore
from service.access.sessions import COOKIE_SECONDS
from service.api.authentication import is_of_own_page
from service.api.dependencies import Opened, Services
from service.errors import CrossSite, Unauthorized
from service.web.page_route import SIGN_IN, PageRoute
from service.web.pages import page

router = APIRouter(include_in_schema=False, route_class=PageRoute)
HOME = "/datasets"
MOST_KEY_CHARS = 200


@router.get(SIGN_IN)
def show_sign_in(request: Request, then: str = HOME) -> Response:
    return page(request, "sign_in.html", then=_own_path(then), error=None)


@router.post(SIGN_IN)
def sign_in(
    request: Request,
    here: Opened,
    key: Annotated[str, Form(max_length=MOST_KEY_CHARS)],
    then: Annotated[str, Form()] = HOME,
) -> Response:
    if not is_of_own_page(request.headers):
        raise CrossSite
    try:
        caller = KeyStore(here.database).caller(key.strip())
    except Unauthorized as error:
        request.app.state.rate_limits.note_failure(request.client.host if request.client else "unknown")
        return page(request, "sign_in.html", 401, then=_own_path(then), error=error.message)
    return _signed_in(request, here, caller.key_id, _own_path(then))


@router.get(SIGN_IN + "/{link}")
def sign_in_by_link(request: Request, link: str, here: Opened) -> Response:
    """Goes on at once, so that the link does not stay in the address bar."""
    key_id = here.sessions.key_id_of_link(link)
    if key_id is None:
        message = "This link is too old."
        return page(request, "sign_in.html", 401, then=HOME, error=message)
    return _signed_in(request, here, KeyStore(here.database).caller_by_id(key_id).key_id, HOME)


@router.post("/sign-out")
def sign_out(request: Request, here: Opened) -> Response:
    if not is_of_own_page(request.headers):
        raise CrossSite
    return _with_cookie(request, here, "", SIGN_IN, seconds=0)


def _signed_in(request: Request, here: Services, key_id: str, then: str) -> Response:
    return _with_cookie(request, here, here.sessions.new(key_id), then, COOKIE_SECONDS)


def _with_cookie(request: Request, here: Services, value: str, then: str, seconds: int) -> Response:
    """`lax`: a link in a message opens the page; a request that changes something is not sent from there."""
    answer = RedirectResponse(then, 303)
    answer.set_cookie(
        here.sessions.cookie_name,
        value,
        max_age=seconds,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
    return answer


def _own_path(wanted: str) -> str:
    """Never to another site, however it is spelled."""
    parts = urlsplit(wanted)
    is_own = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and not parts.netloc
    return wanted if is_own and wanted.isprintable() else HOME
