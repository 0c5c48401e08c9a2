"""Programs of other people, started for a test on free ports in folders of their own, and ended with it."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from service.processes import die_with_parent

START_SECONDS = 60.0
STOP_SECONDS = 20.0


class MissingProgram(Exception):
    """A server that is not installed; the message names the Debian package that has it."""

    def __init__(self, name: str, package: str) -> None:
        super().__init__(f"{name} is not installed; Debian has it in the package {package}")


class DidNotStart(Exception):
    """A server that ended, or did not answer in time; the message has the end of what it said."""


def find_program(name: str, package: str, folder: Path | None = None) -> str:
    """Raises:
    MissingProgram: there is none, neither in the folder nor on the path.
    """
    found = shutil.which(name, path=str(folder) if folder else None)
    if found is None:
        raise MissingProgram(name, package)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """One process; it ends when ours does, however that ends. What it says goes to a file.

    Start it from a thread that lasts: Linux takes the end of the thread for the end of the parent.
    """

    def __init__(
        self, command: list[str], log: Path, user: str | None = None, last_word: int = signal.SIGKILL
    ) -> None:
        self._log = log
        with log.open("ab") as said:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=log.parent,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                preexec_fn=partial(die_with_parent, last_word),  # noqa: PLW1509 - tests start them before threads
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_until(self, is_ready: Callable[[], bool]) -> None:
        """Raises:
        DidNotStart: it ended, or was not ready in time.
        """
        deadline = time.monotonic() + START_SECONDS
        while not is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                said = self._log.read_text(errors="replace")[-2000:]
                raise DidNotStart(f"{self.process.args[0]} did not start:\n{said}")  # type: ignore[index]
            time.sleep(0.02)

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Server:
    """`with SomeServer() as server:`; its folder goes with it. The folder lies in the system's temporary one,
    where a server that runs as another user can reach it.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"nightshift-{type(self).__name__.lower()}-"))

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
