"""Rows B20 to B35 but for B23 and B34, which images and archives have: uploads that err, lie or die."""

import base64
import hashlib
import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import select, update

from service.app import create_app
from service.jobs.records import UploadState
from service.jobs.tables import incoming_uploads, metadata
from service.settings import Settings
from service.storage import keys
from tests.conftest import SilentQueue
from tests.live_api import PATIENCE_SECONDS, live
from tests.serving import Serving, bearer, new_key

DATA = hashlib.sha256(b"a day").digest() * 40
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = {**TUS, "Content-Type": "application/offset+octet-stream"}


@dataclass(frozen=True, slots=True)
class Uploader:
    """A client; `begun` is an upload of DATA of which the first 100 bytes are here."""

    http: TestClient
    begun: str

    def begin(self, headers: Mapping[str, str] = {}, **more: Any) -> Response:
        usual = {**TUS, "Upload-Length": str(len(DATA))}
        wanted = {name: value for name, value in {**usual, **headers}.items() if value is not None}
        return self.http.post("/v1/uploads", headers=wanted, **more)

    def add(self, start: int, data: bytes, path: str = "", **headers: str) -> Response:
        headers = {**PIECE, "Upload-Offset": str(start), **headers}
        return self.http.patch(path or self.begun, content=data, headers=headers)

    def offset(self, path: str = "") -> int:
        return int(self.http.head(path or self.begun, headers=TUS).headers["upload-offset"])

    def stored(self, path: str = "") -> bytes:
        store = self.services.store
        content: bytes = store.read(keys.upload((path or self.begun).rpartition("/")[2]))
        return content

    @property
    def services(self) -> Any:
        return self.http.app.state.services  # type: ignore[attr-defined]

    def rows(self) -> dict[str, list[Any]]:
        with self.services.database.reading() as connection:
            tables = [table for table in metadata.sorted_tables if table.name != "api_keys"]
            return {table.name: [tuple(row) for row in connection.execute(select(table))] for table in tables}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("uploads")
    settings = Settings(
        data_dir=folder, requests_per_second=0, max_upload_bytes=10**6, max_stored_bytes=10**6
    )
    with TestClient(create_app(settings, SilentQueue()), raise_server_exceptions=False) as client:
        client.headers.update(bearer(new_key(client)))
        yield client


@pytest.fixture
def uploader(http: TestClient, caplog: pytest.LogCaptureFixture) -> Iterator[Uploader]:
    made = http.post("/v1/uploads", headers={**TUS, "Upload-Length": str(len(DATA))})
    uploader = Uploader(http, made.headers["location"])
    assert uploader.add(0, DATA[:100]).status_code == 204
    yield uploader
    http.delete(uploader.begun)  # what it had reserved is free again
    assert [record for record in caplog.records if record.levelno >= logging.ERROR or record.exc_info] == []


@pytest.fixture
def goes_on(uploader: Uploader) -> Iterator[None]:
    """Nothing is lost: what was here is here, and the upload can be completed."""
    before = uploader.offset()
    yield
    assert uploader.offset() == before
    assert uploader.add(before, DATA[before:]).status_code == 204
    assert uploader.stored() == DATA


def assert_problem(response: Response, status: int, code: str) -> Response:
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert len(response.text) < 2000
    assert "Traceback" not in response.text
    return response


def described(text: str) -> dict[str, Any]:
    return {"headers": {"Upload-Metadata": text}}


def encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


LENGTH = "Upload-Length"
BEGINNINGS = [
    pytest.param({"headers": {LENGTH: None}}, 400, "invalid-upload", id="B20-missing"),
    pytest.param({"headers": {LENGTH: "-1"}}, 400, "invalid-upload", id="B20-negative"),
    pytest.param({"headers": {LENGTH: "many"}}, 400, "invalid-upload", id="B20-no-number"),
    pytest.param({"headers": {LENGTH: "1e3"}}, 400, "invalid-upload", id="B20-exponent"),
    pytest.param({"headers": {LENGTH: "+5"}}, 400, "invalid-upload", id="B20-sign"),
    pytest.param({"headers": {LENGTH: ""}}, 400, "invalid-upload", id="B20-empty"),
    pytest.param(
        {"headers": {LENGTH: None, "Upload-Defer-Length": "1"}}, 400, "invalid-upload", id="B20-deferred"
    ),
    pytest.param({"headers": {LENGTH: "1000001"}}, 413, "upload-too-large", id="B21-max-size"),
    pytest.param({"headers": {LENGTH: "1" + "0" * 400}}, 413, "upload-too-large", id="B21-no-disk-ever"),
    pytest.param({"headers": {LENGTH: "999999"}}, 413, "upload-too-large", id="B21-quota"),
    pytest.param(described("filename %%%"), 400, "invalid-upload", id="B35-base64"),
    pytest.param(described("a " + "QUFB" * 1500), 400, "invalid-upload", id="B35-long"),
    pytest.param(described("filename " + encoded(b"a\x00b.zip")), 400, "invalid-upload", id="B35-nul"),
    pytest.param(described("filename " + encoded(b"a\r\nb.zip")), 400, "invalid-upload", id="B35-lines"),
    pytest.param(described("filename " + encoded(b"\xff\xfe")), 400, "invalid-upload", id="B35-not-utf-8"),
    pytest.param(described("filename QQ==,filename QQ=="), 400, "invalid-upload", id="B35-twice"),
    pytest.param(described("sha256 " + encoded(b"not a digest")), 400, "invalid-upload", id="B35-digest"),
    pytest.param(
        {"headers": {**PIECE, "Upload-Checksum": "sha3 AAAA"}, "content": b"x"}, 400, "unknown-checksum",
        id="B28-at-the-beginning",
    ),
]  # fmt: skip


@pytest.mark.usefixtures("goes_on")
@pytest.mark.parametrize(("wish", "status", "code"), BEGINNINGS)
def test_a_beginning_that_cannot_be_meant_makes_nothing(
    uploader: Uploader, wish: dict[str, Any], status: int, code: str
) -> None:
    before = uploader.rows()
    for _ in range(2):  # the same answer to the same request
        assert_problem(uploader.begin(**wish), status, code)
    assert uploader.rows() == before


@pytest.mark.parametrize("_row", [pytest.param(None, id="B22")])
@pytest.mark.usefixtures("goes_on")
def test_an_upload_that_the_disk_has_no_room_for(
    uploader: Uploader, monkeypatch: pytest.MonkeyPatch, _row: None
) -> None:
    staging = type(uploader.services.uploads.staging)
    before = uploader.rows()
    with monkeypatch.context() as patch:
        patch.setattr(staging, "free_bytes", lambda _self: 2000)
        missing = uploader.services.uploads.incoming.reserved_bytes()
        assert_problem(uploader.begin({LENGTH: str(2001 - missing)}), 507, "insufficient-storage")
        assert_problem(
            uploader.http.put("/v1/uploads", content=bytes(2001 - missing)), 507, "insufficient-storage"
        )
        assert uploader.rows() == before, "nothing is reserved for what was refused"
        uploader.http.delete(uploader.begin({LENGTH: str(2000 - missing)}).headers["location"])


@pytest.mark.usefixtures("goes_on")
@pytest.mark.parametrize(
    ("start", "data"),
    [
        pytest.param(200, DATA[200:300], id="B24-ahead"),
        pytest.param(0, DATA[:100], id="B24-repeated"),
        pytest.param(50, DATA[50:150], id="B24-overlapping"),
    ],
)
def test_a_piece_from_elsewhere(uploader: Uploader, start: int, data: bytes) -> None:
    response = assert_problem(uploader.add(start, data), 409, "offset-mismatch")
    assert response.headers["upload-offset"] == "100"


@pytest.mark.parametrize("offset", [pytest.param(value, id=f"B24-{value}") for value in ("-1", "x", "")])
@pytest.mark.usefixtures("goes_on")
def test_an_offset_that_is_none(uploader: Uploader, offset: str) -> None:
    assert_problem(uploader.add(0, DATA, **{"Upload-Offset": offset}), 400, "invalid-upload")


@pytest.mark.parametrize(
    "is_told", [pytest.param(True, id="B25-told"), pytest.param(False, id="B25-chunked")]
)
@pytest.mark.usefixtures("goes_on")
def test_more_bytes_than_announced(uploader: Uploader, is_told: bool) -> None:
    data = DATA[100:] + b"surplus"
    sent: Any = data if is_told else iter([data[:500], data[500:]])
    response = assert_problem(uploader.add(100, sent), 413, "upload-too-large")
    assert response.json()["max_allowed"] == len(DATA)


@pytest.mark.parametrize(
    "algorithm", [pytest.param(name, id=f"B26-{name}") for name in ("sha1", "sha256", "md5")]
)
@pytest.mark.usefixtures("goes_on")
def test_a_piece_with_another_checksum(uploader: Uploader, algorithm: str) -> None:
    digest = encoded(hashlib.new(algorithm, DATA[100:], usedforsecurity=False).digest())
    damaged = DATA[100:-1] + b"\0"
    response = uploader.add(100, damaged, **{"Upload-Checksum": f"{algorithm} {digest}"})
    assert_problem(response, 460, "checksum-mismatch")
    assert uploader.offset() == 100


@pytest.mark.parametrize("_row", [pytest.param(None, id="B27")])
@pytest.mark.usefixtures("goes_on")
def test_a_file_with_another_digest(uploader: Uploader, _row: None) -> None:
    announced = encoded(hashlib.sha256(DATA).hexdigest().encode())
    path = uploader.begin({"Upload-Metadata": f"sha256 {announced}"}).headers["location"]
    for _ in range(2):
        assert_problem(uploader.add(0, DATA[::-1], path), 422, "digest-mismatch")
    view = uploader.http.get(path).json()
    assert (view["state"], view["sha256"]) == ("corrupt", None)
    assert_problem(uploader.http.post("/v1/datasets", json={"upload_id": view["id"]}), 404, "not-found")
    again = uploader.begin({"Upload-Metadata": f"sha256 {announced}"}).headers["location"]
    assert uploader.add(0, DATA, again).status_code == 204
    assert uploader.stored(again) == DATA


@pytest.mark.usefixtures("goes_on")
@pytest.mark.parametrize(
    ("announced", "code"),
    [
        pytest.param("sha512 AAAA", "unknown-checksum", id="B28"),
        pytest.param("sha1", "invalid-upload", id="B28-none"),
        pytest.param("sha1 !!!", "invalid-upload", id="B28-no-base64"),
    ],
)
def test_a_checksum_that_cannot_be_checked(uploader: Uploader, announced: str, code: str) -> None:
    response = assert_problem(uploader.add(100, DATA[100:], **{"Upload-Checksum": announced}), 400, code)
    assert response.headers["tus-checksum-algorithm"] == "sha1,sha256,md5,crc32"


@pytest.mark.parametrize("_row", [pytest.param(None, id="B29")])
def test_a_line_that_breaks(serving: Serving, settings: Settings, _row: None) -> None:
    """Killed servers are in tests/service/uploads/test_killed_server.py."""
    http, data = serving(settings), DATA * 4096
    path = http.post("/v1/uploads", headers={**TUS, LENGTH: str(len(data))}).headers["location"]
    usual = {"Host": "localhost", "Authorization": http.headers["authorization"], **PIECE}
    lines = [
        f"{name}: {value}"
        for name, value in {**usual, "Upload-Offset": 0, "Content-Length": len(data)}.items()
    ]
    head = "\r\n".join([f"PATCH {path} HTTP/1.1", *lines, "", ""])
    staged = settings.data_dir / "store" / keys.incoming(path.rpartition("/")[2])
    with live(http.app) as address:  # type: ignore[arg-type]
        with socket.create_connection(address) as connection:
            connection.sendall(head.encode() + data[: 3 << 20])
            wait_until(lambda: staged.exists() and staged.stat().st_size >= 1 << 20)
        wait_until(lambda: http.head(path, headers=TUS).headers["upload-offset"] != "0")
        offset = int(http.head(path, headers=TUS).headers["upload-offset"])
        assert 1 << 20 <= offset <= 3 << 20
        headers = {**PIECE, "Upload-Offset": str(offset)}
        wait_until(lambda: http.patch(path, content=data[offset:], headers=headers).status_code == 204)
        assert http.get(path).json()["sha256"] == hashlib.sha256(data).hexdigest()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("_row", [pytest.param(None, id="B30")])
@pytest.mark.usefixtures("goes_on")
def test_two_clients_at_once(uploader: Uploader, _row: None) -> None:
    upload_id, uploads = uploader.begun.rpartition("/")[2], uploader.services.uploads
    with uploads.staging.open(upload_id):  # as the request of the first client does
        held = uploads.incoming.lock(upload_id, "first", UploadState.RECEIVING)
        response = assert_problem(uploader.add(100, DATA[100:]), 423, "upload-locked")
        assert int(response.headers["retry-after"]) > 0
    assert held.lock_owner == "first"  # and it died without a word: `goes_on` is not kept out


def complete(uploader: Uploader) -> None:
    assert uploader.add(100, DATA[100:]).status_code == 204


def terminate(uploader: Uploader) -> None:
    uploader.http.delete(uploader.begun, headers=TUS)


def expire(uploader: Uploader) -> None:
    with uploader.services.database.writing() as connection:
        row = incoming_uploads.c.id == uploader.begun.rpartition("/")[2]
        connection.execute(update(incoming_uploads).where(row).values(expires_at=1.0))


@pytest.mark.parametrize(
    ("end", "status", "code"),
    [
        pytest.param(complete, 403, "upload-complete", id="B31-complete"),
        pytest.param(terminate, 410, "upload-gone", id="B31-terminated"),
        pytest.param(expire, 410, "upload-gone", id="B31-expired"),
    ],
)
def test_a_piece_after_the_end(
    uploader: Uploader, end: Callable[[Uploader], None], status: int, code: str
) -> None:
    end(uploader)
    for start in (0, 100, len(DATA)):
        assert_problem(uploader.add(start, DATA[start:] + b"more"), status, code)
    if end is complete:
        assert uploader.stored() == DATA


@pytest.mark.parametrize("_row", [pytest.param(None, id="B32")])
@pytest.mark.usefixtures("goes_on")
def test_the_same_file_twice_at_once(uploader: Uploader, _row: None) -> None:
    """Neither a tenant nor another one can tell from the answers that the bytes are here already."""
    stranger = bearer(new_key(uploader.http, "stranger"))
    paths = [uploader.begin(headers).headers["location"] for headers in ({}, {}, stranger)]
    for path, headers in zip(paths, ({}, {}, stranger), strict=True):
        response = uploader.add(0, DATA, path, **headers)
        assert (response.status_code, response.headers["upload-offset"]) == (204, str(len(DATA)))
        assert uploader.stored(path) == DATA
    assert len(set(paths)) == 3
    hidden = uploader.http.get(paths[2])
    assert hidden.status_code == uploader.http.get("/v1/uploads/up-none").status_code == 404


@pytest.mark.parametrize("_row", [pytest.param(None, id="B33")])
@pytest.mark.usefixtures("goes_on")
def test_a_dataset_of_an_upload_of_which_bytes_are_missing(uploader: Uploader, _row: None) -> None:
    before = uploader.rows()
    wish = {"upload_id": uploader.begun.rpartition("/")[2]}
    response = assert_problem(uploader.http.post("/v1/datasets", json=wish), 409, "upload-incomplete")
    assert "100 of 1,280 bytes" in response.json()["detail"]
    assert uploader.rows() == before
