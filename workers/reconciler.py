"""Takes back what was lost, moves on what was forgotten, rings for what waits. Safe to run twice.

Run it with `python -m workers.reconciler`, anywhere that reaches the database and the broker.
"""

import signal
import sys
import threading
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError

from service.errors import Unavailable
from service.jobs.database import Database
from service.jobs.leases import LeaseStore
from service.jobs.queue import CeleryQueue, Queue, ring
from service.jobs.removal import sweep_datasets
from service.logs import log_uncaught, set_up_logs
from service.metrics_port import serve_metrics
from service.settings import Settings
from service.storage.abandoned import remove_abandoned
from service.storage.object_store import ObjectStore, open_store
from service.uploads.orphans import abort_orphans
from workers import metrics
from workers.chores import Aside, Chore, do_due
from workers.courier import start_courier
from workers.upload_sweeping import upload_chore

log = structlog.get_logger(__name__)
ORPHANS_EVERY_SECONDS = 3600.0
ABANDONED_EVERY_SECONDS = 6 * 3600.0
SWEEP_EVERY_SECONDS = 5.0


def reconcile(leases: LeaseStore, queue: Queue) -> None:
    """One round."""
    for job_id, index in leases.take_back_expired():
        log.warning("lease expired", job_id=job_id, shard=index)
        metrics.LEASES_TAKEN_BACK.inc()
    for job_id in leases.unsettled_jobs():
        leases.settle_job(job_id)
    ring(queue, leases)


def abandoned_chore(store: ObjectStore) -> Chore:
    """Aside: it walks through the whole store."""
    remove = Aside("remove abandoned files", lambda: remove_abandoned(store))
    return Chore("remove abandoned files", ABANDONED_EVERY_SECONDS, remove)


def main() -> None:
    settings = Settings()
    set_up_logs(settings)
    sys.excepthook = log_uncaught
    database = Database.of(settings)
    database.migrate()
    leases = LeaseStore.of(database, settings)
    queue = CeleryQueue(settings)
    serve_metrics(settings, metrics.REGISTRY)
    stopping = threading.Event()
    store = open_store(settings)
    chores: list[Chore] = [
        *start_courier(settings, database, stopping),
        Chore("sweep datasets", SWEEP_EVERY_SECONDS, lambda: sweep_datasets(database, store)),
        upload_chore(settings, database, store),
        Chore("remove orphaned parts", ORPHANS_EVERY_SECONDS, lambda: abort_orphans(database, store)),
        abandoned_chore(store),
    ]

    def stop(_number: int, _frame: Any) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while not stopping.wait(settings.poll_seconds):
        try:
            reconcile(leases, queue)
        except (OperationalError, OSError, Unavailable) as error:  # one of them is away: go on trying
            log.warning("round skipped", error=str(error))
        do_due(chores)


if __name__ == "__main__":
    main()
