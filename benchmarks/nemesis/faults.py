"""What is done to a cluster: `kill -9`, frozen workers, a broker that forgets. A seed decides."""

import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import and_, func, select

from benchmarks.nemesis.cluster import Cluster
from service.jobs.database import Database
from service.jobs.job import ShardState
from service.jobs.tables import shards
from tests.servers.redis import RedisServer


class Fault(StrEnum):
    CHILD = "child"  # the process that does the work; its parent sees it
    WORKER = "worker"  # the whole group, as when a node is lost
    REDIS = "redis"  # without persistence: every message is gone
    API = "api"
    RECONCILER = "reconciler"
    FREEZE = "freeze"  # a worker with its child, for two leases, and then it goes on
    FLUSH = "flush"  # FLUSHALL


KILLS: Mapping[Fault, float] = {
    Fault.CHILD: 0.3, Fault.WORKER: 0.15, Fault.REDIS: 0.2, Fault.API: 0.2, Fault.RECONCILER: 0.15,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """`weights`: which faults, and how often each beside the others; between two passes `seconds` on average.
    The first ones come in a fixed order, one of each kind, so that even a short run has them all.
    """

    weights: Mapping[Fault, float]
    seconds: float
    seed: int


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault that was done. `at` is by the machine's clock, which is also the database's."""

    at: float
    fault: Fault
    victim: str


@dataclass(slots=True)
class Nemesis:
    """Does faults in a thread of its own until `stop`."""

    cluster: Cluster
    redis: RedisServer
    database: Database
    plan: Plan
    lease_seconds: float
    strikes: list[Strike] = field(default_factory=list)
    _finished: dict[int, int] = field(default_factory=dict)
    """By process: how many shards a worker had finished when it was hit last."""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "Nemesis":
        self._thread = threading.Thread(target=self._run, name="nemesis", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(str(strike.fault) for strike in self.strikes))

    def _run(self) -> None:
        chance = random.Random(self.plan.seed)
        first = [fault for fault, weight in self.plan.weights.items() if weight]
        chance.shuffle(first)
        faults, weights = list(self.plan.weights), list(self.plan.weights.values())
        while not self._stopping.wait(chance.uniform(0.5, 1.5) * self.plan.seconds):
            fault = first.pop() if first else chance.choices(faults, weights)[0]
            begun = time.time()
            if victim := self._do(fault, chance):
                self.strikes.append(Strike(begun, fault, victim))

    def _do(self, fault: Fault, chance: random.Random) -> str:
        """Who was hit; nobody when there was nobody to hit."""
        cluster = self.cluster
        worker = chance.choice(cluster.named("worker"))
        if fault in (Fault.CHILD, Fault.WORKER, Fault.FREEZE) and not self._is_due(worker.pid):
            return ""
        if fault is Fault.API and not cluster.is_ready():  # the same for it: it must have come up
            return ""
        deeds: dict[Fault, Callable[[], str]] = {
            Fault.CHILD: lambda: worker.name if cluster.kill_child(worker) else "",
            Fault.WORKER: lambda: self._killed(worker.name),
            Fault.API: lambda: self._killed("api"),
            Fault.RECONCILER: lambda: self._killed(chance.choice(cluster.named("reconciler")).name),
            Fault.REDIS: self._restart_redis,
            Fault.FLUSH: self._flush,
            Fault.FREEZE: lambda: self._freeze(worker.name),
        }
        return deeds[fault]()

    def _is_due(self, pid: int) -> bool:
        """A worker that was hit is hit again only after it has finished a shard: where loading the libraries
        takes longer than the pause between two faults, nobody could ever get anything done.
        """
        is_its_own = and_(
            shards.c.worker == f"{socket.gethostname()}:{pid}", shards.c.state == ShardState.DONE
        )
        with self.database.reading() as connection:
            finished = int(connection.scalar(select(func.count()).where(is_its_own)) or 0)
        if finished <= self._finished.get(pid, 0):
            return False
        self._finished[pid] = finished
        return True

    def _killed(self, name: str) -> str:
        self.cluster.kill(self.cluster.members[name])
        return name

    def _restart_redis(self) -> str:
        self.redis.kill()
        self.cluster.by_keeper(self.redis.start)
        return "redis"

    def _flush(self) -> str:
        client = self.redis.client()
        client.flushall()
        client.close()
        return "redis"

    def _freeze(self, name: str) -> str:
        pids = self.cluster.freeze(self.cluster.members[name])
        self._stopping.wait(2 * self.lease_seconds)
        self.cluster.thaw(pids)
        return name
