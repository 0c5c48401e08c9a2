"""Webhooks and deliveries as plain values, without SQL, for the client too."""

from dataclasses import dataclass
from enum import StrEnum


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given-up"


@dataclass(frozen=True, slots=True)
class Webhook:
    id: str
    tenant: str
    url: str
    secret: str
    created_at: float

    def __repr__(self) -> str:
        return f"Webhook(id={self.id!r})"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One job's end, told to one webhook. `due_at`: when it is tried next, as long as it is pending."""

    id: str
    webhook_id: str
    job_id: str
    state: DeliveryState
    attempts: int
    due_at: float
    last_answer: str | None
    created_at: float
    finished_at: float | None
