"""What answers that are no JSON have in common: how they are described, sent, and called when kept."""

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.byte_ranges import Asked, ByteRange
from service.storage.object_store import ObjectStore

Route = TypeVar("Route", bound=Callable[..., Any])
BLOCK_BYTES = 1 << 20
# An image never changes under its name; only the one who asked may keep it.
KEPT = {"Cache-Control": "private, max-age=31536000, immutable"}

# Only where the operator wishes it.
ELSEWHERE: dict[int | str, dict[str, Any]] = {307: {"description": "in the store, for five minutes"}}


def content(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """For `responses` of a route that answers with bytes."""
    return {200: {"description": "as it is stored", **_bytes_of(media_types)}}


def content_in_parts(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """The same, of a route that answers with `stored`."""
    part = {"description": "the range that was asked for", **_bytes_of(media_types)}
    return {**content(*media_types), 206: part, 416: {}}


def download(
    router: APIRouter, path: str, scope: Scope, responses: dict[int | str, dict[str, Any]]
) -> Callable[[Route], Route]:
    """A route for GET and HEAD: FastAPI adds none for HEAD, by which clients learn how large a thing is."""

    def both(route: Route) -> Route:
        for add in (router.get, router.head):
            add(path, response_class=Response, responses=responses, dependencies=[needs(scope)])(route)
        return route

    return both


def attachment(name: str) -> dict[str, str]:
    """To be kept as a file, never shown. Browsers read the second name, whatever letters it has."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    }


def stored(store: ObjectStore, key: str, asked: Asked, media_type: str, **headers: str) -> Response:
    """An object that never changes under its key, or the range of it that is asked for, in constant memory.

    Raises:
        ObjectNotFound: before anything is sent.
        RangeNotSatisfiable: likewise.
    """
    size = store.size_bytes(key)
    etag = f'"{hashlib.sha256(f"{key} {size}".encode()).hexdigest()[:20]}"'
    part = asked.part(size, etag)
    sent = part or ByteRange(0, size)
    length = sent.stop_byte - sent.start_byte
    headers |= {"Accept-Ranges": "bytes", "ETag": etag, "Content-Length": str(length)}
    if part is not None:
        headers["Content-Range"] = f"bytes {part.start_byte}-{part.stop_byte - 1}/{size}"
    status = 200 if part is None else 206
    if asked.is_head:
        return Response(None, status, headers, media_type)
    if length <= BLOCK_BYTES:
        return Response(_read(store, key, sent, size), status, headers, media_type)
    return StreamingResponse(_blocks(store, key, sent), status, headers, media_type)


def made_while_sent(blocks: Iterator[bytes], asked: Asked, media_type: str, **headers: str) -> Response:
    """Its length is not known before its end, so that there are no parts of it."""
    headers["Accept-Ranges"] = "none"
    return StreamingResponse(iter(()) if asked.is_head else blocks, media_type=media_type, headers=headers)


def elsewhere(
    store: ObjectStore, key: str, asked: Asked, media_type: str, disposition: str
) -> Response | None:
    """To the store itself, where the operator wishes that; None: the bytes come from here.

    The address is as good as a key for as long as it lasts, so nobody may keep the answer; and it is good for
    GET alone.
    """
    link = None if asked.is_head else store.presigned(key, media_type, disposition)
    return None if link is None else RedirectResponse(link, 307, headers={"Cache-Control": "no-store"})


def _bytes_of(media_types: tuple[str, ...]) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"content": dict.fromkeys(media_types, binary)}


def _read(store: ObjectStore, key: str, sent: ByteRange, size_bytes: int) -> bytes:
    if sent == ByteRange(0, size_bytes):
        return store.read(key)
    return store.read_range(key, sent.start_byte, sent.stop_byte)


def _blocks(store: ObjectStore, key: str, sent: ByteRange) -> Iterator[bytes]:
    left = sent.stop_byte - sent.start_byte
    with store.open(key) as file:
        file.seek(sent.start_byte)
        while left > 0 and (block := file.read(min(BLOCK_BYTES, left))):
            left -= len(block)
            yield block
