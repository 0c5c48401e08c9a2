"""Confined children for whoever asks: started when needed, kept for the next, replaced when they die."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

import structlog

from service.confined.process import ChildDied

log = structlog.get_logger(__name__)

TRIALS = 2


class Child(Protocol):
    """What a pool must know of one: `ConfinedProcess`, or a stand-in of a test."""

    @property
    def is_fit(self) -> bool: ...

    def close(self) -> None: ...


Kind = TypeVar("Kind", bound=Child)
Value = TypeVar("Value")


class Pool(Generic[Kind]):
    """As many children as threads ask at once; where no more than `most` do, there are no more than that.

    One that has worked for an owner is never asked for another: what has taken it over sees the bytes of one.
    """

    def __init__(self, start: Callable[[], Kind], most: int | None = None) -> None:
        self._start = start
        self._most = most
        self._idle: list[tuple[str, Kind]] = []
        self._busy = 0
        self._lock = threading.Lock()

    def ask(self, request: Callable[[Kind], Value], owner: str = "") -> Value:
        """One death is no evidence: the request gets a second trial, in another process.

        Raises:
            ChildDied: it has ended as many as it may, or took too long. Its processor time is counted by the
                kernel: there is nothing to repeat then.
        """
        trial = 1
        while True:
            try:
                with self._taken(owner) as child:
                    return request(child)
            except ChildDied as death:
                log.warning("confined child died", reason=str(death), trial=trial)
                if death.is_late or trial == TRIALS:
                    raise
            trial += 1

    def warm_up(self, owner: str = "") -> None:
        """Start one now, so that the first request does not wait for it."""
        with self._taken(owner):
            pass

    def close(self) -> None:
        """Ends those that are idle; one that is at work ends with this process."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, child in idle:
            child.close()

    @contextmanager
    def _taken(self, owner: str) -> Iterator[Kind]:
        child = self._idle_of(owner) or self._started()
        try:
            yield child
        finally:
            with self._lock:
                self._busy -= 1
                is_kept = child.is_fit
                if is_kept:
                    self._idle.append((owner, child))
            if not is_kept:
                child.close()

    def _idle_of(self, owner: str) -> Kind | None:
        """The one that was used last, if it is this owner's. Room is made for another otherwise."""
        superfluous = []
        with self._lock:
            self._busy += 1
            for place in reversed(range(len(self._idle))):
                if self._idle[place][0] == owner:
                    return self._idle.pop(place)[1]
            while self._most is not None and self._idle and self._busy + len(self._idle) > self._most:
                superfluous.append(self._idle.pop(0)[1])
        for child in superfluous:
            child.close()
        return None

    def _started(self) -> Kind:
        try:
            return self._start()
        except BaseException:
            with self._lock:
                self._busy -= 1
            raise
