"""Takes back what was lost, moves on what was forgotten, rings for what waits. Safe to run twice.

Run it with `python -m workers.reconciler`, anywhere that reaches the database and the broker.
"""

import signal
import threading
from typing import Any

import structlog
from sqlalchemy.exc import OperationalError

from service.jobs.database import Database
from service.jobs.leases import LeaseStore
from service.jobs.queue import CeleryQueue, Queue, ring
from service.logs import set_up_logs
from service.settings import Settings
from workers.chores import Chore, do_due

log = structlog.get_logger(__name__)


def reconcile(leases: LeaseStore, queue: Queue) -> None:
    """One round."""
    for job_id, index in leases.take_back_expired():
        log.warning("lease expired", job_id=job_id, shard=index)
    for job_id in leases.unsettled_jobs():
        leases.settle_job(job_id)
    ring(queue, leases)


def main() -> None:
    settings = Settings()
    set_up_logs(settings.log_level)
    database = Database(settings.database)
    database.migrate()
    leases = LeaseStore(database, settings.lease_seconds, settings.shard_attempts)
    queue = CeleryQueue(settings)
    chores: list[Chore] = []
    stopping = threading.Event()

    def stop(_number: int, _frame: Any) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    while not stopping.wait(settings.poll_seconds):
        try:
            reconcile(leases, queue)
        except (OperationalError, OSError) as error:  # the database or the broker is away: go on trying
            log.warning("round skipped", error=str(error))
        do_due(chores)


if __name__ == "__main__":
    main()
