"""The same service on Redis, PostgreSQL and an S3 store, by settings alone: the same bytes as on a folder."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.client.client import Client
from service.client.local import wait_until_ready
from service.jobs.database import Database
from service.jobs.store import JobStore
from service.stack import Stack, free_port
from tests.end_to_end.pictures import write_bdd100k
from tests.servers.ceph import CephServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.servers, pytest.mark.timeout(240)]
FRAMES = 24
PATIENCE_SECONDS = 120.0
SMALL_SHARDS = {
    "NIGHTSHIFT_SHARD_SECONDS": "0.2",
    "NIGHTSHIFT_LEASE_SECONDS": "3",
    "NIGHTSHIFT_HEARTBEAT_SECONDS": "0.5",
}


@contextmanager
def running(data_dir: Path, variables: Mapping[str, str], workers: int) -> Iterator[tuple[Stack, Client]]:
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        with Stack(data_dir, free_port(), workers) as stack:
            wait_until_ready(stack)
            environment.setenv("NIGHTSHIFT_KEY", stack.key)
            with Client(stack.url) as client:
                yield stack, client


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bdd100k(tmp_path_factory.mktemp("day") / "bdd100k", FRAMES)


@pytest.fixture(scope="module")
def embedded(day: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What comes of it without any server."""
    folder = tmp_path_factory.mktemp("embedded")
    with running(folder / "data", SMALL_SHARDS, workers=1) as (_, client):
        return translated(client, day, folder / "night", lambda _: None)


@pytest.fixture
def on_servers(
    redis_server: RedisServer, postgres_server: PostgresServer, s3_server: CephServer
) -> dict[str, str]:
    redis_server.client().flushall()
    return SMALL_SHARDS | {
        "NIGHTSHIFT_DATABASE_URL": postgres_server.new_database(),
        "NIGHTSHIFT_BROKER_URL": redis_server.url,
        "NIGHTSHIFT_STORE_URL": f"s3://{s3_server.new_bucket()}/nightshift",
        "NIGHTSHIFT_S3_ENDPOINT_URL": s3_server.endpoint_url,
        "NIGHTSHIFT_S3_KEY": s3_server.key,
        "NIGHTSHIFT_S3_SECRET": s3_server.secret,
    }


def translated(client: Client, day: Path, night: Path, at_work: Callable[[str], None]) -> dict[str, bytes]:
    """Upload, translate, download; `at_work` is called once the first frames are done. The files by name,
    without what names a dataset by its id.
    """
    dataset = client.wait_for_dataset(client.create_dataset(client.upload(day)))
    job = client.translate(dataset.id, "camera-night", quality_frames=0)
    for seen in client.follow(job.id):
        if seen.progress.frames_done > 0:
            at_work(job.id)
            break
    done = client.wait(job)
    client.download(str(done.result_id), night)
    files = {str(path.relative_to(night)): path.read_bytes() for path in night.rglob("*") if path.is_file()}
    files["manifest.jsonl"] = files["manifest.jsonl"].replace(dataset.id.encode(), b"ds-source")
    card = json.loads(files.pop("card.json"))
    assert card["source"]["dataset"] == dataset.id
    return files


def test_a_job_on_servers_ends_with_the_same_bytes_though_they_fail_in_the_middle(
    embedded: dict[str, bytes],
    on_servers: dict[str, str],
    redis_server: RedisServer,
    postgres_server: PostgresServer,
    day: Path,
    tmp_path: Path,
) -> None:
    jobs = []

    def lose_the_queue_and_every_connection(job_id: str) -> None:
        jobs.append(job_id)
        redis_server.kill()
        postgres_server.stop()
        postgres_server.start()
        redis_server.start()

    with running(tmp_path / "data", on_servers, workers=2) as (stack, client):
        files = translated(client, day, tmp_path / "night", lose_the_queue_and_every_connection)
        database = Database(on_servers["NIGHTSHIFT_DATABASE_URL"])
        events = JobStore(database).events(jobs[0])
        database.close()
        logs = "".join(path.read_text() for path in stack.log_dir.iterdir())
    assert files.keys() == embedded.keys()
    assert {name for name, data in files.items() if data != embedded[name]} == set()
    done = [event.data["index"] for event in events if event.data.get("state") == "done"]
    assert len(done) == len(set(done)) >= 2
    assert on_servers["NIGHTSHIFT_S3_SECRET"] not in logs
    # Everything else is on the servers.
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"logs", "key.json"}
