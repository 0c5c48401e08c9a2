"""The whole service as one process tree on one machine: API, workers, reconciler. It needs no server."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from service.errors import InvalidRequest
from service.jobs.job import SHARDS, TRAININGS
from service.processes import die_with_parent

HOST = "127.0.0.1"  # an address others can reach needs keys and TLS before it
STOP_SECONDS = 10.0
RESTART_SECONDS = 1.0


@dataclass(slots=True)
class Part:
    """One process of the tree; it is started again when it ends."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = field(default=0.0)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Stack:
    """`with Stack(data_dir, port) as stack: stack.watch()`. Logs go to `data_dir/logs`."""

    def __init__(self, data_dir: Path, port: int, workers: int = 1, trainers: int = 0) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port
        self._logs: list[IO[bytes]] = []
        python = [sys.executable, "-m"]
        celery = [*python, "celery", "--app", "workers.celery_app", "--quiet", "worker", "--pool", "solo"]
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
        uvicorn = ["uvicorn", "--factory", "service.app:create_app", "--host", HOST, "--port", str(port)]
        self._parts = [
            Part("api", [*python, *uvicorn, "--no-access-log", "--log-level", "warning"]),
            *(
                Part(f"{name}-{number}", [*celery, *quiet, "-n", f"{name}-{number}@%h", "-Q", queue])
                for name, queue, count in (("worker", SHARDS, workers), ("trainer", TRAININGS, trainers))
                for number in range(count)
            ),
            Part("reconciler", [*python, "workers.reconciler"]),
        ]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "logs"

    def __enter__(self) -> "Stack":
        refuse_taken(self.port)
        self.log_dir.mkdir(parents=True, exist_ok=True)
        for part in self._parts:
            self._start(part)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def watch(self) -> None:
        """Keep every part running, for ever."""
        while True:
            self.mend()
            time.sleep(RESTART_SECONDS)

    def mend(self) -> list[str]:
        """Start again what has ended; the names of those parts."""
        ended = [part for part in self._parts if not part.is_running]
        for part in ended:
            # A part that cannot start must not be started in a tight loop.
            if time.monotonic() - part.started_at > RESTART_SECONDS:
                self._start(part)
        return [part.name for part in ended]

    def stop(self) -> None:
        """Politely first: a worker gives its shard back."""
        running = [part.process for part in self._parts if part.process is not None]
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for log in self._logs:
            log.close()

    def pids(self) -> dict[str, int]:
        return {part.name: part.process.pid for part in self._parts if part.process is not None}

    def _start(self, part: Part) -> None:
        log = (self.log_dir / f"{part.name}.log").open("ab")
        self._logs.append(log)
        part.started_at = time.monotonic()
        part.process = subprocess.Popen(
            part.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "NIGHTSHIFT_DATA_DIR": str(self.data_dir)},
            preexec_fn=die_with_parent,  # noqa: PLW1509 - started from a process of one thread
        )


def refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise InvalidRequest(f"Port {port} is taken.", "Choose another one with --port.") from None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
