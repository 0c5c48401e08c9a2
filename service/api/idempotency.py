"""`Idempotency-Key` on every POST: the same key and body get the first answer again.

If the server ended between making something and keeping its answer, what was made is found by the key, and
the answer is put together anew: see `service.jobs.idempotency` for why nothing can be made twice.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from pydantic import BaseModel

from service.api.authentication import Needed
from service.api.dependencies import caller_of, opened
from service.errors import InvalidRequest
from service.jobs.idempotency import Claim, IdempotencyStore, KeptAnswer, Made

HEADER = "idempotency-key"
MAX_KEY_LENGTH = 200
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class IdempotentRoute(APIRoute):
    """A route whose POST requests may carry a key."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if request.method != "POST" or key is None:
                return await handle(request)
            # A kept answer is given before any dependency of the route is asked.
            for dependency in self.dependencies:
                if isinstance(dependency.dependency, Needed):
                    dependency.dependency.check(caller_of(request))
            return await self._once(request, key, handle)

        return handle_once

    def kept(self, body: str) -> str:
        """What is kept of an answer, and given when it is asked for again."""
        return body

    def again(self, request: Request, made_id: str) -> BaseModel:
        """The answer of an earlier request like this one, which made this."""
        raise NotImplementedError(f"{request.url.path} made {made_id} and cannot say so again")

    async def _once(self, request: Request, key: str, handle: Handler) -> Response:
        _check_length(key)
        store = _store(request)
        begun = await run_in_threadpool(store.begin, key, _path(request), await request.body())
        if not isinstance(begun, Claim):
            return await run_in_threadpool(self._repeated, request, begun)
        try:
            with begun.held():
                response = await handle(request)
        except BaseException:
            await run_in_threadpool(store.abandon, begun)
            raise
        kept = KeptAnswer(response.status_code, self.kept(bytes(response.body).decode()))
        await run_in_threadpool(store.finish, begun, kept)
        return response

    def _repeated(self, request: Request, begun: Made | KeptAnswer) -> Response:
        if isinstance(begun, Made):
            view = self.again(request, begun.id)
            begun = KeptAnswer(self.status_code or 200, view.model_dump_json(by_alias=True))
        headers = {"Idempotent-Replay": "true"}
        return Response(begun.body, begun.status, headers, media_type="application/json")


class SecretiveRoute(IdempotentRoute):
    """Its first answer has a secret in the field `key`; what is kept for the second has null there."""

    def kept(self, body: str) -> str:
        return json.dumps(_without_keys(json.loads(body)))


def _without_keys(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if name == "key" else _without_keys(value) if isinstance(value, dict) else value
        for name, value in answer.items()
    }


def made_once(request: Request, wish: bytes, make: Callable[[], str]) -> tuple[str, bool]:
    """For a route whose body is no JSON: the id of what it makes, and whether it was made just now."""
    key = request.headers.get(HEADER)
    if key is None:
        return make(), True
    _check_length(key)
    store = _store(request)
    begun = store.begin(key, _path(request), wish)
    if isinstance(begun, Made):
        return begun.id, False
    if isinstance(begun, KeptAnswer):
        return begun.body, False
    try:
        with begun.held():
            made = make()
    except BaseException:
        store.abandon(begun)
        raise
    store.finish(begun, KeptAnswer(201, made))
    return made, True


def _store(request: Request) -> IdempotencyStore:
    return IdempotencyStore(opened(request).database, caller_of(request).tenant)


def _path(request: Request) -> str:
    return request.url.path[:MAX_KEY_LENGTH]


def _check_length(key: str) -> None:
    if not 0 < len(key) <= MAX_KEY_LENGTH:
        raise InvalidRequest(f"The Idempotency-Key has {len(key)} letters.", f"Use 1 to {MAX_KEY_LENGTH}.")
