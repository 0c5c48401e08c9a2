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
from service.jobs.job import EVERYDAY_QUEUES, TRAININGS
from service.listening import Listening
from service.processes import die_with_parent
from service.settings import Settings
from service.worker_command import on_gpu, share_out, visible_gpus, worker_command

HOST = "127.0.0.1"
# One user has the machine to himself; what an operator's environment says goes before.
EMBEDDED = {
    "NIGHTSHIFT_REQUESTS_PER_SECOND": "200",
    "NIGHTSHIFT_REQUEST_BURST": "2000",
    "NIGHTSHIFT_MAX_ACTIVE_JOBS": "1000",
}
STOP_SECONDS = 10.0
RESTART_SECONDS = 1.0


@dataclass(slots=True)
class Part:
    """One process of the tree; it is started again when it ends."""

    name: str
    command: list[str]
    gpu: str | None = None
    process: subprocess.Popen[bytes] | None = None
    started_at: float = field(default=0.0)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None


class Stack:
    """`with Stack(data_dir, port) as stack: stack.watch()`. Logs go to `data_dir/logs`.

    Once it runs `key` is that of the local user, with all scopes, and `page_url` signs that user in to the
    page. `listening`: elsewhere than on `port`.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int,
        workers: int = 1,
        trainers: int = 0,
        listening: Listening | None = None,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.listening = listening or Listening(HOST, port)
        self.port = self.listening.port
        self.key = ""
        self.page_url = ""
        self._logs: list[IO[bytes]] = []
        python = [sys.executable, "-m"]
        server = [*python, "service.server", *self.listening.arguments()]
        self._parts = [
            Part("api", server),
            *_workers(workers, trainers),
            Part("reconciler", [*python, "workers.reconciler"]),
        ]

    @property
    def url(self) -> str:
        return self.listening.url

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "logs"

    def __enter__(self) -> "Stack":
        # The database library, which no other command needs.
        from service.access.local_key import local_key, sign_in_link  # noqa: PLC0415

        refuse_taken(self.port, self.listening.host)
        self.log_dir.mkdir(parents=True, exist_ok=True)
        settings = Settings(data_dir=self.data_dir)
        self.key = local_key(settings)
        self.page_url = self.url + sign_in_link(settings, self.key)
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
            env=_environment(part, self.data_dir),
            preexec_fn=die_with_parent,  # noqa: PLW1509 - started from a process of one thread
        )


def _workers(workers: int, trainers: int) -> list[Part]:
    """Each on a GPU of its own, as far as they go."""
    is_chosen = "NIGHTSHIFT_DEVICE" in os.environ  # by name, as all of them see it
    gpus = iter(share_out([] if is_chosen else visible_gpus(), workers + trainers))
    return [
        Part(f"{name}-{number}", worker_command(f"{name}-{number}", queues), next(gpus))
        for name, queues, count in (
            ("worker", EVERYDAY_QUEUES, workers),
            ("trainer", (TRAININGS,), trainers),
        )
        for number in range(count)
    ]


def _environment(part: Part, data_dir: Path) -> dict[str, str]:
    environment = {**EMBEDDED, **os.environ, "NIGHTSHIFT_DATA_DIR": str(data_dir)}
    if part.name != "api":
        environment["NIGHTSHIFT_METRICS_PORT"] = "0"  # there is one on this machine, and it is the API's
    return environment if part.gpu is None else on_gpu(environment, part.gpu)


def refuse_taken(port: int, host: str = HOST) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise InvalidRequest(f"Port {port} is taken.", "Choose another one with --port.") from None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
