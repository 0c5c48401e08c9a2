"""After it all: was anything lost, done twice, or left lying about? Decided from the client's facts, the rows
and the stored bytes, never from what the service says of itself.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from benchmarks.nemesis.client import Fact
from benchmarks.nemesis.model import replay
from service.datasets.dataset import Finding
from service.datasets.manifest import ManifestEntry
from service.datasets.yolo import write_label
from service.errors import Unavailable
from service.jobs.database import Database
from service.jobs.job import EVERYDAY_QUEUES, Job, JobState, Shard, ShardState, Stage
from service.jobs.library import Library
from service.jobs.queue import Queue
from service.jobs.results import read_results
from service.jobs.store import JobStore
from service.jobs.tables import shards as shard_table
from service.storage import keys
from service.storage.object_store import ObjectStore

QUIET_SECONDS = 60.0
QUARANTINE = "decoder-crash"


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come out: the manifest of a run without faults, less the poisoned frames."""

    manifest: bytes
    poisoned: frozenset[str] = frozenset()
    """The images' names, as the manifest has them."""

    @property
    def lines(self) -> list[bytes]:
        whole = self.manifest.split(b"\n")[:-1]
        return [line for line in whole if ManifestEntry.from_line(line.decode()).image not in self.poisoned]


@dataclass(slots=True)
class Verdict:
    """`faults` is empty when everything that was promised holds."""

    faults: list[str] = field(default_factory=list)
    lost: int = 0
    double: int = 0
    quarantined: int = 0
    falsely_accused: int = 0
    innocent_strikes: int = 0
    """Images that were struck by a fault of ours, and were done nevertheless."""
    fenced_out: int = 0
    objects_hashed: int = 0
    unexplained: int = 0
    pending_files: int = 0

    def expect(self, holds: bool, fault: str) -> None:
        if not holds:
            self.faults.append(fault)


@dataclass(frozen=True, slots=True)
class Checker:
    """Looks at the database and the store as they are when everything has ended."""

    database: Database
    store: ObjectStore
    queue: Queue

    def wait_until_quiet(self) -> str:
        """Nobody may say "lost" before the queues are empty and no lease runs. Returns what is not so."""
        deadline = time.monotonic() + QUIET_SECONDS
        busy: dict[str, int] = {"leases": -1}
        while time.monotonic() < deadline and any(busy.values()):
            with suppress(Unavailable):
                busy = {
                    "leases": self._running(),
                    **{name: self.queue.unread(name) for name in EVERYDAY_QUEUES},
                }
            time.sleep(0.2)
        return str(busy) if any(busy.values()) else ""

    def check(self, job_id: str, expected: Expected, facts: Iterable[Fact]) -> Verdict:
        verdict = Verdict()
        job = JobStore(self.database).job(job_id)
        verdict.expect(job.state is JobState.SUCCEEDED, f"the job is {job.state}: {job.error}")
        busy = self.wait_until_quiet()
        verdict.expect(not busy, f"never became empty: {busy}")
        self._check_facts(verdict, facts)
        self._check_history(verdict, job)
        if job.state is JobState.SUCCEEDED:
            lines = self.store.read(keys.manifest(str(job.result_id))).split(b"\n")[:-1]
            self._check_manifest(verdict, lines, expected)
            self._check_quarantine(verdict, job, expected)
            self._check_counts(verdict, job, len(lines))
            self._check_objects(verdict, job, lines)
        return verdict

    def _running(self) -> int:
        query = select(func.count()).where(shard_table.c.state == ShardState.RUNNING)
        with self.database.reading() as connection:
            return int(connection.scalar(query) or 0)

    def _check_facts(self, verdict: Verdict, facts: Iterable[Fact]) -> None:
        """What a client was told must still be true."""
        jobs, library = JobStore(self.database), Library(self.database)
        for fact in facts:
            match fact.kind:
                case "upload":
                    stored = hashlib.sha256(self.store.read(keys.upload(fact.data["id"]))).hexdigest()
                    verdict.expect(stored == fact.data["sha256"], f"upload {fact.data['id']} has changed")
                case "job" | "end" | "cancel":
                    job = jobs.job(fact.data["id"])
                    is_end = fact.kind == "end"
                    same = not is_end or str(job.state) == fact.data["state"]
                    verdict.expect(same, f"job {job.id} was {fact.data.get('state')}, and is {job.state}")
                case "dataset":
                    dataset = library.dataset(fact.data["id"])
                    same = fact.data["state"] != "ready" or dataset.counts == fact.data["counts"]
                    verdict.expect(same, f"dataset {dataset.id} has changed since it was ready")

    def _check_history(self, verdict: Verdict, job: Job) -> None:
        store = JobStore(self.database)
        events = store.events(job.id, limit=10**9)
        replayed = replay(events)
        verdict.faults += replayed.illegal
        verdict.fenced_out = replayed.fenced_out
        verdict.expect(replayed.fenced_out == 0, "a worker finished a shard that it had lost")
        verdict.expect(replayed.state == job.state, f"events end in {replayed.state}, the row is {job.state}")
        for shard in store.shards(job.id):
            state = replayed.shards.get(shard.index, ShardState.PENDING)
            verdict.expect(state == shard.state, f"shard {shard.index}: events {state}, row {shard.state}")
            if shard.state is ShardState.DONE and shard.stage is Stage.WORK:
                counts = (shard.frames_done, shard.frames_failed)
                verdict.expect(
                    replayed.frames[shard.index] == counts, f"shard {shard.index} was counted twice"
                )
        ends = [event for event in events if event.kind == "state" and event.data["state"] == "succeeded"]
        verdict.expect(len(ends) == (job.state is JobState.SUCCEEDED), f"published {len(ends)} times")

    def _check_manifest(self, verdict: Verdict, lines: list[bytes], expected: Expected) -> None:
        wanted, found = Counter(_source(line) for line in expected.lines), Counter(map(_source, lines))
        verdict.lost = sum((wanted - found).values())
        verdict.double = sum((found - wanted).values())
        verdict.expect(not verdict.lost, f"{verdict.lost} frames are lost")
        verdict.expect(not verdict.double, f"{verdict.double} frames are there twice")
        verdict.expect(lines == expected.lines, "the manifest is not that of a run without faults")

    def _check_quarantine(self, verdict: Verdict, job: Job, expected: Expected) -> None:
        """Exactly the poisoned images are left out, and no other was ever accused."""
        accused = []
        for shard in self._work(job):
            found = [item for item in read_results(self.store, shard.result_key) if isinstance(item, Finding)]
            names = [finding.path for finding in found if finding.code == QUARANTINE]
            accused += names
            verdict.innocent_strikes += shard.strikes > 0 and not names
        verdict.quarantined = len(accused)
        verdict.falsely_accused = len(set(accused) - expected.poisoned)
        right = sorted(accused) == sorted(expected.poisoned)
        verdict.expect(right, f"quarantined {sorted(accused)}, poisoned {sorted(expected.poisoned)}")

    def _check_counts(self, verdict: Verdict, job: Job, in_manifest: int) -> None:
        """What is billed, what the rows say and what is there are one number."""
        store, dataset = JobStore(self.database), Library(self.database).dataset(str(job.result_id))
        done_rows = sum(shard.frames_done for shard in self._work(job))
        counts = {
            "progress": store.progress(job).frames_done,
            "rows": done_rows,
            "manifest": in_manifest,
            "dataset": dataset.counts["frames"],
        }
        verdict.expect(len(set(counts.values())) == 1, f"counts differ: {counts}")

    def _check_objects(self, verdict: Verdict, job: Job, lines: list[bytes]) -> None:
        dataset_id = str(job.result_id)
        explained = {keys.manifest(dataset_id), keys.card(dataset_id), keys.data_yaml(dataset_id)}
        categories = Library(self.database).dataset(dataset_id).categories
        for line in lines:
            entry = ManifestEntry.from_line(line.decode())
            image = keys.dataset(dataset_id, entry.image)
            label = keys.dataset(dataset_id, keys.label(entry.frame.split, entry.frame.id))
            explained |= {image, label}
            sha256 = hashlib.sha256(self.store.read(image)).hexdigest()
            verdict.expect(sha256 == entry.sha256, f"{image} is not what the manifest says")
            text = write_label(entry.frame, categories)
            verdict.expect(self.store.read(label).decode() == text, f"{label} is not what it should be")
            verdict.objects_hashed += 2
        explained |= {keys.plan(job.id), keys.findings(keys.plan(job.id)), keys.report(job.id)}
        explained |= {keys.contact_sheet(job.id)}
        explained |= {shard.result_key for shard in JobStore(self.database).shards(job.id)}
        there = self.store.keys(keys.dataset(dataset_id)) + self.store.keys(f"jobs/{job.id}")
        left = sorted(set(there) - explained)
        verdict.unexplained = len(left)
        verdict.expect(not left, f"{len(left)} objects that nothing explains, such as {left[:3]}")

    def _work(self, job: Job) -> list[Shard]:
        return [
            shard
            for shard in JobStore(self.database).shards(job.id)
            if shard.stage is Stage.WORK and shard.state is ShardState.DONE
        ]


def _source(line: bytes) -> str:
    return ManifestEntry.from_line(line.decode()).image


def take_back_seconds(store: JobStore, job_id: str, strikes: Iterable[Any]) -> list[float]:
    """R5: from the loss of a node to the moment when its shard waits again, for each shard that was lost."""
    lost = [strike.at for strike in strikes if str(strike.fault) == "worker"]
    found = []
    for event in store.events(job_id, limit=10**9):
        if event.kind == "shard" and event.data.get("reason") == "lease expired":
            before = [at for at in lost if at <= event.at]
            if before:
                found.append(event.at - max(before))
    return found
