"""Who sent a request, as its key says."""

from dataclasses import dataclass

from service.access.scopes import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    key_id: str
    tenant: str
    scopes: frozenset[Scope]
