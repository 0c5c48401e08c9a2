"""The page's sign-in: a signed cookie that names a key, and a link that hands one out.

Nothing of a key itself is in either, and neither outlives it: a revoked key's cookies open nothing.
"""

import hashlib
from dataclasses import dataclass

from itsdangerous import BadData, URLSafeTimedSerializer

COOKIE_SECONDS = 14 * 24 * 3600
# The link stands in a terminal's scrollback and a browser's history.
LINK_SECONDS = 24 * 3600
_COOKIE, _LINK = "session", "sign-in link"


@dataclass(frozen=True, slots=True)
class Sessions:
    """All servers of an installation share the secret."""

    secret: str

    @property
    def cookie_name(self) -> str:
        """One for each installation: browsers send the cookies of one port of a host to all its ports."""
        return "nightshift-" + hashlib.sha256(self.secret.encode()).hexdigest()[:8]

    def new(self, key_id: str) -> str:
        return self._sign(_COOKIE, key_id)

    def key_id(self, cookie: str) -> str | None:
        """Whose it is; None of one that is not ours, or too old."""
        return self._read(_COOKIE, cookie, COOKIE_SECONDS)

    def link(self, key_id: str) -> str:
        """The last part of an address that signs in whoever opens it."""
        return self._sign(_LINK, key_id)

    def key_id_of_link(self, link: str) -> str | None:
        return self._read(_LINK, link, LINK_SECONDS)

    def _sign(self, purpose: str, key_id: str) -> str:
        signed = self._serializer(purpose).dumps(key_id)
        return signed if isinstance(signed, str) else signed.decode()

    def _read(self, purpose: str, signed: str, seconds: int) -> str | None:
        try:
            return str(self._serializer(purpose).loads(signed, max_age=seconds))
        except BadData:
            return None

    def _serializer(self, purpose: str) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self.secret, salt=purpose)
