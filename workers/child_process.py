"""The parent's handle on its child: started early, spoken to in JSON lines, killed without regret."""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import structlog

log = structlog.get_logger(__name__)

# OpenMP's threads spin while they wait for each other. On two cores that others use too, that made an image
# take 1.15 s; threads that sleep took 0.09 s, and no longer than the others on an idle machine.
SHARED_MACHINE = {"OMP_WAIT_POLICY": "passive"}


class ChildDied(Exception):
    """The child ended without an answer. We waited for it, so the status is evidence, not a guess."""

    def __init__(self, status: int) -> None:
        super().__init__(f"ended by signal {-status}" if status < 0 else f"ended with status {status}")
        self.status = status

    @property
    def is_from_outside(self) -> bool:
        """Nobody crashes by this signal: the kernel sends it for want of memory, or an operator does."""
        return self.status == -signal.SIGKILL


class ChildStalled(ChildDied):
    """The child said nothing for too long, so we ended it: it hung as surely as others crash."""

    def __init__(self, silent_seconds: float) -> None:
        super().__init__(-signal.SIGKILL)
        self.args = (f"was ended: nothing was heard of it for {silent_seconds:.0f} s",)

    @property
    def is_from_outside(self) -> bool:
        return False


class Silence:
    """How long nothing was heard of a child, by a listener that may have slept itself.

    Only what passes between two looks counts, and of that no more than `at_most`: a machine that was
    suspended, or a worker that was stopped together with its child, says nothing about the child.
    """

    def __init__(self, limit_seconds: float, at_most: float) -> None:
        self._limit, self._at_most = limit_seconds, at_most
        self._looked_at = time.monotonic()
        self._seconds = 0.0

    def look(self, heard: bool) -> None:
        """Raises:
        ChildStalled: it is too long now.
        """
        now = time.monotonic()
        self._seconds = 0.0 if heard else self._seconds + min(now - self._looked_at, self._at_most)
        self._looked_at = now
        if self._seconds > self._limit:
            raise ChildStalled(self._seconds)


class ChildProcess:
    """One `workers.child`, in a process group of its own."""

    def __init__(self) -> None:
        # what it leaves lying about when it is killed goes with it
        self._scratch = tempfile.TemporaryDirectory(prefix="nightshift-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workers.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**SHARED_MACHINE, **os.environ, "TMPDIR": self._scratch.name},
        )
        assert self._process.stdout is not None  # noqa: S101 - we asked for a pipe
        assert self._process.stdin is not None  # noqa: S101
        self._answers = self._process.stdout
        self._tasks = self._process.stdin
        self._partial = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._answers, selectors.EVENT_READ)

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, task: dict[str, Any]) -> None:
        try:
            self._tasks.write(json.dumps(task).encode() + b"\n")
            self._tasks.flush()
        except BrokenPipeError:
            raise ChildDied(self._process.wait()) from None

    def messages(self, timeout_seconds: float) -> Iterator[dict[str, Any]]:
        """What the child has said; waits at most so long for the first word.

        Raises:
            ChildDied: after everything it said before was handed out.
        """
        if not self._selector.select(timeout_seconds):
            return
        chunk = os.read(self._answers.fileno(), 1 << 16)
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        for line in lines:
            yield json.loads(line)
        if not chunk:
            raise ChildDied(self._process.wait())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._selector.close()
        self._answers.close()
        try:
            self._tasks.close()
        except BrokenPipeError:
            log.debug("the child had left a task unread", pid=self.pid)
        self._scratch.cleanup()
