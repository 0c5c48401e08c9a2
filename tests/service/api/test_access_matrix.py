"""Every operation against every kind of caller that must not pass. A new route needs an entry in `CASES`."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from sqlalchemy import select, update

from benchmarks.api_server import stock_services
from service.access.caller import Caller
from service.access.key_store import KeyStore
from service.access.keys import mint
from service.access.scopes import ALL_SCOPES, TENANT_SCOPES, Scope
from service.api.dependencies import Services
from service.app import create_app
from service.catalogue import GeneratorCard
from service.jobs.submit import QualityWish, TrainingWish, submit_quality, submit_training
from service.jobs.tables import datasets, jobs, legal_moves, metadata, server_secrets
from service.settings import Settings
from service.storage import keys
from service.uploads.metadata import parse_metadata
from service.webhooks.store import WebhookStore
from tests.conftest import SilentQueue
from tests.serving import bearer, new_key

OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/openapi.json"), ("HEAD", "/openapi.json")}
# What lies elsewhere is a page: tests/service/web/test_sessions.py asks for each of those.
API = ("/v1", "/metrics", "/healthz", "/readyz", "/openapi.json")
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
RANDOM = {
    name: f"{prefix}-000000000000"
    for name, prefix in (("upload", "up"), ("incoming", "up"), ("dataset", "ds"), ("webhook", "wh"))
} | dict.fromkeys(("job", "training", "experiment"), "job-000000000000") | {"key": "aaaaaaaa"}  # fmt: skip
READS_DATASETS, WRITES_DATASETS = {Scope.DATASETS_READ}, {Scope.DATASETS_WRITE}
READS_JOBS, WRITES_JOBS = {Scope.JOBS_READ}, {Scope.JOBS_WRITE}
ADMIN = {Scope.ADMIN}


@dataclass(frozen=True, slots=True)
class Case:
    """`path` and the strings of `body` name things in braces: `{dataset}` is one of the other tenant's.

    `foreign`: the status for that; one that names nothing shows or makes what is the caller's own.
    """

    scopes: Collection[Scope]
    path: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    foreign: int = 404


CASES: dict[tuple[str, str], Case] = {
    ("OPTIONS", "/v1/uploads"): Case(WRITES_DATASETS, "/v1/uploads", foreign=204),
    ("POST", "/v1/uploads"): Case(
        WRITES_DATASETS, "/v1/uploads", headers={**TUS, "Upload-Length": "9"}, foreign=201
    ),
    ("PUT", "/v1/uploads"): Case(WRITES_DATASETS, "/v1/uploads", content=b"bytes", foreign=201),
    ("PUT", "/v1/uploads/{filename}"): Case(
        WRITES_DATASETS, "/v1/uploads/day.zip", content=b"bytes", foreign=201
    ),
    ("HEAD", "/v1/uploads/{upload_id}"): Case(WRITES_DATASETS, "/v1/uploads/{incoming}", headers=TUS),
    ("PATCH", "/v1/uploads/{upload_id}"): Case(
        WRITES_DATASETS, "/v1/uploads/{incoming}", headers=PIECE, content=b"bytes"
    ),
    ("POST", "/v1/uploads/{upload_id}"): Case(
        WRITES_DATASETS, "/v1/uploads/{incoming}", headers={**TUS, "X-HTTP-Method-Override": "DELETE"}
    ),
    ("DELETE", "/v1/uploads/{upload_id}"): Case(WRITES_DATASETS, "/v1/uploads/{upload}", headers=TUS),
    ("GET", "/v1/uploads/{upload_id}"): Case(READS_DATASETS, "/v1/uploads/{upload}"),
    ("POST", "/v1/datasets"): Case(WRITES_DATASETS, "/v1/datasets", {"upload_id": "{upload}"}),
    ("GET", "/v1/datasets"): Case(READS_DATASETS, "/v1/datasets", foreign=200),
    ("GET", "/v1/datasets/{dataset_id}"): Case(READS_DATASETS, "/v1/datasets/{dataset}"),
    ("DELETE", "/v1/datasets/{dataset_id}"): Case(WRITES_DATASETS, "/v1/datasets/{dataset}"),
    ("GET", "/v1/datasets/{dataset_id}/report"): Case(READS_DATASETS, "/v1/datasets/{dataset}/report"),
    ("GET", "/v1/datasets/{dataset_id}/frames"): Case(READS_DATASETS, "/v1/datasets/{dataset}/frames"),
    ("GET", "/v1/datasets/{dataset_id}/frames/{split}/{frame_id}/image"): Case(
        READS_DATASETS, "/v1/datasets/{dataset}/frames/train/f0/image"
    ),
    ("GET", "/v1/datasets/{dataset_id}/frames/{split}/{frame_id}/thumbnail"): Case(
        READS_DATASETS, "/v1/datasets/{dataset}/frames/train/f0/thumbnail"
    ),
    ("GET", "/v1/datasets/{dataset_id}/files/{name}"): Case(
        READS_DATASETS, "/v1/datasets/{dataset}/files/card.json"
    ),
    ("GET", "/v1/datasets/{dataset_id}/archive"): Case(READS_DATASETS, "/v1/datasets/{dataset}/archive"),
    ("POST", "/v1/translations"): Case(
        WRITES_JOBS, "/v1/translations", {"dataset_id": "{dataset}", "generator": "identity"}
    ),
    ("GET", "/v1/jobs"): Case(READS_JOBS, "/v1/jobs", foreign=200),
    ("GET", "/v1/jobs/{job_id}"): Case(READS_JOBS, "/v1/jobs/{job}"),
    ("POST", "/v1/jobs/{job_id}/cancel"): Case(WRITES_JOBS, "/v1/jobs/{job}/cancel"),
    ("POST", "/v1/jobs/{job_id}/retry"): Case(WRITES_JOBS, "/v1/jobs/{job}/retry"),
    ("GET", "/v1/jobs/{job_id}/events"): Case(READS_JOBS, "/v1/jobs/{job}/events"),
    ("GET", "/v1/jobs/{job_id}/report"): Case(READS_JOBS, "/v1/jobs/{job}/report"),
    ("GET", "/v1/jobs/{job_id}/contact-sheet"): Case(READS_JOBS, "/v1/jobs/{job}/contact-sheet"),
    ("GET", "/v1/jobs/{job_id}/preview"): Case(READS_JOBS, "/v1/jobs/{job}/preview"),
    ("GET", "/v1/jobs/{job_id}/preview/{number}"): Case(READS_JOBS, "/v1/jobs/{job}/preview/0"),
    ("GET", "/v1/generators"): Case(READS_JOBS, "/v1/generators", foreign=200),
    ("GET", "/v1/generators/{reference}"): Case(READS_JOBS, "/v1/generators/theirs", foreign=422),
    ("POST", "/v1/generators"): Case(
        ADMIN,
        "/v1/generators",
        {"upload_id": "{upload}", "name": "mine", "architecture": "cyclegan", "direction": "day2night"},
    ),
    ("POST", "/v1/trainings"): Case(
        WRITES_JOBS,
        "/v1/trainings",
        {"architecture": "cyclegan", "day_dataset_id": "{dataset}", "night_dataset_id": "{dataset}"},
    ),
    ("GET", "/v1/trainings/{job_id}"): Case(READS_JOBS, "/v1/trainings/{training}"),
    ("GET", "/v1/trainings/{job_id}/losses"): Case(READS_JOBS, "/v1/trainings/{training}/losses"),
    ("GET", "/v1/trainings/{job_id}/samples/{step}"): Case(READS_JOBS, "/v1/trainings/{training}/samples/1"),
    ("POST", "/v1/quality"): Case(WRITES_JOBS, "/v1/quality", {"dataset_id": "{dataset}"}),
    ("POST", "/v1/experiments"): Case(
        WRITES_JOBS,
        "/v1/experiments",
        {"data": {"day": {"dataset_id": "{dataset}"}}, "test": {"dataset_id": "{dataset}"}},
    ),
    ("GET", "/v1/experiments/{job_id}"): Case(READS_JOBS, "/v1/experiments/{job}"),
    ("GET", "/v1/experiments/{job_id}/report"): Case(READS_JOBS, "/v1/experiments/{job}/report"),
    ("GET", "/v1/experiments/{job_id}/report.html"): Case(READS_JOBS, "/v1/experiments/{job}/report.html"),
    ("GET", "/v1/experiments/{job_id}/report.md"): Case(READS_JOBS, "/v1/experiments/{job}/report.md"),
    ("GET", "/v1/experiments/{job_id}/detectors/{arm}/{seed}"): Case(
        READS_JOBS, "/v1/experiments/{job}/detectors/day/0"
    ),
    ("POST", "/v1/webhooks"): Case(
        WRITES_JOBS, "/v1/webhooks", {"url": "https://example.invalid/"}, foreign=403
    ),
    ("GET", "/v1/webhooks"): Case(READS_JOBS, "/v1/webhooks", foreign=200),
    ("DELETE", "/v1/webhooks/{webhook_id}"): Case(WRITES_JOBS, "/v1/webhooks/{webhook}"),
    ("GET", "/v1/webhooks/{webhook_id}/deliveries"): Case(READS_JOBS, "/v1/webhooks/{webhook}/deliveries"),
    ("POST", "/v1/keys"): Case(ADMIN, "/v1/keys", {"scopes": ["admin"]}, foreign=201),
    ("GET", "/v1/keys"): Case(ADMIN, "/v1/keys", foreign=200),
    ("DELETE", "/v1/keys/{key_id}"): Case(ADMIN, "/v1/keys/{key}"),
    ("POST", "/v1/keys/{key_id}/rotate"): Case(ADMIN, "/v1/keys/{key}/rotate"),
    ("GET", "/v1/limits"): Case((), "/v1/limits", foreign=200),
    ("GET", "/metrics"): Case({Scope.OPERATOR}, "/metrics", foreign=200),
}
# Who may read a thing may ask how large it is.
for _path in (
    "/v1/datasets/{dataset_id}/frames/{split}/{frame_id}/image",
    "/v1/datasets/{dataset_id}/files/{name}",
    "/v1/datasets/{dataset_id}/archive",
    "/v1/experiments/{job_id}/detectors/{arm}/{seed}",
):
    CASES["HEAD", _path] = CASES["GET", _path]
OPERATIONS = sorted(CASES)
IDS = [f"{method} {path}" for method, path in OPERATIONS]
every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=IDS)


@dataclass(frozen=True, slots=True)
class World:
    """Two tenants: `local` asks, `theirs` names what belongs to `other`, `own` what belongs to `local`."""

    client: TestClient
    theirs: dict[str, str]
    own: dict[str, str]
    owner: dict[str, str]
    """The header with a key of `other`."""
    keys: dict[frozenset[Scope], str] = field(default_factory=dict)

    def key(self, scopes: Collection[Scope] = ALL_SCOPES) -> str:
        """One of `local`, made once."""
        wanted = frozenset(scopes)
        if wanted not in self.keys:
            self.keys[wanted] = new_key(self.client, scopes=wanted)
        return self.keys[wanted]

    @property
    def here(self) -> Services:
        services: Services = self.client.app.state.services  # type: ignore[attr-defined]
        return services

    def ask(self, operation: tuple[str, str], key: str | None, named: dict[str, str]) -> Any:
        case = CASES[operation]
        headers = {**case.headers, **({} if key is None else bearer(key))}
        return self.client.request(
            operation[0], _filled(case.path, named), json=_filled(case.body, named), headers=headers,
            content=case.content,
        )  # fmt: skip

    def rows(self) -> dict[str, list[Any]]:
        """All that is the other tenant's."""
        with self.here.database.reading() as connection:
            theirs = set(connection.scalars(select(jobs.c.id).where(jobs.c.tenant == "other")))
            found = {
                table.name: [tuple(row) for row in connection.execute(select(table)).all()]
                for table in metadata.sorted_tables
                if table not in (legal_moves, server_secrets)
            }
        return {
            name: [row for row in rows if "other" in row or theirs & {v for v in row if isinstance(v, str)}]
            for name, rows in found.items()
        }


def _filled(template: Any, named: dict[str, str]) -> Any:
    if isinstance(template, str):
        return template.format(**named)
    if isinstance(template, dict):
        return {name: _filled(value, named) for name, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, named) for value in template]
    return template


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("world"), requests_per_second=0, failed_keys_per_minute=10**6
    )
    with TestClient(create_app(settings, SilentQueue()), raise_server_exceptions=False) as client:
        here: Services = client.app.state.services  # type: ignore[attr-defined]
        other = here.for_caller(Caller("", "other", ALL_SCOPES))
        mine = here.for_caller(Caller("", "local", ALL_SCOPES))
        own = str(stock_services(mine, upload_id="up-own").dataset_id)
        with here.database.writing() as connection:
            counts = {"frames": 3, "boxes": 5}
            connection.execute(update(datasets).where(datasets.c.id == own).values(counts=counts))
        owner = bearer(new_key(client, "other"))
        assert client.get("/v1/limits", headers=owner).is_success  # so that its first use is noted
        yield World(client, _belongings(other), {"dataset": own, "upload": "up-own"}, owner)


def _belongings(other: Services) -> dict[str, str]:
    """One of each kind of thing that has an id."""
    job = stock_services(other, upload_id="up-theirs")
    dataset = str(job.dataset_id)
    training = submit_training(other.desk, TrainingWish("cyclegan", dataset, dataset))
    submit_quality(other.desk, QualityWish(dataset))
    other.store.write(keys.report(job.id), b"{}")
    other.store.write(keys.contact_sheet(job.id), b"theirs")
    version = other.desk.library.reserve_generators(["theirs"])
    card = GeneratorCard(
        name="theirs", version=version, title="", direction="day2night", architecture="cyclegan", paper="",
        training_data="", licence="", is_bundled=False,
    )  # fmt: skip
    other.desk.library.add_generator(card)
    return {
        "upload": "up-theirs",
        "incoming": other.uploads.create(9, parse_metadata("")).id,
        "dataset": dataset,
        "job": job.id,
        "training": training.id,
        "webhook": WebhookStore(other.database, "other").create("https://example.invalid/").id,
        "key": KeyStore(other.database, "other").create("theirs", ALL_SCOPES).key.id,
    }


@pytest.fixture
def unchanged(world: World) -> Iterator[None]:
    """Whatever is tried, nothing of the other tenant's is changed, and no object of its is."""
    before = world.rows(), world.here.store.keys(f"datasets/{world.theirs['dataset']}")
    assert sum(map(len, before[0].values())) > 20
    yield
    assert (world.rows(), world.here.store.keys(f"datasets/{world.theirs['dataset']}")) == before


def test_every_operation_has_an_entry_here(world: World) -> None:
    app: Any = world.client.app
    routed = {
        (method, context.path)
        for context in iter_route_contexts(app.routes)
        for method in context.methods or ()
        if context.path.startswith(API)
    }
    document = app.openapi()["paths"]
    described = {(method.upper(), path) for path, item in document.items() for method in item}
    assert described <= routed
    assert {(method, path) for method, path in routed if (method, path) not in OPEN} == set(CASES)


def test_what_is_documented_as_guarded_is_guarded(world: World) -> None:
    app: Any = world.client.app
    for path, item in app.openapi()["paths"].items():
        for method, operation in item.items():
            is_open = (method.upper(), path) in OPEN
            assert ("security" in operation) is not is_open, (method, path)


@pytest.mark.usefixtures("unchanged")
@every_operation
def test_without_a_valid_key_nobody_passes(
    world: World, invalid_keys: dict[str, str | None], operation: tuple[str, str]
) -> None:
    for kind, key in invalid_keys.items():
        answer = world.ask(operation, key, world.theirs)
        assert (answer.status_code, answer.headers.get("www-authenticate")) == (401, "Bearer"), kind
        if operation[0] != "HEAD":
            assert answer.json()["code"] == "unauthorized"


@pytest.fixture(scope="module")
def invalid_keys(world: World) -> dict[str, str | None]:
    valid, revoked = new_key(world.client), new_key(world.client)
    KeyStore(world.here.database).revoke(revoked.split("_")[1])
    return {
        "none": None,
        "malformed": valid[:-1],
        "unknown": str(mint()),
        "another secret": str(replace(mint(), id=valid.split("_")[1])),
        "revoked": revoked,
        "expired": new_key(world.client, valid_seconds=-1.0),
    }


@pytest.mark.usefixtures("unchanged")
@every_operation
def test_a_key_without_the_scope_does_not_pass(world: World, operation: tuple[str, str]) -> None:
    for missing in CASES[operation].scopes:
        for named in (world.theirs, RANDOM):
            answer = world.ask(operation, world.key(ALL_SCOPES - {missing}), named)
            assert answer.status_code == 403
            if operation[0] != "HEAD":
                assert answer.json()["code"] == "insufficient-scope"


@pytest.mark.usefixtures("unchanged")
@every_operation
def test_the_scope_alone_is_enough(world: World, operation: tuple[str, str]) -> None:
    case = CASES[operation]
    answer = world.ask(operation, world.key(case.scopes), RANDOM)
    assert answer.status_code == case.foreign, answer.text


@pytest.mark.usefixtures("unchanged")
@every_operation
def test_what_is_another_tenants_is_as_if_it_were_not_there(world: World, operation: tuple[str, str]) -> None:
    case, key = CASES[operation], world.key()
    foreign, unknown = (world.ask(operation, key, named) for named in (world.theirs, RANDOM))
    assert foreign.status_code == unknown.status_code == case.foreign, foreign.text
    if case.foreign == 404:
        assert _anonymous(foreign, world.theirs) == _anonymous(unknown, RANDOM)
    for name, secret in world.theirs.items():
        if f"{{{name}}}" not in f"{case.path}{case.body}":
            assert secret not in foreign.text


def _anonymous(answer: Any, named: dict[str, str]) -> tuple[str, list[str]]:
    """The answer but for the id that was asked for and what is each request's own."""
    text = answer.text
    for secret in sorted(named.values(), key=len, reverse=True):
        text = text.replace(secret, "ID")
    request_id = answer.headers.get("x-request-id", "none")
    headers = [
        f"{name}: {value}"
        for name, value in answer.headers.items()
        if name not in ("x-request-id", "date", "content-length")
    ]
    return text.replace(request_id, "REQUEST"), headers


NAMED_IN_BODIES: list[tuple[str, dict[str, Any]]] = [
    ("/v1/trainings", {"night_dataset_id": "{dataset}"}),
    ("/v1/trainings", {"backbone_upload_id": "{upload}"}),
    ("/v1/quality", {"reference_id": "{dataset}"}),
    ("/v1/quality", {"backbone_upload_id": "{upload}"}),
    ("/v1/experiments", {"test": {"dataset_id": "{dataset}"}}),
    ("/v1/experiments", {"data": {"day": {"dataset_id": "{dataset}"}}}),
    ("/v1/experiments", {"detector_upload_id": "{upload}"}),
    ("/v1/translations", {"then_train": {"test": {"dataset_id": "{dataset}"}}}),
    ("/v1/generators", {"part_upload_ids": ["{upload}"]}),
    ("/v1/datasets", {"upload_id": "{incoming}"}),
]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("path", "change"), NAMED_IN_BODIES, ids=[f"{p} {c}" for p, c in NAMED_IN_BODIES])
def test_an_id_in_a_body_is_looked_up_as_the_callers(world: World, path: str, change: dict[str, Any]) -> None:
    own, other_frames = world.own["dataset"], {"select": {"split": ["test"]}}
    bodies: dict[str, dict[str, Any]] = {
        "/v1/trainings": {"architecture": "cyclegan", "day_dataset_id": own, "night_dataset_id": own},
        "/v1/quality": {"dataset_id": own},
        "/v1/experiments": {
            "data": {"day": {"dataset_id": own}}, "test": {"dataset_id": own, **other_frames},
            "arms": ["day"],
        },
        "/v1/translations": {"dataset_id": own, "generator": "identity"},
        "/v1/generators": {
            "upload_id": world.own["upload"], "name": "mine", "architecture": "kind",
            "direction": "day2night",
        },
        "/v1/datasets": {},
    }  # fmt: skip
    headers = bearer(world.key())
    for named in (world.theirs, RANDOM):
        answer = world.client.post(path, json={**bodies[path], **_filled(change, named)}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), answer.text


@pytest.mark.usefixtures("unchanged")
def test_a_generator_of_another_tenant_is_neither_used_nor_named(world: World) -> None:
    headers = bearer(world.key())
    wish = {"dataset_id": world.own["dataset"], "generator": "their"}
    refused = world.client.post("/v1/translations", json=wish, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown-generator")
    assert "theirs" not in refused.text
    assert "theirs" not in world.client.get("/v1/generators", headers=headers).text
    assert "theirs:1" in world.client.get("/v1/generators", headers=world.owner).text


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "scopes",
    [ADMIN, {Scope.OPERATOR}, TENANT_SCOPES, {*ADMIN, Scope.OPERATOR}],
    ids=["admin", "operator", "all but operator", "both"],
)
def test_only_the_operator_shares_a_generator_with_all_tenants(
    world: World, scopes: Collection[Scope]
) -> None:
    wish = {"upload_id": "up-own", "name": "mine", "architecture": "cyclegan", "direction": "day2night"}

    def ask(is_shared: bool) -> int:
        headers = bearer(world.key(scopes))
        return int(
            world.client.post(
                "/v1/generators", json={**wish, "shared": is_shared}, headers=headers
            ).status_code
        )

    is_admin, is_operator = Scope.ADMIN in scopes, Scope.OPERATOR in scopes
    assert ask(False) == (202 if is_admin else 403)
    assert ask(True) == (202 if is_admin and is_operator else 403)


@pytest.mark.usefixtures("unchanged")
def test_the_operators_scope_is_handed_on_by_the_operator_alone(world: World) -> None:
    for giver, status in ((TENANT_SCOPES, 403), (ALL_SCOPES, 201)):
        headers = bearer(world.key(giver))
        for wanted in ([Scope.OPERATOR], sorted(ALL_SCOPES)):
            answer = world.client.post("/v1/keys", json={"scopes": wanted}, headers=headers)
            assert answer.status_code == status
    theirs = KeyStore(world.here.database, "local").create("operator", ALL_SCOPES).key.id
    path = f"/v1/keys/{theirs}/rotate"
    assert world.client.post(path, headers=bearer(world.key(TENANT_SCOPES))).status_code == 403
    assert world.client.post(path, headers=bearer(world.key(ALL_SCOPES))).status_code == 201


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/datasets", "/v1/keys", "/v1/webhooks"])
def test_listings_show_the_callers_alone(world: World, path: str) -> None:
    def listed(headers: dict[str, str]) -> set[str]:
        return {item["id"] for item in world.client.get(path, headers=headers).json()["items"]}

    theirs = listed(world.owner)
    assert theirs
    assert not listed(bearer(world.key())) & theirs


def test_an_answer_kept_for_an_idempotency_key_is_kept_for_its_tenant_and_its_scope(world: World) -> None:
    wish = {"dataset_id": world.theirs["dataset"], "generator": "identity"}

    def ask(key: str) -> Any:
        headers = {**bearer(key), "Idempotency-Key": "same"}
        return world.client.post("/v1/translations", json=wish, headers=headers)

    first = ask(new_key(world.client, "other"))
    assert first.status_code == 202
    assert ask(world.key()).status_code == 404
    assert ask(new_key(world.client, "other", ALL_SCOPES - {Scope.JOBS_WRITE})).status_code == 403
    assert ask(new_key(world.client, "other")).json() == first.json()
