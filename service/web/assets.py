"""Scripts and styles. Their address has a digest of all of them, so that browsers may keep them for ever."""

import hashlib
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from service.errors import NotFound

FOLDER = Path(__file__).with_name("static")
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".webp": "image/webp"}
KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}

router = APIRouter(include_in_schema=False)


@cache
def files() -> dict[str, Path]:
    """By name, such as `vendor/htmx.min.js`: only what is listed here is ever sent."""
    found = (path for path in sorted(FOLDER.rglob("*")) if path.suffix in TYPES)
    return {path.relative_to(FOLDER).as_posix(): path for path in found}


@cache
def version() -> str:
    digest = hashlib.sha256()
    for name, path in files().items():
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def static(name: str) -> str:
    """The address of a file. Raises KeyError for one that is not there: a mistake in a template."""
    files()[name]
    return f"/static/{version()}/{name}"


@router.get("/static/{_version}/{name:path}")
def get_static(_version: str, name: str) -> Response:
    path = files().get(name)
    if path is None:
        raise NotFound("file", name)
    return FileResponse(path, media_type=TYPES[path.suffix], headers=KEPT)
