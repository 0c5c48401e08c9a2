"""What more workers bring, and what a frame costs beside its translation, in small and large datasets.

On real Redis and PostgreSQL; the generator sleeps for a fixed time a frame, so that two cores can feed
several "GPUs". Two tables:

- efficiency: how many times as fast so many workers are, over their number. `work` is from the first shard
  that is claimed to the last that is done; `job` has the planning and the publishing too, which one worker
  does alone.
- cost: processor milliseconds a frame of everything that is neither a stage nor a generator (API,
  reconciler, PostgreSQL, Redis, and the workers' parents), for datasets of different sizes at the same speed.

    python -m benchmarks.scale
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from sqlalchemy import insert, select

from benchmarks.nemesis.client import Client, day_upload
from benchmarks.nemesis.cluster import Cluster, children
from benchmarks.nemesis.grounds import TENANT, Wish
from benchmarks.record import write_record
from service.access.key_store import KeyStore
from service.access.scopes import Scope
from service.datasets.manifest import ManifestEntry
from service.jobs.database import Database
from service.jobs.job import Stage
from service.jobs.store import JobStore
from service.jobs.tables import datasets
from service.storage import keys
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

SEEDS = 1000
JOB_SECONDS = 7200.0
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Run:
    """One job. Processor time is what the parts used while it ran."""

    workers: int
    frames: int
    shards: int
    work_seconds: float
    job_seconds: float
    cpu_ms_per_frame: dict[str, float]


class Grounds:
    """Real servers, and a store with one small dataset that larger ones are made of."""

    def __init__(
        self, folder: Path, redis: RedisServer, postgres: PostgresServer, seconds_per_frame: float
    ) -> None:
        self.folder, self.redis, self.postgres = folder, redis, postgres
        self.database_url = postgres.new_database()
        self.database = Database(self.database_url)
        self.database.migrate()
        self.key = KeyStore(self.database, TENANT).create("scale", list(Scope)).text
        self.seconds_per_frame = seconds_per_frame
        self.small = ""

    @contextmanager
    def cluster(self, workers: int, shard_seconds: float) -> Iterator[tuple[Cluster, Client]]:
        wish = Wish(SEEDS, lease_seconds=30.0, shard_seconds=shard_seconds)
        environment = wish.environment(self.folder, self.redis.url, self.database_url)
        environment["NEMESIS_SECONDS_PER_FRAME"] = str(self.seconds_per_frame)
        with Cluster(self.folder, environment, workers) as cluster:
            cluster.wait_until_ready()
            client = Client(cluster.url, self.key)
            if not self.small:
                made = client.create_dataset(client.upload(day_upload(SEEDS)))
                assert client.wait(made["job"]["id"], JOB_SECONDS)["state"] == "succeeded"
                self.small = made["dataset"]["id"]
            yield cluster, client

    def dataset_of(self, frames: int) -> str:
        """A dataset of so many frames: the small one's images under more names, without copying them."""
        name = f"ds-{frames}"
        with self.database.writing() as connection:
            row = connection.execute(select(datasets).where(datasets.c.id == self.small)).mappings().one()
            if connection.execute(select(datasets.c.id).where(datasets.c.id == name)).first():
                return name
            connection.execute(insert(datasets).values(**{**row, "id": name}))
        store = self.folder / "data" / "store"
        source, target = (store / keys.dataset(each) for each in (self.small, name))
        entries = [
            ManifestEntry.from_line(line)
            for line in (store / keys.manifest(self.small)).read_text().split("\n")[:-1]
        ]
        for split in {str(entry.frame.split) for entry in entries}:
            (target / "images" / split).mkdir(parents=True)
        with (target / "manifest.jsonl").open("w") as manifest:
            for number in range(frames):
                entry = entries[number % len(entries)]
                frame = replace(entry.frame, id=f"{number:07d}", name=f"{number:07d}.jpg")
                image = keys.image(frame.split, frame.id, ".jpg")
                (target / image).hardlink_to(source / entry.image)
                manifest.write(replace(entry, frame=frame, image=image).to_line() + "\n")
        for file in ("card.json", "data.yaml"):
            (target / file).write_bytes((source / file).read_bytes())
        return name

    def run(self, cluster: Cluster, client: Client, frames: int) -> Run:
        dataset_id = self.dataset_of(frames)
        before = self._processor_seconds(cluster)
        job_id = str(client.translate(dataset_id)["id"])
        job = client.wait(job_id, JOB_SECONDS)
        used = {name: seconds - before[name] for name, seconds in self._processor_seconds(cluster).items()}
        assert job["state"] == "succeeded", job["error"]
        row = JobStore(self.database).job(job_id)
        assert row.work_started_at is not None
        assert row.finished_at is not None
        shards = [shard for shard in JobStore(self.database).shards(job_id) if shard.stage is Stage.WORK]
        done = {shard.index for shard in shards}
        ends = [
            event.at
            for event in JobStore(self.database).events(job_id, limit=10**6, kind="shard")
            if event.data["state"] == "done" and event.data["index"] in done
        ]
        return Run(
            workers=cluster.workers,
            frames=frames,
            shards=len(shards),
            work_seconds=round(max(ends) - row.work_started_at, 2),
            job_seconds=round(row.finished_at - row.created_at, 2),
            cpu_ms_per_frame={name: round(1000 * seconds / frames, 3) for name, seconds in used.items()},
        )

    def _processor_seconds(self, cluster: Cluster) -> dict[str, float]:
        """Of each part by now; a worker's child, which does the stages, is not its parent's."""
        return {
            "api": sum(_seconds(member.pid) for member in cluster.named("api")),
            "reconciler": sum(_seconds(member.pid) for member in cluster.named("reconciler")),
            "worker parents": sum(_seconds(member.pid) for member in cluster.named("worker")),
            "postgresql": _with_descendants(self.postgres.pid),
            "redis": _seconds(self.redis.pid),
        }


def _seconds(pid: int, with_ended_children: bool = False) -> float:
    """Of processor time, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(each) for each in fields[11 : 15 if with_ended_children else 13]) / TICKS_A_SECOND


def _with_descendants(pid: int) -> float:
    return _seconds(pid, True) + sum(_with_descendants(child) for child in children(pid))


def efficiency(runs: list[Run]) -> list[dict[str, Any]]:
    one = runs[0]
    return [
        {
            "workers": run.workers,
            "frames_per_second": round(run.frames / run.work_seconds, 1),
            "work": round(one.work_seconds / run.work_seconds / run.workers, 3),
            "job": round(one.job_seconds / run.job_seconds / run.workers, 3),
        }
        for run in runs
    ]


def main() -> None:
    given = _arguments()
    runs: list[Run] = []
    costs: list[Run] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nightshift-scale-")))
        redis, postgres = stack.enter_context(RedisServer()), stack.enter_context(PostgresServer())
        grounds = Grounds(folder, redis, postgres, given.seconds_per_frame)
        stack.callback(grounds.database.close)
        for workers in given.workers:
            with grounds.cluster(workers, given.shard_seconds) as (cluster, client):
                client.wait(
                    str(client.translate(grounds.dataset_of(SEEDS))["id"]), JOB_SECONDS
                )  # all are awake
                runs.append(grounds.run(cluster, client, given.frames))
                print(runs[-1], flush=True)
        with grounds.cluster(max(given.workers), given.shard_seconds) as (cluster, client):
            client.wait(str(client.translate(grounds.dataset_of(SEEDS))["id"]), JOB_SECONDS)
            for frames in given.sizes:
                costs.append(grounds.run(cluster, client, frames))
                print(costs[-1], flush=True)
    found = {"efficiency": efficiency(runs)} if runs else {}
    print(json.dumps(found, indent=1))
    write_record(
        "scale",
        torch.device("cpu"),
        {**found, "runs": [_plain(run) for run in runs], "costs": [_plain(run) for run in costs],
         "seconds_per_frame": given.seconds_per_frame, "shard_seconds": given.shard_seconds},
    )  # fmt: skip


def _plain(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in Run.__dataclass_fields__}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--frames", type=int, default=3000, help="of the dataset that shows the efficiency")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--seconds-per-frame", type=float, default=0.04)
    parser.add_argument("--shard-seconds", type=float, default=2.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
