"""The webhooks of a tenant, and what became of their deliveries."""

from sqlalchemy import ColumnElement, delete, func, insert, select, true, tuple_

from service.errors import InvalidRequest, NotFound
from service.jobs.database import Database, database_now
from service.jobs.idempotency import note_made
from service.jobs.store import new_id
from service.jobs.tables import LOCAL_TENANT, webhook_deliveries, webhooks
from service.webhooks.records import Delivery, DeliveryState, Webhook
from service.webhooks.signing import new_secret

MOST_WEBHOOKS = 20


DELIVERY_COLUMNS = [webhook_deliveries.c[name] for name in Delivery.__dataclass_fields__]


class WebhookStore:
    """Of one tenant, or of the machinery (None), which sees those of all."""

    def __init__(self, database: Database, tenant: str | None = None) -> None:
        self._database = database
        self._tenant = tenant

    def create(self, url: str) -> Webhook:
        """Raises:
        InvalidRequest: there are as many already as there may be.
        """
        new = new_id("wh")
        with self._database.writing() as connection:
            if (connection.scalar(select(func.count()).where(self._is_mine())) or 0) >= MOST_WEBHOOKS:
                raise InvalidRequest(
                    f"There are {MOST_WEBHOOKS} webhooks already.", "Remove one that is not needed."
                )
            row = {"id": new, "tenant": self._tenant or LOCAL_TENANT, "url": url, "secret": new_secret()}
            connection.execute(insert(webhooks).values(created_at=database_now(), **row))
            note_made(connection, new)
        return self.webhook(new)

    def webhook(self, webhook_id: str) -> Webhook:
        query = select(webhooks).where(webhooks.c.id == webhook_id, self._is_mine())
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("webhook", webhook_id)
        return Webhook(**row)

    def webhooks(self) -> list[Webhook]:
        """Newest first."""
        newest = (webhooks.c.created_at.desc(), webhooks.c.id.desc())
        query = select(webhooks).where(self._is_mine()).order_by(*newest)
        with self._database.reading() as connection:
            return [Webhook(**row) for row in connection.execute(query).mappings()]

    def remove(self, webhook_id: str) -> None:
        """With its deliveries: what was not sent by now is not sent any more."""
        mine = select(webhooks.c.id).where(webhooks.c.id == webhook_id, self._is_mine())
        with self._database.writing() as connection:
            # The lock waits for jobs that end in this moment and add a delivery, and lets none add one after.
            if connection.scalar(mine.with_for_update()) is None:
                raise NotFound("webhook", webhook_id)
            connection.execute(
                delete(webhook_deliveries).where(webhook_deliveries.c.webhook_id == webhook_id)
            )
            connection.execute(delete(webhooks).where(webhooks.c.id == webhook_id))

    def deliveries(
        self, webhook_id: str, limit: int, after: tuple[float, str] | None = None
    ) -> list[Delivery]:
        """Newest first; `after` is the `(created_at, id)` of the last one seen."""
        self.webhook(webhook_id)
        table = webhook_deliveries
        query = (
            select(*DELIVERY_COLUMNS)
            .where(table.c.webhook_id == webhook_id)
            .order_by(table.c.created_at.desc(), table.c.id.desc())
            .limit(limit)
        )
        if after is not None:
            query = query.where(tuple_(table.c.created_at, table.c.id) < tuple_(*after))
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [Delivery(**{**row, "state": DeliveryState(row["state"])}) for row in rows]

    def _is_mine(self) -> ColumnElement[bool]:
        return true() if self._tenant is None else webhooks.c.tenant == self._tenant
