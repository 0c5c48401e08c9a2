"""The client sends what the server does not have, whatever breaks in between."""

import hashlib
import io
import os
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.client.client import ApiError, Client, ServerUnreachable
from service.client.folder import UploadSource
from service.client.remembered import RememberedUpload
from service.client.resumable import SourceChanged, SourceTape

DATA = random.Random(0).randbytes(200_000)
Fault = Callable[["Server", httpx.Request], httpx.Response | None]


class Server:
    """Holds uploads as tus says; of `faults` one goes wrong at each PATCH, as long as there are any."""

    def __init__(self) -> None:
        self.uploads: dict[str, bytearray] = {}
        self.sizes: dict[str, int] = {}
        self.faults: list[Fault] = []
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.method)
        path = request.url.path
        if request.method == "POST":
            path = f"/v1/uploads/up-{len(self.uploads)}"
            self.uploads[path], self.sizes[path] = bytearray(), int(request.headers["Upload-Length"])
            return httpx.Response(201, headers={"Location": path})
        if path not in self.uploads:
            return httpx.Response(404, json={"code": "not-found", "detail": "There is none."})
        held = self.uploads[path]
        if request.method == "PATCH":
            return self._patch(request, held)
        if request.method == "DELETE":
            del self.uploads[path]
            return httpx.Response(204)
        if request.method == "HEAD":
            return httpx.Response(200, headers={"Upload-Offset": str(len(held))})
        return httpx.Response(200, json={"sha256": hashlib.sha256(held).hexdigest()})

    def _patch(self, request: httpx.Request, held: bytearray) -> httpx.Response:
        if self.faults:
            answer = self.faults.pop(0)(self, request)
            if answer is not None:
                return answer
        if int(request.headers["Upload-Offset"]) != len(held):
            return httpx.Response(409, headers={"Upload-Offset": str(len(held))})
        held += request.read()
        return httpx.Response(204, headers={"Upload-Offset": str(len(held))})


def break_after(count: int) -> Fault:
    """So much arrives and is kept, then the line breaks."""

    def fault(server: Server, request: httpx.Request) -> httpx.Response:
        held = server.uploads[request.url.path]
        if int(request.headers["Upload-Offset"]) == len(held):
            held += request.read()[:count]
        raise httpx.ReadError("reset", request=request)

    return fault


def lose_the_answer(server: Server, request: httpx.Request) -> httpx.Response:
    server.uploads[request.url.path] += request.read()
    raise httpx.ReadError("reset", request=request)


def answer(status: int, **headers: str) -> Fault:
    return lambda _server, _request: httpx.Response(
        status, headers=headers, json={"code": "x", "detail": "No."}
    )


def go_back(server: Server, request: httpx.Request) -> httpx.Response:
    """A server that died: less is durable than was acknowledged."""
    del server.uploads[request.url.path][10_000:]
    raise httpx.RemoteProtocolError("died", request=request)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Client]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("service.client.resumable.PIECE_BYTES", 30_000)
    monkeypatch.setattr("service.client.dataset_calls.PAUSE", lambda _seconds: None)
    with Client("http://server", httpx.MockTransport(server), key="a key") as client:
        yield client


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "day.zip"
    path.write_bytes(DATA)
    return path


@pytest.mark.parametrize(
    "faults",
    [
        [],
        [break_after(0), break_after(7), break_after(29_999)],
        [lose_the_answer, lose_the_answer],
        [answer(423, **{"Retry-After": "1"}), answer(503), answer(500), answer(429)],
        [break_after(20_000), go_back, go_back],
    ],
)
def test_everything_arrives_once_and_the_progress_ends_at_the_end(
    server: Server, client: Client, file: Path, faults: list[Fault]
) -> None:
    server.faults = list(faults)
    steps: list[int] = []
    upload_id = client.upload(file, steps.append)
    assert server.uploads[f"/v1/uploads/{upload_id}"] == DATA
    assert sum(steps) == len(DATA)
    assert server.faults == []


def test_another_process_goes_on_where_one_was_killed(server: Server, client: Client, file: Path) -> None:
    def kill(_server: Server, _request: httpx.Request) -> httpx.Response:
        raise KeyboardInterrupt

    server.faults = [break_after(12_345), kill]
    with pytest.raises(KeyboardInterrupt):
        client.upload(file)
    steps: list[int] = []
    client.upload(file, steps.append)
    assert list(server.uploads.values()) == [DATA]
    assert (steps[0], sum(steps)) == (12_345, len(DATA))
    client.upload(file)
    assert len(server.uploads) == 2, "one that is complete is not gone on with"


def test_an_upload_that_the_server_has_forgotten_is_begun_anew(
    server: Server, client: Client, file: Path
) -> None:
    RememberedUpload("http://server", UploadSource(file)).remember("/v1/uploads/up-gone")
    assert client.upload(file) == "up-0"
    assert server.asked[:2] == ["HEAD", "POST"]


def test_another_file_is_another_upload(server: Server, client: Client, file: Path) -> None:
    known = RememberedUpload("http://server", UploadSource(file))
    known.remember("/v1/uploads/up-9")
    assert RememberedUpload("http://server", UploadSource(file)).path == "/v1/uploads/up-9"
    assert RememberedUpload("http://other", UploadSource(file)).path is None
    file.write_bytes(DATA + b"more")
    assert RememberedUpload("http://server", UploadSource(file)).path is None


def test_a_file_that_changes_under_way_is_not_taken_for_sent(
    server: Server, client: Client, file: Path
) -> None:
    def change(_server: Server, request: httpx.Request) -> httpx.Response:
        stat = file.stat()
        file.write_bytes(DATA[::-1])
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        raise httpx.ReadError("reset", request=request)

    server.faults = [break_after(25_000), change]
    with pytest.raises(SourceChanged):
        client.upload(file)
    assert server.uploads == {}


@pytest.mark.parametrize("status", [400, 401, 403, 410, 413, 422, 507])
def test_a_refusal_for_good_is_told_at_once(server: Server, client: Client, file: Path, status: int) -> None:
    server.faults = [answer(status)]
    with pytest.raises(ApiError):
        client.upload(file)
    assert server.asked.count("PATCH") == 1


def test_patience_has_an_end(
    server: Server, client: Client, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("service.client.resumable.time.monotonic", lambda: clock[0])

    def wait(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr("service.client.dataset_calls.PAUSE", wait)
    server.faults = [break_after(0)] * 1000
    with pytest.raises(ApiError, match="broke off"):
        client.upload(file)
    assert 180 < clock[0] < 220


def test_a_server_that_is_not_there_is_said_at_once(file: Path) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with (
        Client("http://nowhere", httpx.MockTransport(refuse), key="a key") as client,
        pytest.raises(ServerUnreachable),
    ):
        client.upload(file)


@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 400)), max_size=6), st.integers(1, 300))
def test_a_tape_gives_what_is_asked_and_sums_up_all(wishes: list[tuple[int, int]], block_bytes: int) -> None:
    content = DATA[:1000]

    class Source(UploadSource):
        def __init__(self) -> None:
            self.filename, self.size_bytes = "day.zip", len(content)

        def chunks(self, start: int = 0, _block_bytes: int = 0) -> Iterator[bytes]:
            yield from (content[place : place + block_bytes] for place in range(start, 1000, block_bytes))

    tape = SourceTape(Source())
    for start, wanted in wishes:
        count = min(wanted, 1000 - start)
        assert b"".join(tape.take(start, count)) == content[start : start + count]
    assert tape.sha256() == hashlib.sha256(content).hexdigest()


def test_a_folder_makes_the_same_zip_from_any_place(tmp_path: Path) -> None:
    for number, name in enumerate(("b/2.jpg", "a/1.jpg", "labels.json")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(DATA[: 1000 * (number + 1)])
    whole = b"".join(UploadSource(tmp_path).chunks())
    source = UploadSource(tmp_path)
    for start in (0, 1, 29, 30, 1500, len(whole) - 1, len(whole)):
        assert b"".join(source.chunks(start)) == whole[start:]
    assert zipfile.ZipFile(io.BytesIO(whole)).testzip() is None
    first = source.fingerprint()
    assert UploadSource(tmp_path).fingerprint() == first
    (tmp_path / "a/1.jpg").write_bytes(b"other")
    assert UploadSource(tmp_path).fingerprint() != first
