"""`Idempotency-Key` on every POST: the same key and body get the first answer again."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from service.api.dependencies import Services
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
            return await _once(request, key, handle)

        return handle_once


async def _once(request: Request, key: str, handle: Handler) -> Response:
    if not 0 < len(key) <= MAX_KEY_LENGTH:
        raise InvalidRequest(f"The Idempotency-Key has {len(key)} letters.", f"Use 1 to {MAX_KEY_LENGTH}.")
    services: Services = request.app.state.services
    store, path = IdempotencyStore(services.database), request.url.path[:MAX_KEY_LENGTH]
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
        store.finish, key, path, KeptAnswer(response.status_code, bytes(response.body).decode())
    )
    return response
