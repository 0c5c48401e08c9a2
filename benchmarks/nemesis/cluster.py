"""A small cluster on one machine: our processes beside real servers, to be killed one by one."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

import httpx

from service.jobs.job import EVERYDAY_QUEUES
from service.processes import die_with_parent
from service.worker_command import worker_command
from tests.servers.programs import free_port

HOOKS = Path(__file__).parent / "hooks"
ROOT = Path(__file__).parents[2]
READY_SECONDS = 120.0
RESTART_SECONDS = 0.1


@dataclass(slots=True)
class Member:
    """One of our processes. `starts` counts how often it had to be started."""

    name: str
    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid


@dataclass(slots=True)
class Cluster:
    """`with Cluster(folder, environment, workers=2) as cluster:`; whoever ends is started again at once."""

    folder: Path
    environment: Mapping[str, str]
    workers: int = 2
    reconcilers: int = 1
    port: int = field(default_factory=free_port)
    extra: Mapping[str, list[str]] = field(default_factory=dict)
    """Further Python modules with their arguments, by name."""
    members: dict[str, Member] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _orders: "SimpleQueue[tuple[Callable[[], None], threading.Event]]" = field(default_factory=SimpleQueue)
    _closing: threading.Event = field(default_factory=threading.Event)
    _keeper: threading.Thread | None = None

    def __enter__(self) -> "Cluster":
        python = [sys.executable, "-m"]
        uvicorn = ["uvicorn", "--factory", "service.app:create_app", "--host", "127.0.0.1"]
        self._add("api", [*python, *uvicorn, "--port", str(self.port), "--no-access-log"])
        for number in range(self.reconcilers):
            self._add(f"reconciler-{number}", [*python, "workers.reconciler"])
        for number in range(self.workers):
            name = f"worker-{number}"
            self._add(name, worker_command(name, EVERYDAY_QUEUES))
        for name, command in self.extra.items():
            self._add(name, [*python, *command])
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        if self._keeper is not None:
            self._keeper.join()
        for member in self.members.values():
            self._signal(member, signal.SIGKILL, with_children=True)
            if member.process is not None:
                member.process.wait()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if time.monotonic() > deadline:
                raise TimeoutError(f"the API is not ready:\n{self.log('api')[-2000:]}")
            time.sleep(0.1)

    def is_ready(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/readyz", timeout=5.0).status_code == 200
        return False

    def named(self, prefix: str) -> list[Member]:
        return [member for name, member in sorted(self.members.items()) if name.startswith(prefix)]

    def kill(self, member: Member) -> None:
        """The whole group with -9, as when a node is lost: a worker's child ends with it."""
        self._signal(member, signal.SIGKILL, with_children=True)

    def kill_child(self, member: Member) -> bool:
        """Only the child: its parent sees it die. False when there is none at the moment."""
        with self._lock:
            found = children(member.pid)
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        return bool(found)

    def freeze(self, member: Member) -> list[int]:
        """Stop it and its child where they are. Returns the processes, for `thaw`."""
        with self._lock:
            stopped = [member.pid, *children(member.pid)]
            for pid in stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
        return stopped

    @staticmethod
    def thaw(pids: list[int]) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def by_keeper(self, deed: Callable[[], None]) -> None:
        """Done by the thread that outlives all others: a process is ended with the thread that started it."""
        done = threading.Event()
        self._orders.put((deed, done))
        done.wait()

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _add(self, name: str, command: list[str]) -> None:
        self.members[name] = Member(name, command)
        self._start(self.members[name])

    def _keep(self) -> None:
        while not self._closing.wait(RESTART_SECONDS):
            while not self._orders.empty():
                deed, done = self._orders.get()
                deed()
                done.set()
            with self._lock:
                for member in self.members.values():
                    if member.process is not None and member.process.poll() is not None:
                        self._start(member)

    def _start(self, member: Member) -> None:
        member.starts += 1
        with (self.folder / f"{member.name}.log").open("ab") as log:
            member.process = subprocess.Popen(
                member.command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={
                    **os.environ,
                    **self.environment,
                    "PYTHONPATH": os.pathsep.join([str(HOOKS), str(ROOT)]),
                },
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - it only makes one call into the kernel
            )

    def _signal(self, member: Member, number: int, with_children: bool) -> None:
        with self._lock:
            if member.process is None or member.process.poll() is not None:
                return
            found = children(member.pid) if with_children else []
            with suppress(ProcessLookupError):
                os.killpg(member.pid, number)
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)


def children(pid: int) -> list[int]:
    """Of a process, as Linux lists them: a worker's child is in a group of its own."""
    found: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(word) for word in listed.read_text().split()]
    return found
