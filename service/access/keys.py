"""API keys as text: `ns_<8 id>_<43 base64url>_<checksum>`.

The checksum is that of everything before it: a scanner of leaked secrets can tell a key from any other text,
and one that was copied in part is refused without a look at the database.
"""

import hashlib
import hmac
import re
import secrets
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from service.access.scopes import Scope
from service.errors import InvalidRequest

SECRET_BYTES = 32
_ID_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # none that look alike
_KEY = re.compile(r"(ns_([a-z0-9]{8})_([A-Za-z0-9_-]{43}))_([0-9a-f]{8})", re.ASCII)
_TENANT = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; its secret is not. Times are seconds since the epoch."""

    id: str
    tenant: str
    name: str
    scopes: frozenset[Scope]
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    last_used_at: float | None


@dataclass(frozen=True, slots=True)
class KeyText:
    """A key taken apart. Never log it, and never keep `secret`."""

    id: str
    secret: str

    @property
    def secret_sha256(self) -> str:
        # 256 random bits cannot be guessed from their hash; a slow one would only slow down every request.
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def matches(self, secret_sha256: str) -> bool:
        return hmac.compare_digest(self.secret_sha256, secret_sha256)

    def __str__(self) -> str:
        body = f"ns_{self.id}_{self.secret}"
        return f"{body}_{_checksum(body)}"

    def __repr__(self) -> str:
        return f"KeyText(id={self.id!r})"


def mint() -> KeyText:
    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(8))
    return KeyText(key_id, secrets.token_urlsafe(SECRET_BYTES))


def parse(text: str) -> KeyText | None:
    """None of what is no key: of another form, or mistyped."""
    found = _KEY.fullmatch(text)
    if found is None or not hmac.compare_digest(_checksum(found[1]), found[4]):
        return None
    return KeyText(found[2], found[3])


def check_tenant(name: str) -> str:
    """Raises:
    InvalidRequest: no tenant can be called so.
    """
    if not _TENANT.fullmatch(name):
        cure = "Use 1 to 40 lower-case letters, digits, dots and dashes."
        raise InvalidRequest(f"{name[:80]!r} is no name for a tenant.", cure)
    return name


def parse_scopes(words: Iterable[str]) -> frozenset[Scope]:
    """Raises:
    InvalidRequest: one of them is no scope.
    """
    named = set(words)
    unknown = sorted(named - {str(scope) for scope in Scope})
    if unknown:
        raise InvalidRequest(f"There is no scope {unknown[0][:80]!r}.", f"There are: {', '.join(Scope)}.")
    return frozenset(Scope(word) for word in named)


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
