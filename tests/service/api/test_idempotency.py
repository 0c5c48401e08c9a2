"""A server may end at any point of a request: whoever asks again with the same key finds one thing made."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from sqlalchemy import event, func, select, update

from benchmarks.api_server import stock_services
from service.access.caller import Caller
from service.access.key_store import KeyStore
from service.access.scopes import ALL_SCOPES, Scope
from service.api.dependencies import Services
from service.app import create_app
from service.jobs import idempotency
from service.jobs.idempotency import IdempotencyStore
from service.jobs.submit import QualityWish, submit_quality
from service.jobs.tables import api_keys, datasets, idempotency_keys, incoming_uploads, jobs, webhooks
from service.settings import Settings
from tests.conftest import SilentQueue
from tests.serving import bearer, new_key

TUS = {"Tus-Resumable": "1.0.0", "Upload-Length": "9"}
DAY = {"dataset_id": "{dataset}"}
MOST_POINTS = 60
# The rest of them reach the same stores.
SWEPT_ALWAYS = {"translation", "key"}


@dataclass(frozen=True)
class Wish:
    """`makes`: what of it is counted, `id_in`: where the answer names it."""

    path: str
    body: Any
    makes: Any
    id_in: Callable[[Any], str] = lambda answer: str(answer.json()["id"])
    headers: dict[str, str] = field(default_factory=dict)
    adds: int = 1


WISHES = {
    "dataset": Wish(
        "/v1/datasets", {"upload_id": "up-stock"}, jobs, lambda answer: answer.json()["job"]["id"]
    ),
    "translation": Wish("/v1/translations", {**DAY, "generator": "identity"}, jobs),
    "chain": Wish(
        "/v1/translations",
        {**DAY, "generator": "identity", "then_train": {"test": {**DAY, "select": {"split": ["test"]}}}},
        jobs,
        adds=2,
    ),
    "retry": Wish("/v1/jobs/{cancelled}/retry", {}, jobs),
    "training": Wish(
        "/v1/trainings",
        {"architecture": "cyclegan", "day_dataset_id": "{dataset}", "night_dataset_id": "{dataset}"},
        jobs,
    ),
    "quality": Wish("/v1/quality", DAY, jobs),
    "experiment": Wish(
        "/v1/experiments",
        {
            "data": {"day": {**DAY, "select": {"split": ["train"]}}},
            "test": {**DAY, "select": {"split": ["test"]}},
            "arms": ["day"],
        },
        jobs,
    ),
    "generator": Wish(
        "/v1/generators",
        {"upload_id": "up-stock", "name": "mine", "architecture": "cyclegan", "direction": "day2night"},
        jobs,
    ),
    "key": Wish("/v1/keys", {"scopes": ["jobs:read"]}, api_keys),
    "rotation": Wish("/v1/keys/{key}/rotate", {}, api_keys, lambda answer: answer.json()["new"]["id"]),
    "webhook": Wish("/v1/webhooks", {"url": "http://127.0.0.1:9/hook"}, webhooks),
    "upload": Wish(
        "/v1/uploads", None, incoming_uploads, lambda answer: answer.headers["location"].split("/")[-1], TUS
    ),
}
# These make nothing: asked again, they find what they asked for done.
MAKE_NOTHING = {"/v1/jobs/{job_id}/cancel", "/v1/uploads/{upload_id}"}


class Killed(Exception):
    """The server ends here."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"), requests_per_second=0, max_active_jobs=10**6,
        webhooks_allowed=True, webhook_hosts=("http://127.0.0.1",),
    )  # fmt: skip
    with TestClient(create_app(settings, SilentQueue()), raise_server_exceptions=False) as client:
        client.headers.update(bearer(new_key(client)))
        assert client.get("/v1/limits").is_success  # so that the key's first use is noted
        yield client


@pytest.fixture(scope="module")
def named(client: TestClient) -> dict[str, str]:
    here = services(client)
    mine = here.for_caller(Caller("", "local", ALL_SCOPES))
    dataset = str(stock_services(mine, upload_id="up-stock").dataset_id)
    with here.database.writing() as connection:
        counts = {"frames": 3, "boxes": 5}
        connection.execute(update(datasets).where(datasets.c.id == dataset).values(counts=counts))
    return {"dataset": dataset}


def services(client: TestClient) -> Services:
    found: Services = client.app.state.services  # type: ignore[attr-defined]
    return found


def fresh(client: TestClient, named: dict[str, str]) -> dict[str, str]:
    """What can be used once: a job to be retried, a key to be rotated."""
    here = services(client).for_caller(Caller("", "local", ALL_SCOPES))
    job = submit_quality(here.desk, QualityWish(named["dataset"]))
    here.desk.jobs.cancel(job.id)
    key = KeyStore(here.database, "local").create("", {Scope.JOBS_READ}).key
    return {**named, "cancelled": job.id, "key": key.id}


def filled(template: Any, named: dict[str, str]) -> Any:
    if isinstance(template, str):
        return template.format(**named)
    if isinstance(template, dict):
        return {name: filled(value, named) for name, value in template.items()}
    return [filled(value, named) for value in template] if isinstance(template, list) else template


def ask(client: TestClient, wish: Wish, named: dict[str, str], key: str) -> Any:
    headers = {**wish.headers, "Idempotency-Key": key}
    return client.post(filled(wish.path, named), json=filled(wish.body, named), headers=headers)


def count(client: TestClient, wish: Wish) -> int:
    with services(client).database.reading() as connection:
        return int(connection.scalar(select(func.count()).select_from(wish.makes)) or 0)


def is_there(client: TestClient, wish: Wish, made_id: str) -> bool:
    with services(client).database.reading() as connection:
        return connection.scalar(select(wish.makes.c.id).where(wish.makes.c.id == made_id)) is not None


def let_time_pass(client: TestClient) -> None:
    """As long as a server that was killed keeps its keys."""
    late = idempotency_keys.c.created_at - idempotency.GIVEN_UP_SECONDS - 1
    with services(client).database.writing() as connection:
        connection.execute(update(idempotency_keys).values(created_at=late))


@contextmanager
def killed_at(client: TestClient, number: int) -> Iterator[list[str]]:
    """The server ends at the n-th change to the database, or before the n-th commit; the list has one item
    if it came so far. An ended server also gives no key back."""
    engine, seen, sprung = services(client).database.engine, [0], list[str]()

    def reach(what: str) -> None:
        seen[0] += 1
        if seen[0] >= number:  # a process that has ended changes nothing afterwards
            sprung.append(what)
            raise Killed(what)

    def execute(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith(("SELECT", "BEGIN")):
            reach(statement)

    def commit(_connection: Any) -> None:
        reach("commit")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IdempotencyStore, "abandon", lambda *_: None)
        event.listen(engine, "before_cursor_execute", execute)
        event.listen(engine, "commit", commit)
        try:
            yield sprung
        finally:
            event.remove(engine, "before_cursor_execute", execute)
            event.remove(engine, "commit", commit)


def test_every_request_that_makes_something_is_tried_here(client: TestClient) -> None:
    app: Any = client.app
    routed = {each.path for each in iter_route_contexts(app.routes) if "POST" in (each.methods or ())}
    names = {"cancelled": "{job_id}", "key": "{key_id}"}
    tried = {wish.path.format(**names) for wish in WISHES.values()}
    assert {path for path in routed if path.startswith("/v1")} == tried | MAKE_NOTHING


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in SWEPT_ALWAYS else [pytest.mark.slow]) for name in WISHES],
)
def test_wherever_the_server_ends_a_repeat_finds_one_thing_made(
    client: TestClient, named: dict[str, str], name: str
) -> None:
    wish, lost, points = WISHES[name], 0, 0
    for number in range(1, MOST_POINTS):
        its, key = fresh(client, named), f"{name}-{number}"
        before = count(client, wish)
        with killed_at(client, number) as sprung:
            ask(client, wish, its, key)
        if not sprung:
            break
        points += 1
        if count(client, wish) > before:
            lost += 1  # it was made, and nobody was told; the repeat need not wait
        else:
            let_time_pass(client)
        answer = ask(client, wish, its, key)
        assert answer.is_success, answer.text
        assert count(client, wish) == before + wish.adds, (number, sprung)
        assert is_there(client, wish, wish.id_in(answer))
        again = ask(client, wish, its, key)
        assert (again.status_code, wish.id_in(again)) == (answer.status_code, wish.id_in(answer))
        assert again.headers["idempotent-replay"] == "true"
    assert points >= 5
    assert lost >= 2, "the points between making and keeping the answer were never reached"


@pytest.mark.parametrize("name", [name for name in WISHES if name != "upload"])
def test_an_answer_that_was_lost_is_put_together_as_it_was(
    client: TestClient, named: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: Any) -> None:
        raise Killed

    wish, its = WISHES[name], fresh(client, named)
    with monkeypatch.context() as patch:
        patch.setattr(IdempotencyStore, "finish", end)
        assert ask(client, wish, its, f"lost-{name}").status_code == 500
    anew = ask(client, wish, its, f"lost-{name}")
    twin = ask(client, wish, fresh(client, named), f"twin-{name}")
    assert anew.status_code == twin.status_code
    assert shape(anew.json()) == shape(hidden(twin.json()))


def hidden(answer: Any) -> Any:
    """As it is kept: without the key, which is shown once."""
    if not isinstance(answer, dict):
        return answer
    return {name: None if name == "key" else hidden(value) for name, value in answer.items()}


def shape(answer: Any) -> Any:
    """Names and kinds of values, whatever they are."""
    if isinstance(answer, dict):
        return {name: shape(value) for name, value in answer.items()}
    return type(answer).__name__


def test_a_request_that_failed_after_it_made_something_is_not_made_again(
    client: TestClient, named: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    wish = WISHES["translation"]
    before = count(client, wish)
    with monkeypatch.context() as patch:
        patch.setattr("service.api.jobs.job_view", fail)
        assert ask(client, wish, named, "half-way").status_code == 500
    assert ask(client, wish, named, "half-way").status_code == 202
    assert count(client, wish) == before + 1
