"""The keys of the caller's tenant: made, listed, rotated, revoked. A key is shown once, when it is made."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from service.access.key_store import KeyStore, NewKey
from service.access.scopes import Scope
from service.api.access_views import KeyView, NewKeyView, RotatedKeyView
from service.api.authentication import needs
from service.api.dependencies import Here, Services, services
from service.api.idempotency import SecretiveRoute
from service.api.views import Page
from service.errors import InsufficientScope

DAY_SECONDS = 24 * 3600.0
MOST_DAYS = 3650
MOST_GRACE_SECONDS = 30 * DAY_SECONDS


class KeyRoute(SecretiveRoute):
    """An answer that was lost is given again without the key, which nobody knows any more: revoke it."""

    def again(self, request: Request, made_id: str) -> BaseModel:
        store, old_id = _store(services(request)), request.path_params.get("key_id")
        new = NewKeyView(**KeyView.of(store.key(made_id)).model_dump(), key=None)
        return new if old_id is None else RotatedKeyView(new=new, old=KeyView.of(store.key(old_id)))


router = APIRouter(prefix="/keys", tags=["keys"], route_class=KeyRoute, dependencies=[needs(Scope.ADMIN)])


class NewKeyWish(BaseModel):
    """`scopes`: not more than the key has that asks. Without `expires_in_days` it is valid until revoked."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=200)] = ""
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope))]
    expires_in_days: Annotated[float, Field(gt=0, le=MOST_DAYS, allow_inf_nan=False, strict=True)] | None = (
        None
    )


class Rotation(BaseModel):
    """`grace_seconds`: how long the old key stays valid, so that nobody who uses it has to hurry."""

    model_config = ConfigDict(extra="forbid")

    grace_seconds: Annotated[float, Field(ge=0, le=MOST_GRACE_SECONDS, allow_inf_nan=False, strict=True)] = (
        DAY_SECONDS
    )


BY_DEFAULT = Rotation()


@router.post("", status_code=201)
def create_key(wish: NewKeyWish, here: Here) -> NewKeyView:
    """The answer alone has the key; keep it. Only its hash is stored."""
    _refuse_more(here, wish.scopes)
    valid_seconds = None if wish.expires_in_days is None else wish.expires_in_days * DAY_SECONDS
    return _shown(_store(here).create(wish.name, wish.scopes, valid_seconds))


@router.get("")
def list_keys(here: Here) -> Page[KeyView]:
    """Newest first, those that are no longer valid too."""
    return Page(items=[KeyView.of(key) for key in _store(here).all()], next_cursor=None)


@router.delete("/{key_id}")
def revoke_key(key_id: str, here: Here) -> KeyView:
    """No request is let in with it any more; one that was revoked before stays so."""
    return KeyView.of(_store(here).revoke(key_id))


@router.post("/{key_id}/rotate", status_code=201)
def rotate_key(key_id: str, here: Here, rotation: Rotation = BY_DEFAULT) -> RotatedKeyView:
    """A new key in place of this one, with its name and scopes; the old one ends after the grace period."""
    store = _store(here)
    _refuse_more(here, store.key(key_id).scopes)
    new = _shown(store.rotate(key_id, rotation.grace_seconds))
    return RotatedKeyView(new=new, old=KeyView.of(store.key(key_id)))


def _refuse_more(here: Services, wanted: list[Scope] | frozenset[Scope]) -> None:
    """Whoever holds a key cannot make one of more power out of it."""
    missing = frozenset(wanted) - here.caller.scopes
    if missing:
        raise InsufficientScope(missing)


def _store(here: Services) -> KeyStore:
    return KeyStore(here.database, here.caller.tenant)


def _shown(new: NewKey) -> NewKeyView:
    return NewKeyView(**KeyView.of(new.key).model_dump(), key=new.text)
