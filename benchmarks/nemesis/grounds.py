"""Everything that a run needs, started: a cluster, a dataset on it, and what must come out of a job."""

import hashlib
import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.nemesis.checker import Checker, Expected
from benchmarks.nemesis.client import Client, day_upload
from benchmarks.nemesis.cluster import Cluster
from benchmarks.nemesis.trial import JOB_SECONDS, Grounds, undisturbed
from service.access.key_store import KeyStore
from service.access.scopes import Scope
from service.datasets.manifest import ManifestEntry
from service.jobs.database import Database
from service.jobs.queue import CeleryQueue
from service.settings import Settings
from service.storage import keys
from service.storage.object_store import ObjectStore, open_store
from tests.servers.redis import RedisServer

TENANT = "nemesis"
POISON = "poison"


@dataclass(frozen=True, slots=True)
class Wish:
    """`shard_seconds` decides how much work a death costs; `poison` is how many images are deadly."""

    frames: int
    poison: int = 0
    workers: int = 2
    reconcilers: int = 1
    lease_seconds: float = 3.0
    shard_seconds: float = 0.1
    store_url: str = ""
    s3_endpoint_url: str = ""
    s3_key: str = ""
    s3_secret: str = ""
    extra: Mapping[str, list[str]] = field(default_factory=dict)
    """Further processes of the cluster, such as the store's bad line."""

    def environment(self, folder: Path, redis_url: str, database_url: str) -> dict[str, str]:
        """Of every process of the cluster, with all the figures as users would set them."""
        names = {
            "DATA_DIR": str(folder / "data"),
            "BROKER_URL": redis_url,
            "DATABASE_URL": database_url,
            "LEASE_SECONDS": str(self.lease_seconds),
            "HEARTBEAT_SECONDS": str(self.lease_seconds / 6),
            "POLL_SECONDS": "0.2",
            "SHARD_SECONDS": str(self.shard_seconds),
            "REQUESTS_PER_SECOND": "0",
            "DEVICE": "cpu",
        }
        ours = {"OMP_NUM_THREADS": "1", "NEMESIS_POISON": str(folder / POISON)}
        if self.store_url:
            names |= {
                "STORE_URL": self.store_url, "S3_ENDPOINT_URL": self.s3_endpoint_url,
                "S3_KEY": self.s3_key, "S3_SECRET": self.s3_secret,
            }  # fmt: skip
        return {**{f"NIGHTSHIFT_{name}": value for name, value in names.items()}, **ours}


@contextmanager
def prepared(
    wish: Wish, folder: Path, redis: RedisServer, database_url: str, direct: Settings | None = None
) -> Iterator[Grounds]:
    """A cluster that has ingested a day dataset and translated it once in peace.

    Args:
        direct: how the checker reaches the store, where the cluster goes through a faulty line.
    """
    environment = wish.environment(folder, redis.url, database_url)
    settings = Settings(
        data_dir=folder / "data", broker_url=redis.url, database_url=database_url, device="cpu"
    )
    database = Database(database_url)
    database.migrate()
    store = open_store(direct or settings)
    checker = Checker(database, store, CeleryQueue(settings))
    key = KeyStore(database, TENANT).create("nemesis", list(Scope)).text
    with ExitStack() as stack:
        stack.callback(database.close)
        content = day_upload(wish.frames)
        with Cluster(folder, environment, wish.workers, wish.reconcilers, extra=wish.extra) as cluster:
            client = Client(cluster.url, key)
            cluster.wait_until_ready()
            dataset_id = _ingested(client, content)
            manifest, seconds = undisturbed(client, checker, dataset_id)
            chosen = _chosen(store, dataset_id, wish.poison)
            (folder / POISON).write_text(" ".join(chosen.values()))  # from here on they are deadly
            expected = Expected(manifest, frozenset(chosen))
            yield Grounds(cluster, redis, checker, client, dataset_id, expected, wish.lease_seconds, seconds)


def _ingested(client: Client, content: bytes) -> str:
    made = client.create_dataset(client.upload(content))
    job = client.wait(made["job"]["id"], JOB_SECONDS)
    assert job["state"] == "succeeded", client.report(job["id"])
    return str(client.dataset(made["dataset"]["id"])["id"])


def _chosen(store: ObjectStore, dataset_id: str, count: int) -> dict[str, str]:
    """Some images of the dataset, with the sha256 of each."""
    lines = store.read(keys.manifest(dataset_id)).split(b"\n")[:-1]
    entries = [ManifestEntry.from_line(line.decode()) for line in random.Random(count).sample(lines, count)]
    for entry in entries:
        stored = hashlib.sha256(store.read(keys.dataset(dataset_id, entry.image))).hexdigest()
        assert stored == entry.sha256
    return {entry.image: entry.sha256 for entry in entries}
