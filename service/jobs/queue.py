"""The doorbell: Celery messages that name a shard. They may come twice, late or never; SQL is the truth."""

from collections.abc import Iterable
from typing import Any, Protocol

from celery import Celery

from service.jobs.job import QUEUES, SHARDS
from service.jobs.leases import LeaseStore
from service.settings import Settings

RUN_SHARD = "shard.run"
# So many unread messages are enough to keep the workers busy until the reconciler looks again. Sending more
# would only fill the broker with messages that are stale when they are read.
ENOUGH_UNREAD = 32


class Queue(Protocol):
    def send(self, name: str, hints: Iterable[tuple[str, int]]) -> None: ...

    def unread(self, name: str) -> int: ...


class CeleryQueue:
    def __init__(self, settings: Settings) -> None:
        self._celery = make_celery(settings)

    def send(self, name: str, hints: Iterable[tuple[str, int]]) -> None:
        with self._celery.producer_or_acquire() as producer:
            for job_id, index in hints:
                self._celery.send_task(RUN_SHARD, args=(job_id, index), producer=producer, queue=name)

    def unread(self, name: str) -> int:
        with self._celery.connection_or_acquire() as connection:
            declared = connection.default_channel.queue_declare(queue=name, durable=True)
            return int(declared.message_count)


def ring(queue: Queue, leases: LeaseStore) -> int:
    """Send hints for shards that wait, unless enough messages wait already. Returns how many."""
    sent = 0
    for name, kinds in QUEUES.items():
        hints = leases.due_hints(kinds, ENOUGH_UNREAD - queue.unread(name))
        queue.send(name, hints)
        sent += len(hints)
    return sent


def make_celery(settings: Settings) -> Celery:
    """One Celery configuration for those who send and those who run."""
    celery = Celery("nightshift", broker=settings.broker, set_as_current=False)
    celery.conf.update(
        task_default_queue=SHARDS,
        task_ignore_result=True,  # results are rows in SQL
        task_serializer="json",
        accept_content=["json"],
        # A message is only a hint: once read it has done its work, and SQL brings back what it was about.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options=_transport_options(settings),
    )
    return celery


def _transport_options(settings: Settings) -> dict[str, Any]:
    if not settings.broker.startswith("filesystem:"):
        return {"visibility_timeout": 3600}
    folders = {name: settings.broker_folder / name for name in ("messages", "control")}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    return {
        "data_folder_in": str(folders["messages"]),
        "data_folder_out": str(folders["messages"]),
        "control_folder": str(folders["control"]),
        "polling_interval": 0.1,
    }
