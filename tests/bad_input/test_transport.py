"""Requests that no honest client sends, over a real socket: refused with a reason, and nothing is changed."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from benchmarks.api_server import stock_services
from service.access.key_store import KeyStore
from service.access.scopes import ALL_SCOPES
from service.app import create_app
from service.jobs.tables import metadata
from service.settings import Settings
from tests.conftest import SilentQueue
from tests.live_api import RawAnswer, live, send

IMPATIENT_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class Target:
    app: FastAPI
    address: tuple[str, int]
    key: str
    job_id: str
    dataset_id: str

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] = {},
        pieces: Sequence[bytes] = (),
    ) -> RawAnswer:
        """`headers` take the place of those an honest client would send; a value of "" leaves one out."""
        usual = {"Host": "localhost", "Authorization": f"Bearer {self.key}", "Connection": "close"}
        if body:
            usual |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        lines = [f"{name}: {value}" for name, value in {**usual, **headers}.items() if value]
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""])
        return send(self.address, head.encode("latin-1"), body, *pieces)

    def rows(self) -> dict[str, int]:
        with self.app.state.services.database.reading() as connection:
            return {
                table.name: connection.scalar(select(func.count()).select_from(table)) or 0
                for table in metadata.sorted_tables
            }


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder: Path = tmp_path_factory.mktemp("transport")
    settings = Settings(
        data_dir=folder, slow_request_seconds=IMPATIENT_SECONDS, requests_per_second=0, max_upload_bytes=10**9
    )
    app = create_app(settings, SilentQueue())
    with live(app, head_seconds=IMPATIENT_SECONDS) as address:
        send(address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        services = app.state.services
        key = KeyStore(services.database, "local").create("test", ALL_SCOPES).text
        job = stock_services(services)
        yield Target(app, address, key, job.id, str(job.dataset_id))


@pytest.fixture
def unchanged(target: Target, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No row more or less, no object, nothing to be seen in the log that went wrong."""
    store = target.app.state.services.store
    before = target.rows(), store.keys("")
    yield
    assert (target.rows(), store.keys("")) == before
    assert [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info] == []


def assert_refused(answer: RawAnswer, status: int, code: str) -> dict[str, Any]:
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), answer
    problem: dict[str, Any] = json.loads(answer.body)
    assert (problem["status"], problem["code"]) == (status, code)
    assert b"Traceback" not in answer.body
    return problem


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        pytest.param("DELETE", "/v1/jobs", 405, "GET", id="B04-method"),
        pytest.param("PATCH", "/v1/datasets", 405, "GET, POST", id="B04-all-methods-are-named"),
        pytest.param("BREW", "/v1/jobs", 405, "GET", id="B04-no-such-method"),
        pytest.param("GET", "/v1/nothing", 404, None, id="B04-path"),
        pytest.param("GET", "/V1/jobs", 404, None, id="B04-case"),
        pytest.param("GET", "/v1/jobs/", 404, None, id="B04-slash-is-not-redirected"),
        pytest.param("GET", "/v1//jobs", 404, None, id="B04-two-slashes"),
    ],
)
def test_a_wrong_method_or_path(
    target: Target, method: str, path: str, status: int, allow: str | None
) -> None:
    answer = target.ask(method, path)
    assert_refused(answer, status, "method-not-allowed" if status == 405 else "not-found")
    assert answer.headers.get("allow") == allow


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        pytest.param("/v1/datasets", {"Content-Type": "text/plain"}, id="B05-text"),
        pytest.param("/v1/datasets", {"Content-Type": ""}, id="B05-none"),
        pytest.param("/v1/quality", {"Content-Type": "application/x-www-form-urlencoded"}, id="B05-form"),
        pytest.param("/v1/jobs/x/cancel", {"Content-Type": "multipart/form-data"}, id="B05-multipart"),
        pytest.param("/v1/datasets", {"Content-Type": "application/json; charset=utf-7"}, id="B05-charset"),
        pytest.param("/v1/datasets", {"Content-Type": "application/jsonx"}, id="B05-prefix"),
        pytest.param("/v1/datasets", {"Content-Encoding": "gzip"}, id="B06-json"),
        pytest.param("/v1/datasets", {"Content-Encoding": "identity, br"}, id="B06-list"),
    ],
)
def test_a_body_of_another_kind(target: Target, path: str, headers: dict[str, str]) -> None:
    answer = target.ask("POST", path, b'{"upload_id": "up-stock"}', headers)
    assert_refused(answer, 415, "unsupported-media-type")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("encoding", [pytest.param("gzip", id="B06-upload"), pytest.param("br", id="B06-br")])
def test_an_upload_that_is_compressed_on_the_way(target: Target, encoding: str) -> None:
    answer = target.ask("PUT", "/v1/uploads", b"\x1f\x8b", {"Content-Encoding": encoding})
    assert_refused(answer, 415, "unsupported-media-type")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("headers", "pieces"),
    [
        pytest.param({"Content-Length": "2000000000"}, [b"{"], id="B07-announced"),
        pytest.param({"Transfer-Encoding": "chunked"}, [b"fffff\r\n", b" " * 0xFFFFF, b"\r\n2\r\n{}\r\n"],
                     id="B07-not-announced"),
    ],
)  # fmt: skip
def test_a_body_that_is_too_large_is_not_read_to_its_end(
    target: Target, headers: dict[str, str], pieces: list[bytes]
) -> None:
    head = {"Content-Type": "application/json", **headers}
    answer = target.ask("POST", "/v1/datasets", b"", head, pieces=pieces)
    problem = assert_refused(answer, 413, "body-too-large")
    assert problem["max_allowed"] == 1 << 20
    assert answer.headers["connection"] == "close"


@pytest.mark.usefixtures("unchanged")
def test_an_upload_is_not_held_to_the_cap_of_json(target: Target) -> None:
    answer = target.ask("POST", "/v1/uploads/nothing", bytes(2 << 20), {"Content-Type": "image/x-any"})
    assert answer.status not in (413, 415)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        pytest.param("/v1/jobs", {"X-A": "a" * 17_000}, 431, "headers-too-large", id="B08-header"),
        pytest.param("/v1/jobs", {f"X-{n}": "a" * 100 for n in range(200)}, 431, "headers-too-large",
                     id="B08-headers"),
        pytest.param("/v1/jobs", {"X-A": "a" * 70_000}, 431, "headers-too-large", id="B08-endless-header"),
        pytest.param("/v1/jobs/" + "a" * 2048, {}, 414, "target-too-long", id="B08-path"),
        pytest.param("/v1/jobs?" + "&".join(["a=1"] * 1001), {}, 400, "bad-request", id="B08-query"),
        pytest.param("/v1/jobs", {"X-A": "a\rb"}, 400, "bad-request", id="B09-header-cr"),
        pytest.param("/v1/jobs", {"X-A": "a\x00b"}, 400, "bad-request", id="B09-header-nul"),
        pytest.param("/v1/jobs/%00", {}, 400, "bad-request", id="B09-nul"),
        pytest.param("/v1/jobs/a%0d%0ab", {}, 400, "bad-request", id="B09-crlf"),
        pytest.param("/v1/jobs/%2e%2e/datasets", {}, 400, "bad-request", id="B09-encoded-dots"),
        pytest.param("/v1/jobs/%252e%252e/datasets", {}, 400, "bad-request", id="B09-encoded-twice"),
        pytest.param("/v1/jobs/%2E./x", {}, 400, "bad-request", id="B09-half-encoded"),
        pytest.param("/v1/jobs/../datasets", {}, 400, "bad-request", id="B09-dots"),
        pytest.param("/v1/jobs/..;/datasets", {}, 400, "bad-request", id="B09-semicolon"),
        pytest.param("/v1/jobs/.;a/x", {}, 400, "bad-request", id="B09-dot-semicolon"),
        pytest.param("/v1/jobs/%5c..%5cx", {}, 400, "bad-request", id="B09-encoded-backslash"),
        pytest.param("/v1/jobs/..\\x", {}, 400, "bad-request", id="B09-backslash"),
        pytest.param("/v1/jobs/a%2fevents", {}, 400, "bad-request", id="B09-encoded-slash"),
        pytest.param("/v1/jobs/%ff", {}, 400, "bad-request", id="B09-not-utf-8"),
        pytest.param("/v1/jobs?kind=%00", {}, 400, "bad-request", id="B09-nul-in-query"),
        pytest.param("/v1/jobs?kind=%ed%a0%80", {}, 400, "bad-request", id="B09-surrogate-in-query"),
        pytest.param("/v1/jobs", {"Host": "evil.example"}, 421, "misdirected-request", id="B10-host"),
        pytest.param("/v1/jobs", {"Host": "127.0.0.1.evil.example"}, 421, "misdirected-request",
                     id="B10-host-like-an-address"),
        pytest.param("/v1/jobs", {"Host": "localhost@evil.example"}, 400, "bad-request", id="B10-user"),
        pytest.param("/v1/jobs", {"Host": "localhost/v1/jobs?x="}, 400, "bad-request", id="B10-path-in-host"),
        pytest.param("/v1/jobs", {"Host": ""}, 400, "bad-request", id="B10-no-host"),
        pytest.param("/v1/jobs", {"host": "localhost"}, 400, "bad-request", id="B10-two-hosts"),
        pytest.param("http://evil.example/v1/jobs", {}, 400, "bad-request", id="B10-absolute-form"),
        pytest.param("*", {}, 400, "bad-request", id="B10-asterisk-form"),
    ],
)  # fmt: skip
def test_a_target_or_a_head_that_no_honest_client_sends(
    target: Target, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    assert_refused(target.ask("GET", path, b"", headers), status, code)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Content-Length": "4", "Transfer-Encoding": "chunked"}, id="B10-both-framings"),
        pytest.param({"Content-Length": "4", "content-length": "40"}, id="B10-two-lengths"),
        pytest.param({"Content-Length": "+4"}, id="B10-signed-length"),
        pytest.param({"Transfer-Encoding": "gzip, chunked"}, id="B10-unknown-framing"),
    ],
)
def test_a_body_whose_end_is_in_doubt(target: Target, headers: dict[str, str]) -> None:
    smuggled = b"0\r\n\r\nGET /v1/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = {"Content-Type": "application/json", "Connection": "", **headers}
    answer = target.ask("POST", "/v1/datasets", b"", head, pieces=[smuggled])
    assert answer.status in (400, 501)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"GET /v1/jobs HTTP/1.1\r\nHost: loc", id="B11-head"),
        pytest.param(
            b"POST /v1/datasets HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer KEY\r\n"
            b'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"upload_id": ', id="B11-json"),
        pytest.param(
            b"PUT /v1/uploads HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer KEY\r\n"
            b"Content-Length: 100000\r\n\r\nPK", id="B11-upload"),
    ],
)  # fmt: skip
def test_a_client_that_stops_in_the_middle_is_not_waited_for(target: Target, sent: bytes) -> None:
    answer = send(target.address, sent.replace(b"KEY", target.key.encode()))
    assert_refused(answer, 408, "request-timeout")
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("length", [pytest.param(100_000, id="B11-resumable-upload")])
def test_what_a_slow_upload_has_sent_is_kept(target: Target, length: int) -> None:
    tus = {"Tus-Resumable": "1.0.0"}
    made = target.ask(
        "POST", "/v1/uploads", headers={**tus, "Upload-Length": str(length), "Content-Length": "0"}
    )
    assert made.status == 201
    place = "/v1/uploads/" + made.headers["location"].rpartition("/")[2]
    head = {
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(length),
    }
    answer = target.ask("PATCH", place, headers={**tus, **head}, pieces=[b"PK" * 500])
    assert_refused(answer, 408, "request-timeout")
    assert target.ask("HEAD", place, headers=tus).headers["upload-offset"] == "1000"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        pytest.param('{"upload_id": "up-stock", "upload_id": "up-b"}', "duplicate-key", "/upload_id",
                     id="B15-key-twice"),
        pytest.param('{"upload_id": "up-stock", "select": {"a/b": 1, "a/b": 2}}', "duplicate-key",
                     "/select/a~1b", id="B15-key-twice-inside"),
        pytest.param('{"upload_id": "up-stock", "strict": NaN}', "bad-number", "/strict", id="B15-nan"),
        pytest.param('{"upload_id": [1, -Infinity]}', "bad-number", "/upload_id/1", id="B15-infinity"),
        pytest.param('{"strict": 1e400}', "bad-number", "/strict", id="B15-beyond-floats"),
        pytest.param('{"strict": 1%s}' % ("0" * 400), "bad-number", "/strict", id="B15-ten-to-400"),
        pytest.param('{"strict": %s}' % ("9" * 5000), "bad-number", "/strict", id="B15-5000-digits"),
        pytest.param('{"strict": 0.%s}' % ("9" * 5000), "bad-number", "/strict", id="B15-5000-decimals"),
        pytest.param('{"name": "\\ud800"}', "bad-text", "/name", id="B15-lone-surrogate"),
        pytest.param('{"category_map": {"\\udfff": "a"}}', "bad-text", "/category_map", id="B15-in-a-key"),
        pytest.param('{"name": "a\\u0000b"}', "bad-text", "/name", id="B15-nul"),
        pytest.param("[" * 33 + "]" * 33, "too-deep", "", id="B15-33-levels"),
        pytest.param("[" * 500_000, "too-deep", "", id="B15-endless-levels"),
        pytest.param('{"a":' * 100_000, "too-deep", "", id="B15-endless-objects"),
        pytest.param('"' + '\\"' * 400_000, "not-json", "", id="B15-endless-string"),
        pytest.param("{'upload_id': 1}", "not-json", "", id="B15-no-json"),
        pytest.param('{"upload_id": "up-stock"} {}', "not-json", "", id="B15-two-documents"),
        pytest.param("\xff\xfe{\x00}\x00", "not-utf-8", "", id="B15-utf-16"),
    ],
)  # fmt: skip
def test_json_that_means_different_things_to_different_readers(
    target: Target, body: str, code: str, pointer: str
) -> None:
    problem = assert_refused(
        target.ask("POST", "/v1/datasets", body.encode("latin-1")), 422, "validation-error"
    )
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == [(pointer, code)]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("path", "change", "pointer"),
    [
        pytest.param("/v1/translations", {"preview": -1}, "/preview", id="B15-negative"),
        pytest.param("/v1/translations", {"seed": 2**63}, "/seed", id="B15-beyond-64-bits"),
        pytest.param("/v1/translations", {"strength": "0.5"}, "/strength", id="B15-number-as-text"),
        pytest.param("/v1/translations", {"name": "a" * 201}, "/name", id="B15-long-name"),
        pytest.param("/v1/translations", {"nmae": "a"}, "/nmae", id="B15-unknown-key"),
        pytest.param("/v1/translations", {"dataset_id": 7}, "/dataset_id", id="B15-id-as-number"),
        pytest.param("/v1/trainings", {"direction": "sideways"}, "/direction", id="B15-enum"),
        pytest.param("/v1/trainings", {"steps": -1}, "/steps", id="B15-negative-steps"),
    ],
)
def test_a_value_out_of_range_is_pointed_at(
    target: Target, path: str, change: dict[str, Any], pointer: str
) -> None:
    wish = {"dataset_id": target.dataset_id, "generator": "identity", **change}
    problem = assert_refused(target.ask("POST", path, json.dumps(wish).encode()), 422, "validation-error")
    assert pointer in {error["pointer"] for error in problem["errors"]}


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/v1/jobs?limit=0", 422, id="B15-limit-0"),
        pytest.param("/v1/jobs?limit=-1", 422, id="B15-limit-negative"),
        pytest.param("/v1/jobs?limit=1" + "0" * 400, 422, id="B15-limit-huge"),
        pytest.param("/v1/jobs?limit=" + "9" * 1900, 422, id="B15-limit-1900-digits"),
        pytest.param("/v1/jobs?kind=painting", 422, id="B15-kind"),
        pytest.param("/v1/jobs?cursor=%F0%9F%8C%99", 422, id="B15-cursor"),
        pytest.param("/v1/jobs/job-1%27%20OR%201=1", 404, id="B15-id"),
        pytest.param("/v1/jobs/%F0%9F%8C%99", 404, id="B15-id-in-unicode"),
    ],
)
def test_a_parameter_out_of_range(target: Target, path: str, status: int) -> None:
    answer = target.ask("GET", path)
    assert_refused(answer, status, "not-found" if status == 404 else "validation-error")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "last",
    [
        pytest.param("-1", id="B15-event-negative"),
        pytest.param(str(2**63), id="B15-event-beyond-64-bits"),
        pytest.param("9" * 5000, id="B15-event-5000-digits"),
    ],
)
def test_a_number_in_a_header_out_of_range(target: Target, last: str) -> None:
    path = f"/v1/jobs/{target.job_id}/events"
    answer = target.ask("GET", path, headers={"Last-Event-ID": last})
    problem = assert_refused(answer, 422, "validation-error")
    assert [error["pointer"] for error in problem["errors"]] == ["/last-event-id"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "ranges",
    [
        pytest.param(",".join(f"{n}-" for n in range(2500)), id="B119-thousands"),
        pytest.param("-" + "9" * 1000, id="B119-huge"),
        pytest.param("0-0,0-0", id="B119-twice"),
        pytest.param("9-1", id="B119-backwards"),
        pytest.param("a-b", id="B119-words"),
    ],
)
def test_ranges_that_make_no_sense_are_answered_with_the_whole(target: Target, ranges: str) -> None:
    for place in ("files/manifest.jsonl", "frames/train/f1/image", "archive"):
        path = f"/v1/datasets/{target.dataset_id}/{place}"
        whole = target.ask("GET", path, headers={"Connection": "close"})
        answer = target.ask("GET", path, headers={"Range": f"bytes={ranges}"})
        assert (answer.status, len(answer.body)) == (200, len(whole.body))
