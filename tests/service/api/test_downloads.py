"""Parts of what is stored (`Range`), its size (`HEAD`), and what is only known while it is made."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.api_server import stock_services
from service.api.byte_ranges import Asked, parse_range
from service.api.downloads import BLOCK_BYTES, stored
from service.api.refusals import RangeNotSatisfiable
from service.storage.object_store import ObjectStore
from tests.serving import Serving

IMAGE = b"no real image"


@pytest.fixture
def client(serving: Serving) -> TestClient:
    return serving()


@pytest.fixture
def dataset(client: TestClient) -> str:
    job = stock_services(client.app.state.services)  # type: ignore[attr-defined]
    return f"/v1/datasets/{job.dataset_id}"


@given(size=st.integers(1, 50), start=st.integers(0, 60), length=st.integers(1, 60))
def test_a_range_is_what_a_slice_is(size: int, start: int, length: int) -> None:
    whole, last = bytes(range(size)), start + length - 1
    for header in (f"bytes={start}-{last}", f"bytes={start}-"):
        if start >= size:
            with pytest.raises(RangeNotSatisfiable):
                parse_range(header, size)
            continue
        part = parse_range(header, size)
        assert part is not None
        assert part.stop_byte <= size
        stop = start + length if header.endswith(str(last)) else None
        assert whole[part.start_byte : part.stop_byte] == whole[start:stop]
    part = parse_range(f"bytes=-{length}", size)
    assert part is not None
    assert whole[part.start_byte : part.stop_byte] == whole[-length:]


NOT_ONE_RANGE = {
    "empty": "bytes=-",
    "backwards": "bytes=3-2",
    "letters": "bytes=a-b",
    "two": "bytes=1-2,4-5",
    "ten thousand": "bytes=" + ",".join(["0-"] * 10_000),
    "another unit": "items=0-1",
    "no sign": "bytes 0-1",
    "nothing": "",
    "too long": "bytes=0-" + "9" * 5000,
}


@pytest.mark.parametrize("header", NOT_ONE_RANGE.values(), ids=NOT_ONE_RANGE)
def test_what_is_not_one_range_of_bytes_gets_the_whole(header: str) -> None:
    assert parse_range(header, 10) is None


def test_the_last_no_bytes_are_none() -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range("bytes=-0", 10)


@given(st.text(st.characters(codec="latin-1"), max_size=40), st.integers(0, 100))
def test_no_header_asks_for_more_than_there_is(header: str, size: int) -> None:
    for text in (header, f"bytes={header}"):
        try:
            part = parse_range(text, size)
        except RangeNotSatisfiable:
            continue
        assert part is None or 0 <= part.start_byte < part.stop_byte <= size


@pytest.mark.parametrize("path", ["frames/train/f1/image", "files/manifest.jsonl"])
def test_a_part_comes_as_a_part(client: TestClient, dataset: str, path: str) -> None:
    whole = client.get(f"{dataset}/{path}")
    part = client.get(f"{dataset}/{path}", headers={"Range": "bytes=3-6"})
    assert (whole.status_code, whole.headers["Accept-Ranges"]) == (200, "bytes")
    assert "Content-Range" not in whole.headers
    assert (part.status_code, part.content) == (206, whole.content[3:7])
    assert part.headers["Content-Range"] == f"bytes 3-6/{len(whole.content)}"
    assert part.headers["Content-Length"] == "4"
    for name in ("ETag", "Content-Type", "X-Content-Type-Options", "Content-Security-Policy"):
        assert part.headers[name] == whole.headers[name]


def test_a_range_behind_the_end_is_told_where_that_is(client: TestClient, dataset: str) -> None:
    answer = client.get(f"{dataset}/frames/train/f1/image", headers={"Range": f"bytes={len(IMAGE)}-"})
    assert (answer.status_code, answer.json()["code"]) == (416, "range-not-satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{len(IMAGE)}"


def test_a_part_of_something_else_than_was_seen_before_is_the_whole(client: TestClient, dataset: str) -> None:
    path, wanted = f"{dataset}/frames/train/f1/image", {"Range": "bytes=3-6"}
    etag = client.get(path).headers["ETag"]
    assert client.get(path, headers={**wanted, "If-Range": etag}).status_code == 206
    for other in ('"another"', f"W/{etag}", "Sat, 21 Nov 2026 00:00:00 GMT"):
        answer = client.get(path, headers={**wanted, "If-Range": other})
        assert (answer.status_code, answer.content) == (200, IMAGE)
    assert client.get(f"{dataset}/frames/train/f0/image").headers["ETag"] != etag


@pytest.mark.parametrize("path", ["frames/train/f1/image", "files/card.json", "archive"])
def test_head_says_what_get_would_and_sends_nothing(client: TestClient, dataset: str, path: str) -> None:
    got = client.get(f"{dataset}/{path}")
    asked = client.head(f"{dataset}/{path}", headers={"Range": "bytes=0-1"})
    assert (asked.status_code, asked.content) == (200, b"")
    told = ("Content-Length", "Content-Type", "ETag", "Accept-Ranges", "Content-Disposition")
    assert {name: asked.headers.get(name) for name in told} == {name: got.headers.get(name) for name in told}
    assert client.head(f"{dataset}/{path}x").status_code in (404, 422)


def test_what_is_made_while_it_is_sent_has_no_parts(client: TestClient, dataset: str) -> None:
    answer = client.get(f"{dataset}/archive", headers={"Range": "bytes=0-1"})
    assert (answer.status_code, answer.headers["Accept-Ranges"]) == (200, "none")
    assert len(answer.content) > 2


def test_a_large_part_comes_block_by_block(store: ObjectStore) -> None:
    data = bytes(range(256)) * (3 * BLOCK_BYTES // 256 + 1)
    store.write("large", data)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        part = Asked(range_wanted=f"bytes=7-{2 * BLOCK_BYTES + 90}")
        await stored(store, "large", part, "application/octet-stream")(scope, receive, send)

    got = TestClient(answer).get("/")
    assert got.status_code == 206
    assert got.content == data[7 : 2 * BLOCK_BYTES + 91]
