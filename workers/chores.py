"""What somebody must do now and then, whatever else happens. The reconciler does it, beside its rounds."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import OperationalError

from service.storage.outages import outage

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Chore:
    """Safe to do twice at once: two reconcilers may run."""

    name: str
    every_seconds: float
    do: Callable[[], object]
    done_at: float = field(default=float("-inf"))


def do_due(chores: Sequence[Chore]) -> list[str]:
    """The names of those that were due and are done; one that fails is tried again at its next turn."""
    now = time.monotonic()
    due = [chore for chore in chores if now - chore.done_at >= chore.every_seconds]
    done = []
    for chore in due:
        chore.done_at = now
        try:
            chore.do()
        except Exception as error:
            if not isinstance(error, OperationalError | OSError) and outage(error) is None:
                raise
            # The database or the store is away.
            log.warning("chore skipped", chore=chore.name, error=str(error))
        else:
            done.append(chore.name)
    return done
