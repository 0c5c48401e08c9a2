"""Who is asking: the key is checked before anything of a request's body is read, the scopes at each route.

A browser that has signed in shows a cookie instead. It also shows it when a page of another site sends the
request, so what changes anything must come from a page of our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import scopes
from service.access.caller import Caller
from service.access.key_store import KeyStore
from service.access.rate_limits import Allowance, RateLimits
from service.api.dependencies import Services, caller_of
from service.api.errors import problem_of
from service.errors import CrossSite, InsufficientScope, NightshiftError, TooManyRequests, Unauthorized

GUARDED = ("/v1", "/metrics")
# The same for everybody: no cookie is looked at.
OPEN = ("/static", "/healthz", "/readyz", "/openapi.json")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SCHEME = "bearer "
# Only for the OpenAPI document: the key has been checked long before.
DOCUMENTED = HTTPBearer(scheme_name="key", description="An API key.", auto_error=False)


@dataclass(frozen=True, slots=True)
class Needed:
    """What a route asks of the key. Without scopes any valid key will do."""

    scopes: frozenset[scopes.Scope]

    async def __call__(
        self,
        request: Request,
        _key: Annotated[HTTPAuthorizationCredentials | None, Security(DOCUMENTED)] = None,
    ) -> None:
        self.check(caller_of(request))

    def check(self, caller: Caller) -> None:
        missing = self.scopes - caller.scopes
        if missing:
            raise InsufficientScope(missing)


def needs(*wanted: scopes.Scope) -> Any:
    """For `dependencies=[needs(Scope.JOBS_READ)]` of a router or a route."""
    return Depends(Needed(frozenset(wanted)))


class Authentication:
    """Plain ASGI: a route's own dependencies are asked only when its body has been read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _needs_nobody(scope):
            await self._app(scope, receive, send)
            return
        here: Services = scope["app"].state.services
        limits: RateLimits = scope["app"].state.rate_limits
        try:
            caller, allowance = await run_in_threadpool(_admit, here, limits, scope)
        except NightshiftError as error:
            # A page that needs somebody asks who it is, and shows the way to sign in.
            answer = problem_of(error) if _is_below(scope["path"], GUARDED) else self._app
            await answer(scope, receive, send)
            return
        if allowance is None:
            await self._pass(scope, receive, send, caller)
            return
        told = _telling(allowance, send)
        if allowance.remaining < 0:
            refusal = TooManyRequests(
                "This key sends too many requests.", max(1, allowance.reset_after_seconds)
            )
            await problem_of(refusal)(scope, receive, told)
            return
        await self._pass(scope, receive, told, caller)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, caller: Caller) -> None:
        scope["state"] = {**scope.get("state", {}), "caller": caller}
        await self._app(scope, receive, send)


def is_of_own_page(headers: Headers) -> bool:
    """Whether a browser says that one of our pages sent the request; it cannot be made to say so falsely."""
    return urlsplit(headers.get("origin", "")).netloc == headers.get("host", "")


def _needs_nobody(scope: Scope) -> bool:
    if _is_below(scope["path"], GUARDED):
        return False
    return _is_below(scope["path"], OPEN) or "cookie" not in Headers(scope=scope)


def _is_below(path: str, places: Sequence[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def _admit(here: Services, limits: RateLimits, scope: Scope) -> tuple[Caller, Allowance | None]:
    headers = Headers(scope=scope)
    presented = headers.get("authorization")
    if presented is None:
        caller = _signed_in(here, headers, scope["method"])
        return caller, limits.admit(caller.key_id, is_page=True)
    try:
        if presented[: len(SCHEME)].lower() != SCHEME:
            raise Unauthorized("The Authorization header holds no API key.")
        caller = KeyStore(here.database).caller(presented[len(SCHEME) :].strip())
    except Unauthorized:
        # A valid key is let in whatever its neighbours behind one address send: 256 bits cannot be guessed,
        # so that only those who try are slowed down.
        limits.note_failure(_address(scope))
        raise
    return caller, limits.admit(caller.key_id)


def _signed_in(here: Services, headers: Headers, method: str) -> Caller:
    """Nobody can guess a signature: a cookie that is not valid is an old one, and not counted."""
    cookie = cookie_parser(headers.get("cookie", "")).get(here.sessions.cookie_name, "")
    key_id = here.sessions.key_id(cookie)
    if key_id is None:
        raise Unauthorized
    if method not in SAFE_METHODS and not is_of_own_page(headers):
        raise CrossSite
    return KeyStore(here.database).caller_by_id(key_id)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else "unknown"


def _telling(allowance: Allowance, send: Send) -> Send:
    async def send_told(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in allowance.headers().items():
                headers[name] = value
        await send(message)

    return send_told
