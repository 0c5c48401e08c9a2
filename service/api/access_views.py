"""What the API answers about keys and limits. The client reads the same types."""

from datetime import UTC, datetime

from pydantic import BaseModel

from service.access.keys import ApiKey
from service.access.scopes import Scope


class KeyView(BaseModel):
    """A key as its tenant may see it. `last_used_at` is true to the minute."""

    id: str
    tenant: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyView":
        return cls(
            id=key.id,
            tenant=key.tenant,
            name=key.name,
            scopes=sorted(key.scopes),
            created_at=datetime.fromtimestamp(key.created_at, UTC),
            expires_at=_time(key.expires_at),
            revoked_at=_time(key.revoked_at),
            last_used_at=_time(key.last_used_at),
        )


class NewKeyView(KeyView):
    """`key` is shown this once, and is null when the answer is repeated for an Idempotency-Key."""

    key: str | None


class RotatedKeyView(BaseModel):
    """The new key, and the old one with the time until which it is still valid."""

    new: NewKeyView
    old: KeyView


class LimitsView(BaseModel):
    """What this tenant may use, and what it uses. `requests_per_second` 0: any number, for each key."""

    requests_per_second: float
    request_burst: int
    failed_keys_per_minute: int
    upload_bytes: int
    stored_bytes: int
    stored_bytes_used: int
    active_jobs: int
    active_jobs_used: int


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
