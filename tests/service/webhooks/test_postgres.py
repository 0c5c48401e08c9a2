"""Several senders, and webhooks that are removed while jobs end, on a real PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.jobs.database import Database
from service.jobs.figures import look
from service.jobs.leases import LeaseStore
from service.jobs.library import Library
from service.jobs.store import JobStore
from service.jobs.submit import Desk
from service.webhooks.outbox import Outbox
from service.webhooks.store import WebhookStore
from tests.service.webhooks.receivers import Post

pytestmark = pytest.mark.servers
URL = "https://hooks.example.com/in"


@pytest.fixture
def post(postgres_server, queue) -> Iterator[Post]:  # type: ignore[no-untyped-def]
    database = Database(postgres_server.new_database())
    database.migrate()
    desk = Desk(JobStore(database), Library(database), LeaseStore(database, 30.0, 3), queue)
    yield Post(database, desk, WebhookStore(database, "local"), Outbox(database))
    database.close()


def test_many_senders_at_once_send_each_attempt_once(post: Post) -> None:
    for number in range(10):
        post.store.create(f"{URL}/{number}")
    for _ in range(4):
        post.end_job()
    with ThreadPoolExecutor(8) as pool:
        claimed = [each.id for found in pool.map(lambda _: post.outbox.claim(40), range(8)) for each in found]
    assert len(claimed) == len(set(claimed)) == 40


def test_a_webhook_that_is_removed_while_jobs_end_fails_no_job_and_leaves_nothing(post: Post) -> None:
    jobs = [post.begin_job() for _ in range(12)]
    webhooks = [post.store.create(URL) for _ in range(6)]
    with ThreadPoolExecutor(8) as pool:
        ended = [pool.submit(post.desk.jobs.fail, job.id, "code", "message") for job in jobs]
        removed = [pool.submit(post.store.remove, webhook.id) for webhook in webhooks]
        assert all(each.result(30) for each in ended)
        assert [each.result(30) for each in removed] == [None] * 6
    assert post.outbox.claim(100) == []
    assert post.store.webhooks() == []


def test_figures_and_housekeeping_are_the_same_there(post: Post) -> None:
    webhook = post.store.create(URL)
    post.end_job()
    post.begin_job()
    figures = look(post.database)
    assert figures.deliveries_due == 1
    assert figures.oldest_seconds["ingest"] < 60
    assert [(each.kind, each.state, each.count) for each in figures.shards] == [("ingest", "pending", 1)]
    (message,) = post.outbox.claim(1)
    post.outbox.delivered(message, "HTTP 200")
    post.outbox.forget_old()
    assert post.delivery(webhook.id).last_answer == "HTTP 200"
