"""Webhooks: who is to be told when a job of the tenant ends, and what became of each telling."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from service.access.scopes import Scope
from service.api.authentication import needs
from service.api.dependencies import Cursor, Here, Limit, Services, age_cursor, following, services
from service.api.idempotency import IdempotentRoute
from service.api.views import DeliveryView, NewWebhookView, Page, WebhookView
from service.errors import WebhooksOff
from service.webhooks.addresses import MAX_URL_CHARACTERS, Allowance, allowed_addresses, parse_target
from service.webhooks.store import WebhookStore

DELIVERIES = "deliveries"


class WebhookRoute(IdempotentRoute):
    def again(self, request: Request, made_id: str) -> BaseModel:
        return NewWebhookView.of(_store(services(request)).webhook(made_id))


router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=WebhookRoute)


class NewWebhook(BaseModel):
    """`url`: a public host by https. It is sent a POST for every job of yours that ends."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(max_length=MAX_URL_CHARACTERS)]


@router.post("", status_code=201, dependencies=[needs(Scope.JOBS_WRITE)])
def create_webhook(wish: NewWebhook, here: Here) -> NewWebhookView:
    """The answer alone has the secret that deliveries are signed with (Standard Webhooks)."""
    if not here.settings.webhooks_allowed:
        raise WebhooksOff
    target = parse_target(wish.url, Allowance.of(here.settings))
    allowed_addresses(target)
    return NewWebhookView.of(_store(here).create(target.url))


@router.get("", dependencies=[needs(Scope.JOBS_READ)])
def list_webhooks(here: Here) -> Page[WebhookView]:
    """Newest first."""
    items = [WebhookView.of(webhook) for webhook in _store(here).webhooks()]
    return Page(items=items, next_cursor=None)


@router.delete("/{webhook_id}", status_code=204, dependencies=[needs(Scope.JOBS_WRITE)])
def remove_webhook(webhook_id: str, here: Here) -> None:
    """What has not been delivered by now is not sent any more."""
    _store(here).remove(webhook_id)


@router.get("/{webhook_id}/deliveries", dependencies=[needs(Scope.JOBS_READ)])
def list_deliveries(
    webhook_id: str, here: Here, limit: Limit = 50, cursor: Cursor = None
) -> Page[DeliveryView]:
    """Newest first: one for each job that has ended, with how often it was tried and the last answer."""
    listing = f"{DELIVERIES} {webhook_id}"
    found = _store(here).deliveries(webhook_id, limit + 1, age_cursor(here, listing, cursor))
    items = [DeliveryView.of(delivery) for delivery in found[:limit]]
    return Page(items=items, next_cursor=following(here, listing, found, limit))


def _store(here: Services) -> WebhookStore:
    return WebhookStore(here.database, here.caller.tenant)
