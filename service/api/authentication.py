"""Who is asking: the key is checked before anything of a request's body is read, the scopes at each route."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access import scopes
from service.access.caller import Caller
from service.access.key_store import KeyStore
from service.access.rate_limits import Allowance, RateLimits
from service.api.dependencies import Services, caller_of
from service.api.errors import problem_of
from service.errors import InsufficientScope, NightshiftError, TooManyRequests, Unauthorized

GUARDED = ("/v1", "/metrics")
SCHEME = "bearer "
# Only for the OpenAPI document: the key has been checked long before.
DOCUMENTED = HTTPBearer(scheme_name="key", description="An API key.", auto_error=False)


@dataclass(frozen=True, slots=True)
class Needed:
    """What a route asks of the key. Without scopes any valid key will do."""

    scopes: frozenset[scopes.Scope]

    def __call__(
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
        if scope["type"] != "http" or not _is_guarded(scope["path"]):
            await self._app(scope, receive, send)
            return
        here: Services = scope["app"].state.services
        limits: RateLimits = scope["app"].state.rate_limits
        try:
            caller, allowance = await run_in_threadpool(_admit, here, limits, scope)
        except NightshiftError as error:
            await problem_of(error)(scope, receive, send)
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


def _is_guarded(path: str) -> bool:
    return any(path == guarded or path.startswith(f"{guarded}/") for guarded in GUARDED)


def _admit(here: Services, limits: RateLimits, scope: Scope) -> tuple[Caller, Allowance | None]:
    presented = Headers(scope=scope).get("authorization")
    if presented is None:
        raise Unauthorized
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
