"""What routes are given: the stores opened at start, cursors, and a job or dataset by its id."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from service.errors import InvalidRequest
from service.jobs.database import Database
from service.jobs.submit import Desk
from service.settings import Settings
from service.storage.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    database: Database
    desk: Desk
    store: ObjectStore


def services(request: Request) -> Services:
    opened: Services = request.app.state.services
    return opened


Here = Annotated[Services, Depends(services)]
Limit = Annotated[int, Query(ge=1, le=500, description="how many items at most")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")]


def encode_cursor(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *kinds: type) -> list[Any]:
    """Raises:
    InvalidRequest: the cursor is not one that we made.
    """
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        values = None
    if not isinstance(values, list) or [type(value) for value in values] != list(kinds):
        raise InvalidRequest("The cursor is not valid.", "Use the next_cursor of a page, or none.")
    return values


def age_cursor(cursor: str | None) -> tuple[float, str] | None:
    if cursor is None:
        return None
    created_at, last_id = decode_cursor(cursor, float, str)
    return created_at, last_id
