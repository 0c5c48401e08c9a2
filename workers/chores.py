"""What somebody must do now and then, whatever else happens. The reconciler does it, beside its rounds."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from service.storage.outages import outage

log = structlog.get_logger(__name__)
AWAY = (OperationalError, InterfaceError, NoConnectionFree, OSError)


@dataclass(slots=True)
class Chore:
    """Safe to do twice at once: two reconcilers may run."""

    name: str
    every_seconds: float
    do: Callable[[], object]
    done_at: float = field(default=float("-inf"))


class Aside:
    """What takes long is done in a thread, so that it delays no round, and not begun while it goes on."""

    def __init__(self, name: str, do: Callable[[], object]) -> None:
        self.thread: threading.Thread | None = None
        self._name, self._do = name, do

    def __call__(self) -> None:
        if self.thread is None or not self.thread.is_alive():
            self.thread = threading.Thread(target=self._try, daemon=True, name=self._name)
            self.thread.start()

    def _try(self) -> None:
        try:
            self._do()
        except Exception as error:
            _skip(self._name, error)


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
            _skip(chore.name, error)
        else:
            done.append(chore.name)
    return done


def _skip(name: str, error: Exception) -> None:
    """The database or the store is away; anything else is raised."""
    if not isinstance(error, AWAY) and outage(error) is None:
        raise error
    log.warning("chore skipped", chore=name, error=str(error))
