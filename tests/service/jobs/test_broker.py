"""Redis as the doorbell: it may go at any time, and whoever rings never waits for it."""

from collections.abc import Iterator

import pytest

from service.errors import Unavailable
from service.jobs.broker import make_celery, warn_of_eviction
from service.jobs.job import QUEUES, JobKind, Stage
from service.jobs.queue import CeleryQueue
from service.settings import Settings
from tests.servers.redis import RedisServer

pytestmark = pytest.mark.servers


@pytest.fixture
def empty_redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    redis_server.client().flushall()
    yield redis_server
    if not redis_server.answers():
        redis_server.start()


@pytest.fixture
def on_redis(empty_redis: RedisServer, settings: Settings) -> Settings:
    return settings.model_copy(update={"broker_url": empty_redis.url})


@pytest.fixture
def doorbell(on_redis: Settings) -> CeleryQueue:
    return CeleryQueue(on_redis)


def unread(doorbell: CeleryQueue) -> dict[str, int]:
    return {name: doorbell.unread(name) for name in QUEUES}


def test_a_message_waits_in_its_own_queue_and_no_other(doorbell: CeleryQueue) -> None:
    doorbell.send("ingest", [("job-1", 0), ("job-1", 1)])
    doorbell.send("shards", [("job-2", 0)])
    assert unread(doorbell) == {"ingest": 2, "shards": 1, "trainings": 0}


@pytest.mark.parametrize("loss", ["flushed", "killed"])
def test_a_redis_that_has_forgotten_everything_is_rung_as_before(
    doorbell: CeleryQueue, empty_redis: RedisServer, loss: str
) -> None:
    doorbell.send("shards", [("job-1", 0)])
    if loss == "flushed":
        empty_redis.client().flushall()
    else:
        empty_redis.kill()
        empty_redis.start()
    assert unread(doorbell)["shards"] == 0
    doorbell.send("shards", [("job-1", 0)])
    assert unread(doorbell)["shards"] == 1


def test_while_redis_is_away_whoever_rings_is_told_at_once(
    doorbell: CeleryQueue, empty_redis: RedisServer
) -> None:
    doorbell.send("shards", [("job-1", 0)])
    empty_redis.kill()
    for attempt in (lambda: doorbell.unread("shards"), lambda: doorbell.send("shards", [("job-1", 0)])):
        with pytest.raises(Unavailable, match="broker"):
            attempt()
    empty_redis.start()
    assert unread(doorbell)["shards"] == 0


def test_a_redis_that_forgets_when_it_is_full_is_told_of(on_redis: Settings) -> None:
    assert warn_of_eviction(on_redis) is None
    with RedisServer(maxmemory_policy="allkeys-lru") as forgetful:
        url = {"broker_url": forgetful.url}
        assert warn_of_eviction(on_redis.model_copy(update=url)) == "allkeys-lru"
    assert warn_of_eviction(on_redis.model_copy(update=url)) is None  # it is away: nothing can be said


def test_a_folder_forgets_nothing(settings: Settings) -> None:
    assert warn_of_eviction(settings) is None


def test_every_stage_of_every_kind_of_job_has_one_queue() -> None:
    listed = sorted(each for work in QUEUES.values() for each in work)
    assert listed == sorted((kind, stage) for kind in JobKind for stage in Stage)


def test_a_report_waits_for_no_other_training() -> None:
    long = {each for each in QUEUES["shards"] if each[0] is JobKind.EXPERIMENT}
    assert {stage for _, stage in long} == {Stage.PLAN, Stage.PUBLISH}


def test_a_busy_worker_holds_no_message_of_another(on_redis: Settings) -> None:
    config = make_celery(on_redis).conf
    assert (config.worker_disable_prefetch, config.worker_prefetch_multiplier) == (True, 1)


def test_a_worker_that_is_told_nothing_listens_for_ingests_and_shards(settings: Settings) -> None:
    assert set(make_celery(settings).amqp.queues.consume_from) == {"ingest", "shards"}
