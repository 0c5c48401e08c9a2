"""One job under one seed's faults, from the submission to the verdict."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.nemesis.checker import Checker, Expected, Verdict, take_back_seconds
from benchmarks.nemesis.client import Client
from benchmarks.nemesis.cluster import Cluster
from benchmarks.nemesis.faults import Nemesis, Plan
from service.jobs.store import JobStore
from service.storage import keys
from tests.servers.redis import RedisServer

JOB_SECONDS = 1800.0
MOST_JOBS = 20


@dataclass(frozen=True, slots=True)
class Grounds:
    """What all trials of a run share: the cluster, and a day dataset that was ingested on it."""

    cluster: Cluster
    redis: RedisServer
    checker: Checker
    client: Client
    dataset_id: str
    expected: Expected
    lease_seconds: float
    quiet_seconds: float
    """How long the same job takes when nobody disturbs it."""


@dataclass(slots=True)
class Trial:
    """What one seed's faults came to. More than one job when the first had ended before all were done."""

    seed: int
    faults: Mapping[str, int]
    jobs: int
    seconds: float
    slowdown: float
    verdicts: list[Verdict]
    take_back_seconds: list[float] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not any(verdict.faults for verdict in self.verdicts)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def run_trial(grounds: Grounds, plan: Plan, kills: int) -> Trial:
    """Jobs, one after the other, until so many faults were done; each is checked when it has ended."""
    verdicts: list[Verdict] = []
    seconds: list[float] = []
    took_back: list[float] = []
    database = grounds.checker.database
    with Nemesis(grounds.cluster, grounds.redis, database, plan, grounds.lease_seconds) as nemesis:
        while not verdicts or (len(nemesis.strikes) < kills and len(verdicts) < MOST_JOBS):
            begun = time.monotonic()
            job = grounds.client.translate(grounds.dataset_id)
            grounds.client.wait(job["id"], JOB_SECONDS)
            seconds.append(time.monotonic() - begun)
            if len(nemesis.strikes) >= kills:
                nemesis.stop()
            grounds.client.dataset(job["result_id"])
            verdicts.append(grounds.checker.check(job["id"], grounds.expected, grounds.client.facts))
            store = JobStore(grounds.checker.database)
            took_back += take_back_seconds(store, job["id"], nemesis.strikes)
    slowdown = max(seconds) / grounds.quiet_seconds
    return Trial(
        plan.seed,
        nemesis.counts,
        len(verdicts),
        round(sum(seconds), 1),
        round(slowdown, 1),
        verdicts,
        took_back,
    )


def undisturbed(client: Client, checker: Checker, dataset_id: str) -> tuple[bytes, float]:
    """The manifest of a run without faults, and how long it took."""
    begun = time.monotonic()
    job = client.wait(client.translate(dataset_id)["id"], JOB_SECONDS)
    assert job["state"] == "succeeded", job["error"]
    return checker.store.read(keys.manifest(job["result_id"])), time.monotonic() - begun
