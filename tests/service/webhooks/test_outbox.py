"""A job's end and its deliveries are one write; each attempt has one sender."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from service.errors import InvalidRequest, NotFound
from service.jobs.database import Database, database_now
from service.jobs.job import ACTIVE_JOB_STATES, JobState
from service.jobs.moves import move_job
from service.jobs.tables import webhook_deliveries
from service.webhooks.calling import CALL_SECONDS
from service.webhooks.outbox import CLAIM_SECONDS, MOST_OF_ONE, WAIT_SECONDS, Outbox
from service.webhooks.records import DeliveryState
from service.webhooks.store import MOST_WEBHOOKS, WebhookStore
from tests.service.webhooks.receivers import Post

URL = "https://hooks.example.com/in"


def now(database: Database) -> float:
    with database.reading() as connection:
        return float(connection.scalar(select(database_now())) or 0)


def let_time_pass(database: Database) -> None:
    """Until everything that waits is due."""
    with database.writing() as connection:
        connection.execute(update(webhook_deliveries).values(due_at=0.0))


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED])
def test_every_end_of_a_job_is_told_to_every_webhook_of_its_tenant(post: Post, state: JobState) -> None:
    webhooks = {post.store.create(f"{URL}/{number}").id for number in range(2)}
    other = WebhookStore(post.database, "another").create(URL)
    job_id = post.end_job(state)
    messages = post.outbox.claim(10)
    assert {message.id for message in messages} == {f"{webhook}-{job_id}" for webhook in webhooks}
    told = json.loads(messages[0].body)
    assert (told["type"], told["data"]["id"], told["data"]["state"]) == (f"job.{state}", job_id, state)
    assert WebhookStore(post.database, "another").deliveries(other.id, 10) == []


def test_a_job_that_goes_on_is_not_told(post: Post) -> None:
    post.store.create(URL)
    job = post.begin_job()
    assert post.desk.leases.claim(job.id, 0, "worker") is not None
    assert post.outbox.claim(10) == []


def test_an_end_that_is_not_committed_leaves_no_delivery(post: Post) -> None:
    post.store.create(URL)
    job = post.begin_job()
    with post.database.engine.connect() as connection:
        assert move_job(connection, job.id, ACTIVE_JOB_STATES, JobState.FAILED)
        connection.rollback()
    assert post.desk.jobs.job(job.id).state is JobState.QUEUED
    assert post.outbox.claim(10) == []
    post.desk.jobs.fail(job.id, "code", "message")
    assert len(post.outbox.claim(10)) == 1


def test_what_is_claimed_is_nobody_else_s_until_the_claim_is_over(post: Post) -> None:
    post.store.create(URL)
    post.end_job()
    (mine,) = post.outbox.claim(10)
    other = Outbox(post.database)
    assert other.claim(10) == []
    assert not other._is_claimed(mine.id, attempts=0), "it was seen as due before the first had claimed it"
    let_time_pass(post.database)
    (theirs,) = other.claim(10)
    assert theirs.attempt == mine.attempt + 1
    assert theirs.body == mine.body


def test_a_sender_that_was_away_for_long_changes_nothing(post: Post) -> None:
    webhook = post.store.create(URL)
    post.end_job()
    (stale,) = post.outbox.claim(10)
    let_time_pass(post.database)
    (fresh,) = post.outbox.claim(10)
    post.outbox.delivered(stale, "HTTP 200")
    assert post.delivery(webhook.id).state is DeliveryState.PENDING
    post.outbox.delivered(fresh, "HTTP 204")
    post.outbox.failed(stale, "HTTP 500")
    assert post.delivery(webhook.id).last_answer == "HTTP 204"
    assert post.delivery(webhook.id).state is DeliveryState.DELIVERED


def test_it_is_tried_for_about_a_day_and_then_given_up(post: Post) -> None:
    webhook = post.store.create(URL)
    post.end_job()
    waits = []
    while (delivery := post.delivery(webhook.id)).state is DeliveryState.PENDING:
        let_time_pass(post.database)
        (message,) = post.outbox.claim(10)
        assert message.attempt == delivery.attempts + 1
        post.outbox.failed(message, "HTTP 500")
        waits.append(post.delivery(webhook.id).due_at - now(post.database))
    assert delivery.state is DeliveryState.GIVEN_UP
    assert delivery.attempts == len(WAIT_SECONDS) + 1
    assert 18 * 3600 < sum(waits[:-1]) < 30 * 3600
    let_time_pass(post.database)
    assert post.outbox.claim(10) == []


def test_one_receiver_does_not_take_every_place(post: Post) -> None:
    busy, quiet = post.store.create(URL), WebhookStore(post.database, "local").create(f"{URL}/quiet")
    jobs = [post.end_job() for _ in range(MOST_OF_ONE + 3)]
    claimed = [message.id for message in post.outbox.claim(100)]
    for webhook in (busy, quiet):
        assert sum(each.startswith(webhook.id) for each in claimed) == MOST_OF_ONE
    assert len(post.outbox.claim(100)) == 2 * (len(jobs) - MOST_OF_ONE)


def test_a_claim_lasts_longer_than_a_call(post: Post) -> None:
    assert CLAIM_SECONDS > 2 * CALL_SECONDS


def test_a_webhook_that_is_removed_takes_its_deliveries_with_it(post: Post) -> None:
    webhook = post.store.create(URL)
    post.end_job()
    (message,) = post.outbox.claim(10)
    post.store.remove(webhook.id)
    post.outbox.failed(message, "HTTP 500")
    let_time_pass(post.database)
    assert post.outbox.claim(10) == []
    with pytest.raises(NotFound):
        post.store.deliveries(webhook.id, 10)
    post.end_job()


def test_a_tenant_sees_and_removes_none_but_its_own(post: Post) -> None:
    mine = post.store.create(URL)
    other = WebhookStore(post.database, "another")
    assert other.webhooks() == []
    look: list[Callable[[], object]] = [
        lambda: other.webhook(mine.id), lambda: other.deliveries(mine.id, 1), lambda: other.remove(mine.id),
    ]  # fmt: skip
    for each in look:
        with pytest.raises(NotFound):
            each()
    assert post.store.webhooks() == [mine]


def test_a_tenant_has_so_many_and_no_more(post: Post) -> None:
    for _ in range(MOST_WEBHOOKS):
        post.store.create(URL)
    with pytest.raises(InvalidRequest):
        post.store.create(URL)
    WebhookStore(post.database, "another").create(URL)


def test_what_ended_long_ago_is_forgotten_and_what_waits_is_not(post: Post) -> None:
    webhook = post.store.create(URL)
    kept, old = post.end_job(), post.end_job()
    with post.database.writing() as connection:
        connection.execute(
            update(webhook_deliveries)
            .where(webhook_deliveries.c.job_id == old)
            .values(state=DeliveryState.GIVEN_UP, finished_at=1.0)
        )
    post.outbox.forget_old()
    assert [each.job_id for each in post.store.deliveries(webhook.id, 10)] == [kept]


def test_a_secret_does_not_show_in_what_is_printed(post: Post) -> None:
    webhook = post.store.create(URL)
    post.end_job()
    (message,) = post.outbox.claim(1)
    assert webhook.secret == message.secret
    assert webhook.secret not in repr([webhook, message])
