"""The doorbell: Celery messages that name a shard. They may come twice, late or never; SQL is the truth."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import structlog
from kombu.exceptions import KombuError

from service.errors import Unavailable
from service.jobs.broker import make_celery
from service.jobs.job import QUEUES
from service.jobs.leases import LeaseStore
from service.settings import Settings

log = structlog.get_logger(__name__)
RUN_SHARD = "shard.run"
# So many unread messages are enough to keep the workers busy until the reconciler looks again. Sending more
# would only fill the broker with messages that are stale when they are read.
ENOUGH_UNREAD = 32


class Queue(Protocol):
    """Both raise `Unavailable` when the broker does not answer."""

    def send(self, name: str, hints: Iterable[tuple[str, int]]) -> None: ...

    def unread(self, name: str) -> int: ...


class CeleryQueue:
    def __init__(self, settings: Settings) -> None:
        self._celery = make_celery(settings, is_sender=True)
        # Not opened: only to ask how its broker's client fails.
        connection = self._celery.connection_for_write()
        self._failures = (KombuError, OSError, *connection.connection_errors, *connection.channel_errors)

    def send(self, name: str, hints: Iterable[tuple[str, int]]) -> None:
        with self._answering(), self._celery.producer_or_acquire() as producer:
            for job_id, index in hints:
                self._celery.send_task(RUN_SHARD, args=(job_id, index), producer=producer, queue=name)

    def unread(self, name: str) -> int:
        with self._answering(), self._celery.connection_or_acquire() as connection:
            declared = connection.default_channel.queue_declare(queue=name, durable=True)
            return int(declared.message_count)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except self._failures as error:
            raise Unavailable("broker") from error


def ring(queue: Queue, leases: LeaseStore) -> int:
    """Send hints for shards that wait, unless enough messages wait already. Returns how many."""
    sent = 0
    for name, work in QUEUES.items():
        hints = leases.due_hints(work, ENOUGH_UNREAD - queue.unread(name))
        queue.send(name, hints)
        sent += len(hints)
    return sent


def ring_if_possible(queue: Queue, leases: LeaseStore) -> None:
    """For those who have written what is to be done: without a broker, the reconciler does."""
    try:
        ring(queue, leases)
    except Unavailable as error:
        log.warning("doorbell not rung", error=str(error))
