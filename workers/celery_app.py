"""The Celery worker: `celery --app workers.celery_app worker --pool solo`, with `--queues trainings` for one
that trains generators.

Pool solo on purpose: the process that Celery starts is the parent of one child that does the work, so a
second layer of processes would only hide how that child ended.
"""

import os
import socket
from typing import Any

from celery.signals import celeryd_after_setup, setup_logging, worker_shutdown, worker_shutting_down

from service.jobs.broker import make_celery, warn_of_eviction
from service.jobs.database import Database
from service.jobs.job import EVERYDAY_QUEUES
from service.jobs.leases import LeaseStore
from service.jobs.library import Library
from service.jobs.queue import RUN_SHARD, CeleryQueue
from service.jobs.store import JobStore
from service.logs import set_up_logs
from service.metrics_port import serve_metrics
from service.settings import Settings
from service.storage.object_store import open_store
from service.tracing import trace_shards
from workers import metrics
from workers.patience import patient
from workers.shard_runner import ShardRunner

settings = Settings()
app = make_celery(settings)
_runner: ShardRunner | None = None


@app.task(name=RUN_SHARD)  # type: ignore[untyped-decorator]
def run_shard(job_id: str, index: int) -> None:
    runner().run(job_id, index)


def runner() -> ShardRunner:
    global _runner  # noqa: PLW0603 - one worker process, one child
    if _runner is None:
        database = Database.of(settings)
        database.migrate()
        leases = LeaseStore.of(database, settings)
        _runner = ShardRunner(
            settings,
            patient(JobStore(database), settings.lease_seconds),
            patient(leases, settings.lease_seconds),
            patient(Library(database), settings.lease_seconds),
            open_store(settings),
            CeleryQueue(settings),
            worker=f"{socket.gethostname()}:{os.getpid()}",
        )
    return _runner


@setup_logging.connect  # type: ignore[untyped-decorator]
def _set_up_logs(**_: Any) -> None:
    set_up_logs(settings)


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]
def _start_child(instance: Any, **_: Any) -> None:
    """Whoever waits for a translation shall not wait for torch. A training can: its child starts with it."""
    serve_metrics(settings, metrics.REGISTRY)
    trace_shards(settings)
    warn_of_eviction(settings)
    if not instance.app.amqp.queues.consume_from.keys().isdisjoint(EVERYDAY_QUEUES):
        runner().start()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _give_shard_back(**_: Any) -> None:
    """Celery would wait for the task to end, and that may take a minute."""
    runner().stop()


@worker_shutdown.connect  # type: ignore[untyped-decorator]
def _end_child(**_: Any) -> None:
    if _runner is not None:
        _runner.close()
