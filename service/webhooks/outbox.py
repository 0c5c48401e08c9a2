"""What is to be sent: deliveries wait in SQL, where the end of a job put them, until a sender claims them.

A claim is a compare-and-set on the number of attempts that also puts the delivery's next turn off: a sender
that dies lets it come due again, and two senders never send the same attempt.
"""

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import RowMapping, delete, func, select, update

from service.jobs.database import Database, database_now
from service.jobs.tables import jobs, webhook_deliveries, webhooks
from service.webhooks.records import DeliveryState

# After the first attempt: nine in all, over about a day.
WAIT_SECONDS = (5.0, 30.0, 300.0, 1800.0, 3600.0 * 2, 3600.0 * 5, 3600.0 * 8, 3600.0 * 8)
JITTER = 0.2
CLAIM_SECONDS = 60.0
# Of one webhook at a time: a receiver that hangs must not take every place.
MOST_OF_ONE = 4
KEPT_SECONDS = 30 * 24 * 3600.0
_TOLD = ("id", "kind", "state", "dataset_id", "result_id", "parent_id", "error_code", "error")


@dataclass(frozen=True, slots=True)
class Message:
    """One attempt at a delivery: the sender's alone, for as long as a claim lasts."""

    id: str
    url: str
    secret: str
    attempt: int
    body: bytes

    def __repr__(self) -> str:
        return f"Message(id={self.id!r}, attempt={self.attempt})"


class Outbox:
    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, limit: int) -> list[Message]:
        """Attempts that are due, longest due first."""
        table = webhook_deliveries
        turn = func.row_number().over(partition_by=table.c.webhook_id, order_by=(table.c.due_at, table.c.id))
        due = (
            select(table.c.id, turn.label("turn"))
            .where(table.c.state == DeliveryState.PENDING, table.c.due_at <= database_now())
            .subquery()
        )
        query = (
            select(
                table.c.id.label("delivery_id"), table.c.attempts, webhooks.c.url, webhooks.c.secret,
                *(jobs.c[name] for name in (*_TOLD, "created_at", "finished_at")),
            )
            .join(due, due.c.id == table.c.id)
            .join(webhooks, webhooks.c.id == table.c.webhook_id)
            .join(jobs, jobs.c.id == table.c.job_id)
            .where(due.c.turn <= MOST_OF_ONE)
            .order_by(table.c.due_at, table.c.id)
            .limit(limit)
        )  # fmt: skip
        with (
            self._database.reading() as connection
        ):  # the database is written to only when there is something
            found = connection.execute(query).mappings().all()
        return [_message(row) for row in found if self._is_claimed(row["delivery_id"], row["attempts"])]

    def delivered(self, message: Message, answer: str) -> None:
        self._finish(message, DeliveryState.DELIVERED, answer)

    def failed(self, message: Message, answer: str, is_final: bool = False) -> None:
        """Try again later, unless that was tried for a day or is `is_final`."""
        if is_final or message.attempt > len(WAIT_SECONDS):
            self._finish(message, DeliveryState.GIVEN_UP, answer)
            return
        wait = WAIT_SECONDS[message.attempt - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - to spread
        self._record(message, due_at=database_now() + wait, last_answer=answer)

    def forget_old(self) -> None:
        """Those that ended long ago."""
        table = webhook_deliveries
        with self._database.writing() as connection:
            connection.execute(
                delete(table).where(
                    table.c.state != DeliveryState.PENDING,
                    table.c.finished_at < database_now() - KEPT_SECONDS,
                )
            )

    def _is_claimed(self, delivery_id: str, attempts: int) -> bool:
        table = webhook_deliveries
        with self._database.writing() as connection:
            claimed = connection.execute(
                update(table)
                .where(
                    table.c.id == delivery_id,
                    table.c.state == DeliveryState.PENDING,
                    table.c.attempts == attempts,
                )
                .values(attempts=attempts + 1, due_at=database_now() + CLAIM_SECONDS)
            )
            return claimed.rowcount == 1

    def _finish(self, message: Message, state: DeliveryState, answer: str) -> None:
        self._record(message, state=state, last_answer=answer, finished_at=database_now())

    def _record(self, message: Message, **values: Any) -> None:
        """Only of the attempt that was claimed: a sender that was away for long changes nothing."""
        table = webhook_deliveries
        is_ours = (table.c.id == message.id, table.c.attempts == message.attempt)
        with self._database.writing() as connection:
            connection.execute(
                update(table).where(*is_ours, table.c.state == DeliveryState.PENDING).values(**values)
            )


def _message(row: RowMapping) -> Message:
    """The job is final, so each attempt has the same bytes."""
    told = {name: row[name] for name in _TOLD}
    times = {name: _time(row[name]) for name in ("created_at", "finished_at")}
    body = {"type": f"job.{row['state']}", "timestamp": times["finished_at"], "data": {**told, **times}}
    return Message(
        row["delivery_id"], row["url"], row["secret"], row["attempts"] + 1, json.dumps(body).encode()
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
