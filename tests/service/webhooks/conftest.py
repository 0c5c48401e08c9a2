"""A receiver of webhooks, a listener that nobody may ever reach, and jobs whose end is told."""

from collections.abc import Iterator

import pytest

from service.jobs.database import Database
from service.jobs.submit import Desk
from service.webhooks.outbox import Outbox
from service.webhooks.store import WebhookStore
from tests.service.webhooks.receivers import Canary, Post, Receiver, serve


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    server = serve(receiver)
    yield receiver
    server.shutdown()
    server.server_close()


@pytest.fixture
def canary() -> Iterator[Canary]:
    canary = Canary()
    yield canary
    canary.close()


@pytest.fixture
def post(database: Database, desk: Desk) -> Post:
    return Post(database, desk, WebhookStore(database, "local"), Outbox(database))
