"""`next_cursor` of a page: signed, so that nobody writes one by hand or takes that of another tenant."""

from dataclasses import dataclass
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from service.errors import BrokenCursor, ForeignCursor


@dataclass(frozen=True, slots=True)
class Cursors:
    """Those of one tenant. All servers of an installation share the secret."""

    secret: str
    tenant: str

    def encode(self, listing: str, values: list[Any]) -> str:
        text = self._serializer().dumps([self.tenant, listing, *values])
        return text if isinstance(text, str) else text.decode()

    def decode(self, listing: str, cursor: str, *kinds: type) -> list[Any]:
        """Raises:
        BrokenCursor: it is not one that we made.
        ForeignCursor: it is one of another listing or tenant.
        """
        try:
            values: list[Any]
            tenant, made_for, *values = self._serializer().loads(cursor)
        except (BadData, ValueError, TypeError):
            raise BrokenCursor from None
        if (tenant, made_for) != (self.tenant, listing):
            raise ForeignCursor
        if [type(value) for value in values] != list(kinds):
            raise BrokenCursor
        return values

    def _serializer(self) -> URLSafeSerializer:
        return URLSafeSerializer(self.secret, salt="cursor")
