"""What answers that are no JSON have in common: how they are described, and what they are called when kept.

None takes a `Range`: a header of ten thousand ranges (CVE-2025-62727) gets the whole, once.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import RedirectResponse, StreamingResponse

from service.storage.object_store import ObjectStore

BLOCK_BYTES = 1 << 20
# An image never changes under its name; only the one who asked may keep it.
KEPT = {"Cache-Control": "private, max-age=31536000, immutable"}

# Only where the operator wishes it.
ELSEWHERE: dict[int | str, dict[str, Any]] = {307: {"description": "in the store, for five minutes"}}


def content(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """For `responses` of a route that answers with bytes."""
    bytes_of = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": "as it is stored", "content": dict.fromkeys(media_types, bytes_of)}}


def attachment(name: str) -> dict[str, str]:
    """To be kept as a file, never shown. Browsers read the second name, whatever letters it has."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    }


def streamed(store: ObjectStore, key: str, media_type: str, **headers: str) -> StreamingResponse:
    """An object as it is stored, in constant memory.

    Raises:
        ObjectNotFound: before anything is sent.
    """
    length = {"Content-Length": str(store.size_bytes(key))}
    return StreamingResponse(_blocks(store, key), media_type=media_type, headers={**headers, **length})


def _blocks(store: ObjectStore, key: str) -> Iterator[bytes]:
    with store.open(key) as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def elsewhere(store: ObjectStore, key: str, media_type: str, disposition: str) -> Response | None:
    """To the store itself, where the operator wishes that; None: the bytes come from here.

    The address is as good as a key for as long as it lasts, so nobody may keep the answer.
    """
    link = store.presigned(key, media_type, disposition)
    return None if link is None else RedirectResponse(link, 307, headers={"Cache-Control": "no-store"})
