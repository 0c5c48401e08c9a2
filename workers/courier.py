"""Sends webhooks beside the reconciler's rounds, in a thread: a receiver that hangs delays no round."""

import threading

import structlog

from service.jobs.database import Database
from service.settings import Settings
from service.webhooks.addresses import Allowance
from service.webhooks.delivery import Courier
from service.webhooks.outbox import Outbox
from workers.chores import Chore

log = structlog.get_logger(__name__)
LOOK_EVERY_SECONDS = 1.0
FORGET_EVERY_SECONDS = 3600.0


def start_courier(settings: Settings, database: Database, stopping: threading.Event) -> list[Chore]:
    """Until `stopping`; a call in progress is not waited for, and will be made again. Without the operator's
    permission nothing is sent, whatever waits. Returns what is to be done now and then.
    """
    outbox = Outbox(database)
    if settings.webhooks_allowed:
        courier = Courier(outbox, Allowance.of(settings))
        threading.Thread(target=_deliver, args=(courier, stopping), daemon=True, name="courier").start()
    return [Chore("forget old deliveries", FORGET_EVERY_SECONDS, outbox.forget_old)]


def _deliver(courier: Courier, stopping: threading.Event) -> None:
    while not stopping.is_set():
        try:
            if courier.deliver_due() == 0:
                stopping.wait(LOOK_EVERY_SECONDS)
        except* Exception as group:  # the thread's shell: nobody would notice that it had ended
            log.warning("webhooks wait", exc_info=group)
            stopping.wait(LOOK_EVERY_SECONDS)
