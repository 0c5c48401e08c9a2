"""Stores whose database may be away for a while: whoever asks waits, as long as a lease lasts.

Every change of a shard names the fence that it was claimed under, so that one which was made although its
answer got lost, or which PostgreSQL undid in favour of another, can be asked for again. A worker that gave up
at once would throw its child's work away for a database that is back in two seconds.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import structlog
from sqlalchemy.exc import InterfaceError, OperationalError

log = structlog.get_logger(__name__)
LOOK_EVERY_SECONDS = 0.5
# A deadlock, a failed serialisation and a lost connection are all of them operational.
AWAY = (OperationalError, InterfaceError)

Store = TypeVar("Store")


def patient(store: Store, seconds: float) -> Store:
    """The same store; its calls are repeated for so long while the database is away."""
    return cast(Store, _Patient(store, seconds))


class _Patient:
    def __init__(self, store: Any, seconds: float) -> None:
        self._store = store
        self._seconds = seconds

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return _repeated(found, self._seconds) if callable(found) else found


def _repeated(call: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    @wraps(call)
    def repeated(*arguments: Any, **more: Any) -> Any:
        deadline = time.monotonic() + seconds
        while True:
            try:
                return call(*arguments, **more)
            except AWAY as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("database away", call=call.__name__, error=str(error.orig))
                time.sleep(LOOK_EVERY_SECONDS)

    return repeated
