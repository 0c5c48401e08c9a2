"""`Idempotency-Key` on every POST: the same key and body get the first answer again."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from service.api.authentication import Needed
from service.api.dependencies import caller_of, opened
from service.errors import InvalidRequest
from service.jobs.idempotency import IdempotencyStore, KeptAnswer

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
            return await _once(request, key, handle, self.kept)

        return handle_once

    def kept(self, body: str) -> str:
        """What is kept of an answer, and given when it is asked for again."""
        return body


class SecretiveRoute(IdempotentRoute):
    """Its first answer has a secret in the field `key`; what is kept for the second has null there."""

    def kept(self, body: str) -> str:
        return json.dumps(_without_keys(json.loads(body)))


def _without_keys(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if name == "key" else _without_keys(value) if isinstance(value, dict) else value
        for name, value in answer.items()
    }


async def _once(request: Request, key: str, handle: Handler, keep: Callable[[str], str]) -> Response:
    _check_length(key)
    store = IdempotencyStore(opened(request).database, caller_of(request).tenant)
    path = request.url.path[:MAX_KEY_LENGTH]
    kept = await run_in_threadpool(store.begin, key, path, await request.body())
    if kept is not None:
        headers = {"Idempotent-Replay": "true"}
        return Response(kept.body, kept.status, headers, media_type="application/json")
    try:
        response = await handle(request)
    except BaseException:
        await run_in_threadpool(store.abandon, key, path)
        raise
    await run_in_threadpool(
        store.finish, key, path, KeptAnswer(response.status_code, keep(bytes(response.body).decode()))
    )
    return response


def made_once(request: Request, wish: bytes, make: Callable[[], str]) -> tuple[str, bool]:
    """For a route whose body is no JSON: the id of what it makes, and whether it was made just now."""
    key = request.headers.get(HEADER)
    if key is None:
        return make(), True
    _check_length(key)
    store = IdempotencyStore(opened(request).database, caller_of(request).tenant)
    path = request.url.path[:MAX_KEY_LENGTH]
    kept = store.begin(key, path, wish)
    if kept is not None:
        return kept.body, False
    try:
        made = make()
    except BaseException:
        store.abandon(key, path)
        raise
    store.finish(key, path, KeptAnswer(201, made))
    return made, True


def _check_length(key: str) -> None:
    if not 0 < len(key) <= MAX_KEY_LENGTH:
        raise InvalidRequest(f"The Idempotency-Key has {len(key)} letters.", f"Use 1 to {MAX_KEY_LENGTH}.")
