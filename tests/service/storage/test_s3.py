"""What only an S3 store can do or do wrong, on a real one."""

import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import insert

from service.jobs.database import Database
from service.jobs.tables import incoming_uploads
from service.settings import Settings
from service.storage.object_store import ObjectStore, open_store
from service.storage.outages import outage
from service.storage.s3 import BLOCK_BYTES
from service.uploads.orphans import abort_orphans
from tests.servers.ceph import CephServer, s3_settings

pytestmark = pytest.mark.servers


@pytest.fixture
def s3(s3_server: CephServer, tmp_path: Path) -> Settings:
    return s3_settings(s3_server, tmp_path, s3_attempts=2)


@pytest.fixture
def store(s3: Settings) -> ObjectStore:
    return open_store(s3)


def begun(store: ObjectStore) -> list[str]:
    assert store.multipart is not None
    return [each.key for each in store.multipart.begun()]


def fetch(url: str) -> tuple[bytes, str, str]:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - a link to our own server
        return answer.read(), answer.headers["Content-Type"], answer.headers["Content-Disposition"]


def test_a_writer_that_raises_leaves_no_parts(store: ObjectStore) -> None:
    def write_half() -> None:
        with store.writing("half") as file:
            file.write(b"x" * (BLOCK_BYTES + 1))
            assert begun(store) == ["half"]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert begun(store) == []


def test_a_completion_whose_answer_was_lost_is_no_failure(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with store.writing("twice") as file:
        file.write(b"x" * (BLOCK_BYTES + 1))
        complete: Callable[[], None] = file.commit  # type: ignore[attr-defined]

        def complete_unheard() -> None:
            complete()
            raise FileNotFoundError("NoSuchUpload, says the second try")

        monkeypatch.setattr(file, "commit", complete_unheard)
    assert store.size_bytes("twice") == BLOCK_BYTES + 1


def test_parts_that_nobody_waits_for_are_removed(
    s3_server: CephServer, store: ObjectStore, s3: Settings, database: Database
) -> None:
    assert store.multipart is not None
    bucket = s3.store.split("/")[2]
    s3_server.client().create_multipart_upload(Bucket=bucket, Key="of/somebody/else")
    store.multipart.begin("uploads/up-killed")
    name = store.multipart.begin("uploads/up-open")
    row = {
        "id": "up-open", "tenant": "local", "filename": "a.zip", "metadata": "", "state": "receiving",
        "size_bytes": 1, "offset_bytes": 0, "staging": {"name": name}, "created_at": 0.0, "expires_at": 1e12,
    }  # fmt: skip
    with database.writing() as connection:
        connection.execute(insert(incoming_uploads).values(**row))
    assert abort_orphans(database, store) == 0
    assert abort_orphans(database, store, older_than_seconds=-60) == 1
    assert begun(store) == ["uploads/up-open"]
    left = s3_server.client().list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert {each["Key"] for each in left} == {"of/somebody/else", "night/shift/uploads/up-open"}


def test_many_begun_parts_are_listed_page_by_page(store: ObjectStore) -> None:
    assert store.multipart is not None
    keys = [f"k/{number}" for number in range(5)]
    for key in keys:
        store.multipart.begin(key)
    assert [each.key for each in store.multipart.begun(at_once=2)] == keys


def test_a_store_that_is_away_is_an_outage_and_no_fault(s3_server: CephServer, store: ObjectStore) -> None:
    store.write("key", b"x")
    s3_server.stop()
    try:
        for call in (
            lambda: store.read("key"),
            lambda: store.write("key", b"y"),
            lambda: store.exists("key"),
        ):
            with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is the client's affair
                call()
            assert "away" in str(outage(caught.value))
    finally:
        s3_server.start()
    assert store.read("key") == b"x"


@pytest.mark.slow
def test_a_store_that_comes_back_meanwhile_was_never_away(s3_server: CephServer, s3: Settings) -> None:
    patient = open_store(s3, attempts=8)
    patient.write("key", b"x")
    s3_server.stop()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(patient.read, "key")
        s3_server.start()
        assert asked.result() == b"x"


def test_a_link_serves_one_object_with_the_type_that_we_say(s3_server: CephServer, tmp_path: Path) -> None:
    settings = s3_settings(s3_server, tmp_path, presign_downloads=True)
    store = open_store(settings)
    store.write("a b.jpg", b"<html>")
    link = store.presigned("a b.jpg", "image/jpeg", 'inline; filename="a.jpg"')
    assert link is not None
    assert fetch(link) == (b"<html>", "image/jpeg", 'inline; filename="a.jpg"')
    for changed in (link.replace("a%20b", "other"), link.replace("image%2Fjpeg", "text%2Fhtml")):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            fetch(changed)


def test_a_link_names_the_address_that_clients_see(s3_server: CephServer, tmp_path: Path) -> None:
    outside = s3_server.endpoint_url.replace("127.0.0.1", "localhost")
    settings = s3_settings(
        s3_server, tmp_path, presign_downloads=True, presign_endpoint_url=outside
    ).model_copy(update={"s3_endpoint_url": "http://127.0.0.1:9"})
    link = open_store(settings).presigned("key", "text/plain", "attachment")
    assert link is not None
    assert link.startswith(f"{outside}/")


def test_without_the_operators_wish_there_are_no_links(store: ObjectStore) -> None:
    assert store.presigned("key", "text/plain", "attachment") is None


def test_credentials_are_found_where_aws_keeps_them(
    s3_server: CephServer, s3: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret)
    store = open_store(s3.model_copy(update={"s3_key": "", "presign_downloads": True}))
    store.write("key", b"x")
    link = store.presigned("key", "text/plain", "attachment")
    assert link is not None
    assert fetch(link)[0] == b"x"


def test_a_wrong_secret_is_no_outage(s3: Settings) -> None:
    store = open_store(s3.model_copy(update={"s3_secret": type(s3.s3_secret)("wrong")}))
    with pytest.raises(PermissionError) as caught:
        store.write("key", b"x")
    assert outage(caught.value) is None
