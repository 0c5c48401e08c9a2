"""Imports from buckets: only what the operator registered, whatever the address; and no object's name or
content is trusted.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.datasets.formats import Options
from service.errors import DatasetRejected, InvalidRequest, UriNotAllowed
from service.jobs.job import JobKind
from service.settings import Settings
from service.storage import keys
from service.storage.buckets import Bucket
from service.storage.import_uris import BucketFolder, check_registrations, key_fault, registered_folder
from service.storage.object_store import open_store
from tests.servers.ceph import CephServer, s3_settings
from tests.serving import Serving
from tests.workers.conftest import Done, Workshop, _same_decoders, picture

__all__ = ["_same_decoders"]

FOREIGN = [
    pytest.param("s3://", id="B116-no-bucket"),
    pytest.param("s3://other/data/", id="B116-other-bucket"),
    pytest.param("s3://registered/", id="B116-above-the-prefix"),
    pytest.param("s3://registered/data", id="B116-half-a-name"),
    pytest.param("s3://registered/database/", id="B116-longer-name"),
    pytest.param("s3://registered/data/day/../../secret/", id="B116-climbing"),
    pytest.param("s3://registered/data/day/%2e%2e/%2e%2e/secret/", id="B116-encoded"),
    pytest.param("s3://registered/data/day/%252e%252e/", id="B116-encoded-twice"),
    pytest.param("s3://registered/data/day//", id="B116-empty-part"),
    pytest.param("s3://registered/data/day/./", id="B116-dot"),
    pytest.param("s3://registered/data/day/\x00", id="B116-nul"),
    pytest.param("s3://registered/data/day/\n", id="B116-line-end"),
    pytest.param("s3://registered/data/day/*", id="B116-glob"),
    pytest.param("s3://registered/data/day/?versionId=1", id="B116-query"),
    pytest.param("s3://registered/data/day/#x", id="B116-fragment"),
    pytest.param("s3://registered\\data/day/", id="B116-backslash"),
    pytest.param("s3://registered@other/data/day/", id="B116-user"),
    pytest.param("s3://registered:443/data/day/", id="B116-port"),
    pytest.param("S3://registered/data/day/", id="B116-capital-scheme"),
    pytest.param("s3://Registered/data/day/", id="B116-capital-bucket"),
    pytest.param("s3a://registered/data/day/", id="B116-s3a"),
    pytest.param("s3:registered/data/day/", id="B116-no-slashes"),
    pytest.param(" s3://registered/data/day/", id="B116-space"),
    pytest.param("registered/data/day/", id="B116-no-scheme"),
    pytest.param("", id="B116-empty"),
    pytest.param("file:///etc/passwd", id="B116-file"),
    pytest.param("/etc/passwd", id="B116-path"),
    pytest.param("local://etc", id="B116-local"),
    pytest.param("http://169.254.169.254/latest/meta-data/", id="B116-metadata"),
    pytest.param("http://[::ffff:169.254.169.254]/", id="B116-metadata-ipv6"),
    pytest.param("http://2852039166/", id="B116-metadata-decimal"),
    pytest.param("https://s3.amazonaws.com/registered/data/day/", id="B116-https"),
    pytest.param("gs://registered/data/day/", id="B116-gs"),
    pytest.param("az://registered/data/day/", id="B116-az"),
    pytest.param("ftp://registered/data/day/", id="B116-ftp"),
    pytest.param("memory://data", id="B116-memory"),
    pytest.param("zip::s3://registered/data/day/a.zip", id="B116-zip-chain"),
    pytest.param("zip://a.jpg::s3://registered/data/day/a.zip", id="B116-member-chain"),
    pytest.param("simplecache::s3://registered/data/day/", id="B116-cache-chain"),
    pytest.param("filecache::file:///etc/passwd", id="B116-file-chain"),
    pytest.param("s3://registered/data/day/::file:///etc/passwd", id="B116-chain-behind"),
    pytest.param("reference://", id="B116-reference"),
    pytest.param("s3://acme/data/", id="B116-another-tenants"),
]
BUCKETS = ("s3://registered/data/day", "somebody-else=s3://acme/data")


@pytest.mark.parametrize("uri", FOREIGN)
def test_nothing_is_imported_from_elsewhere(uri: str) -> None:
    with pytest.raises(UriNotAllowed) as refusal:
        registered_folder(uri, BUCKETS, "local")
    assert "somebody-else" not in str(refusal.value)
    assert len(str(refusal.value)) < 400


@pytest.fixture
def client(serving: Serving, settings: Settings) -> TestClient:
    return serving(settings.model_copy(update={"import_buckets": BUCKETS, "requests_per_second": 0}))


@pytest.mark.parametrize("uris", [pytest.param(FOREIGN, id="B116")])
def test_whoever_asks_for_it_is_told_so_and_nothing_is_made(client: TestClient, uris: Any) -> None:
    for uri in [each.values[0] for each in uris]:
        answer = client.post("/v1/datasets", json={"source_uri": uri})
        # A NUL is refused before anybody asks what it stands in.
        code = "validation-error" if "\0" in uri else "uri-not-allowed"
        assert (answer.status_code, answer.json()["code"]) == (422, code), uri
        assert answer.headers["content-type"] == "application/problem+json"
    assert_nothing_was_made(client)


def test_what_is_registered_is_imported(client: TestClient) -> None:
    for uri in ("s3://registered/data/day", "s3://registered/data/day/", "s3://registered/data/day/2026/may"):
        answer = client.post("/v1/datasets", json={"source_uri": uri})
        assert answer.status_code == 202, answer.text
        dataset = answer.json()["dataset"]
        assert dataset["source"]["uri"] == f"{uri.rstrip('/')}/"
        assert dataset["name"] == uri.rstrip("/").rpartition("/")[2]


def test_a_dataset_comes_from_one_place(client: TestClient) -> None:
    for body in ({}, {"upload_id": "up-1", "source_uri": "s3://registered/data/day"}):
        answer = client.post("/v1/datasets", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation-error")
    assert_nothing_was_made(client)


def assert_nothing_was_made(client: TestClient) -> None:
    for what in ("datasets", "jobs"):
        assert client.get(f"/v1/{what}").json()["items"] == []


class Importer:
    """A bucket with a YOLO dataset in it, and the ingest that reads it."""

    def __init__(self, server: CephServer, settings: Settings) -> None:
        self.client = server.client()
        self.bucket = server.new_bucket()
        self.workshop = Workshop(open_store(settings), settings)
        for name in ("a", "b", "c"):
            self.put(f"day/images/{name}.jpg", picture(seed=ord(name)))
            self.put(f"day/labels/{name}.txt", b"0 0.5 0.5 0.25 0.25\n")
        self.put("day/data.yaml", b"names: [car]\n")
        self.put("secret/images/z.jpg", picture())

    def put(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content)

    def spec(self, prefix: str = "day/") -> dict[str, Any]:
        uri = f"s3://{self.bucket}/{prefix}"
        return {
            "upload_id": None,
            "options": Options().to_json(),
            "exclude_suspects": False,
            "strict": False,
            "licence": "",
            "source": {"uri": uri, "filename": uri},
        }

    def run(self, **options: Any) -> Done:
        return self.workshop.run(JobKind.INGEST, self.spec(), **options)


@pytest.fixture
def importer(
    s3_server: CephServer, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Importer:
    monkeypatch.setattr("workers.stages.ingest.looks_like_night", lambda _: 0.5)
    return Importer(s3_server, s3_settings(s3_server, tmp_path, device="cpu"))


def found(report: Any, code: str) -> list[dict[str, Any]]:
    return [each for each in report["findings"] if each["code"] == code]


def names(done: Done) -> list[str]:
    return sorted(entry.frame.name for entry in done.entries)


@pytest.mark.slow
@pytest.mark.servers
def test_a_folder_of_a_bucket_becomes_the_dataset_that_its_zip_would(importer: Importer) -> None:
    done = importer.run(frames_per_shard=2)
    listed = importer.client.list_objects_v2(Bucket=importer.bucket, Prefix="day/")["Contents"]
    members = {
        each["Key"].removeprefix("day/"): importer.client.get_object(Bucket=importer.bucket, Key=each["Key"])[
            "Body"
        ].read()
        for each in listed
    }
    uploaded = importer.workshop.ingest(members)
    differ = {"card.json"}  # it says where the frames come from
    assert {name: data for name, data in done.contents.items() if name not in differ} == {
        name: data for name, data in uploaded.contents.items() if name not in differ
    }
    assert done.json("card.json")["source"]["uri"] == f"s3://{importer.bucket}/day/"


HOSTILE = [
    pytest.param("../secret/images/z.jpg", id="B117-climbing"),
    pytest.param("images/../../secret/images/z.jpg", id="B117-climbing-inside"),
    pytest.param("/images/abs.jpg", id="B117-absolute"),
    pytest.param("images//twice.jpg", id="B117-empty-part"),
    pytest.param("images/./dot.jpg", id="B117-dot"),
    pytest.param("images/new\nline.jpg", id="B117-line-end"),
    pytest.param("images/\x1b[31mred.jpg", id="B117-escape"),
    pytest.param("images/back\\slash.jpg", id="B117-backslash"),
    pytest.param("images/\u202egpj.exe.jpg", id="B117-right-to-left"),
    pytest.param(f"images/{'k' * 1009}.jpg", id="B117-1024-bytes"),
    pytest.param("images/nul\0.jpg", id="B117-nul"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_an_object_with_a_hostile_name_is_never_asked_for(name: str) -> None:
    assert key_fault(name) is not None


@pytest.mark.servers
@pytest.mark.parametrize("hostile", [pytest.param(HOSTILE, id="B117")])
def test_objects_with_hostile_names_are_left_out_and_named(importer: Importer, hostile: Any) -> None:
    stored = [
        name for (name,) in (each.values for each in hostile) if "\0" not in name
    ]  # no server takes a NUL
    for name in stored:
        importer.put(f"day/{name}", picture())
    done = importer.run()
    findings = found(done.report, "illegal-name")
    assert {each["severity"] for each in findings} == {"error"}
    assert sorted(each["path"][-100:] for each in findings) == sorted(name[-100:] for name in stored)
    assert names(done) == ["a.jpg", "b.jpg", "c.jpg"]


@pytest.mark.servers
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"images/a.jpg": picture(seed=9), "images/b.jpg": None, "labels/c.txt": b"0 0.5 0.5 0.1 0.1\n"},
            id="B118",
        )
    ],
)
def test_objects_that_change_while_they_are_imported_are_left_out_and_named(
    importer: Importer, monkeypatch: pytest.MonkeyPatch, changes: dict[str, bytes | None]
) -> None:
    importer.put("day/images/d.jpg", picture(seed=4))
    do = importer.workshop.do

    def change_after_planning(task: Any) -> Any:
        outcome = do(task)
        for name, content in changes.items() if outcome.parts else ():
            if content is None:
                importer.client.delete_object(Bucket=importer.bucket, Key=f"day/{name}")
            else:
                importer.put(f"day/{name}", content)
        return outcome

    monkeypatch.setattr(importer.workshop, "do", change_after_planning)
    done = importer.run()
    findings = found(done.report, "source-changed")
    assert {each["severity"] for each in findings} == {"error"}
    assert sorted(each["path"] for each in findings) == ["images/a.jpg", "images/b.jpg", "images/c.jpg"]
    assert names(done) == ["d.jpg"]


@pytest.mark.servers
def test_what_comes_after_the_listing_is_not_there(importer: Importer) -> None:
    plan = importer.workshop.first_task(JobKind.INGEST, importer.spec())
    first = importer.workshop.do(plan)
    importer.put("day/images/d.jpg", picture())
    importer.put("day/data.yaml", b"names: [bus]\n")
    assert importer.workshop.store.read(keys.listing(plan.plan_key)).count(b"\n") == 7
    with pytest.raises(DatasetRejected) as refusal:  # a label file for all is no item: the dataset is refused
        importer.workshop.do(plan)
    assert refusal.value.code == "source-changed"
    assert first.facts["frames_total"] == 3


@pytest.mark.servers
def test_a_bucket_that_cannot_be_read_is_named(importer: Importer) -> None:
    spec = {**importer.spec(), "source": {"uri": "s3://no-such-bucket/day/", "filename": "x"}}
    with pytest.raises(DatasetRejected) as refusal:
        importer.workshop.run(JobKind.INGEST, spec)
    assert refusal.value.code == "source-unreadable"
    assert "s3://no-such-bucket/day/" in refusal.value.message


@pytest.mark.servers
def test_a_folder_that_is_larger_than_an_upload_may_be_is_refused(importer: Importer) -> None:
    importer.workshop.bench = type(importer.workshop.bench)(
        importer.workshop.store,
        importer.workshop.settings.model_copy(update={"max_upload_bytes": 1000}),
        importer.workshop.reporter,
    )
    with pytest.raises(DatasetRejected) as refusal:
        importer.run()
    assert refusal.value.code == "source-too-large"


@pytest.mark.servers
def test_a_body_that_breaks_off_is_taken_up_where_it_did(
    importer: Importer, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes(range(256)) * 4096
    importer.put("day/large.bin", content)
    bucket = Bucket(importer.workshop.settings, BucketFolder.parse(f"s3://{importer.bucket}/day/"))
    [pinned] = [each for each in bucket.objects() if each.name == "large.bin"]
    get, starts = bucket.get, []

    def get_half(wanted: Any, start_byte: int) -> Any:
        starts.append(start_byte)
        body = get(wanted, start_byte)
        read, left = body.read, [300_000]

        def read_some(size: int) -> bytes:
            data = read(min(size, left[0])) if left[0] else b""
            left[0] -= len(data)
            return bytes(data)

        body.read = read_some
        return body

    monkeypatch.setattr(bucket, "get", get_half)
    with bucket.open(pinned) as stream:
        assert stream.read() == content
    assert starts == [0, 300_000, 600_000, 900_000]


def test_a_bucket_that_is_registered_with_a_slip_is_told_of_at_the_start() -> None:
    check_registrations(BUCKETS)
    for slip in ("registered/data", "s3://Registered", "acme=https://registered"):
        with pytest.raises(InvalidRequest, match="NIGHTSHIFT_IMPORT_BUCKETS"):
            check_registrations([slip])


def test_the_list_of_buckets_keeps_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHIFT_IMPORT_BUCKETS", "s3://a-bucket/Day, acme=s3://b-bucket")
    assert Settings().import_buckets == ("s3://a-bucket/Day", "acme=s3://b-bucket")
    monkeypatch.setenv("NIGHTSHIFT_IMPORT_BUCKETS", json.dumps(["s3://a-bucket/with space"]))
    assert Settings().import_buckets == ("s3://a-bucket/with space",)
