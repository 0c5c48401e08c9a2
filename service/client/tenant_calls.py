"""What belongs to the tenant as a whole: its keys, its limits, the addresses that are called for it."""

from collections.abc import Iterator, Sequence
from typing import Any

from service.api.access_views import KeyView, LimitsView, NewKeyView, RotatedKeyView
from service.api.views import DeliveryView, NewWebhookView, WebhookView
from service.client.connection import Connection


class TenantCalls(Connection):
    def keys(self) -> Iterator[KeyView]:
        """Of the tenant; without their secrets."""
        return (KeyView.model_validate(item) for item in self._pages("/v1/keys"))

    def create_key(self, scopes: Sequence[str], **options: Any) -> NewKeyView:
        """`options`: name, expires_in_days. The answer alone has the key itself."""
        body = {"scopes": list(scopes), **options}
        return NewKeyView.model_validate(self._call("POST", "/v1/keys", json=body))

    def rotate_key(self, key_id: str, **options: Any) -> RotatedKeyView:
        """`options`: grace_seconds, for which the old key stays valid."""
        return RotatedKeyView.model_validate(self._call("POST", f"/v1/keys/{key_id}/rotate", json=options))

    def revoke_key(self, key_id: str) -> KeyView:
        return KeyView.model_validate(self._call("DELETE", f"/v1/keys/{key_id}"))

    def limits(self) -> LimitsView:
        """What the tenant may use, and what it uses."""
        return LimitsView.model_validate(self._call("GET", "/v1/limits"))

    def add_webhook(self, url: str) -> NewWebhookView:
        """Its secret is in this answer alone."""
        return NewWebhookView.model_validate(self._call("POST", "/v1/webhooks", json={"url": url}))

    def webhooks(self) -> Iterator[WebhookView]:
        return (WebhookView.model_validate(item) for item in self._pages("/v1/webhooks"))

    def remove_webhook(self, webhook_id: str) -> None:
        self._send("DELETE", f"/v1/webhooks/{webhook_id}")

    def deliveries(self, webhook_id: str) -> Iterator[DeliveryView]:
        """What became of each call, newest first."""
        return (
            DeliveryView.model_validate(item) for item in self._pages(f"/v1/webhooks/{webhook_id}/deliveries")
        )
