"""R10: jobs are cancelled at random times. Who still works on them, and is anything recorded?"""

import random
import time
from dataclasses import dataclass
from statistics import quantiles

from benchmarks.nemesis.trial import Grounds
from service.jobs.job import ShardState
from service.jobs.store import JobStore

STILL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Cancels:
    """`late_rows`: shards that were finished after their job was cancelled."""

    count: int
    p99_seconds: float
    late_rows: int

    def __str__(self) -> str:
        return (
            f"{self.count} jobs cancelled at random times: all idle after p99 {self.p99_seconds:.1f} s, "
            f"{self.late_rows} shards finished after that"
        )


def run_cancels(grounds: Grounds, count: int, seed: int) -> Cancels:
    chance, store = random.Random(seed), JobStore(grounds.checker.database)
    seconds, late = [], 0
    for _ in range(count):
        job_id = grounds.client.translate(grounds.dataset_id)["id"]
        time.sleep(chance.uniform(0, grounds.quiet_seconds))
        if not grounds.client.cancel(job_id):
            continue
        seconds.append(_until_idle(store, job_id))
        late += _finished_after(store, job_id)
    worst = quantiles(seconds, n=100, method="inclusive")[98]
    return Cancels(len(seconds), worst, late)


def _until_idle(store: JobStore, job_id: str) -> float:
    begun = time.monotonic()
    while any(shard.state is ShardState.RUNNING for shard in store.shards(job_id)):
        assert time.monotonic() - begun < STILL_SECONDS, "somebody still works on a cancelled job"
        time.sleep(0.02)
    return time.monotonic() - begun


def _finished_after(store: JobStore, job_id: str) -> int:
    events = store.events(job_id, limit=10**9)
    ends = [event.id for event in events if event.data.get("state") == "cancelled"]
    return sum(
        event.kind == "shard" and event.data["state"] == "done" and bool(ends) and event.id > ends[0]
        for event in events
    )
