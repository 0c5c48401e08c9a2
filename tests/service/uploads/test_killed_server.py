"""A server that is killed in mid-upload, and clients that know nothing of it: what was claimed is there."""

import hashlib
import io
import random
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tusclient.client import TusClient

from benchmarks.api_server import ApiServer, running_api
from service.client.client import Client
from service.client.remembered import cache_folder

pytestmark = pytest.mark.slow
TUS = {"Tus-Resumable": "1.0.0"}
MIB = 1 << 20


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "day.zip"
    path.write_bytes(random.Random(0).randbytes(24 * MIB))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def send_and_kill(api: ApiServer, path: str, data: bytes, kill_after: int) -> None:
    """Sends all, and kills the server when so many bytes have gone out."""

    def blocks() -> object:
        for place in range(0, len(data), MIB):
            if place >= kill_after:
                api.end(subprocess.Popen.kill)
            yield data[place : place + MIB]

    headers = {**TUS, **api.headers, "Upload-Offset": "0", "Content-Length": str(len(data))}
    headers["Content-Type"] = "application/offset+octet-stream"
    with pytest.raises(httpx.TransportError):
        httpx.patch(api.url + path, content=blocks(), headers=headers)  # type: ignore[arg-type]


def test_tuspy_goes_on_after_a_kill(tmp_path: Path, file: Path) -> None:
    data = file.read_bytes()
    with running_api(tmp_path) as api:
        client = TusClient(f"{api.url}/v1/uploads", headers=api.headers)
        stream = io.BytesIO(data)  # it would not close a file that it opens
        url = client.uploader(file_stream=stream, metadata={"filename": "day.zip"}).create_url()
        path = url.removeprefix(api.url)
        send_and_kill(api, path, data, kill_after=12 * MIB)
        api.start()
        # tuspy asks for the offset, sends what it thinks it has to, and sums every piece up.
        uploader = client.uploader(file_stream=stream, url=url, chunk_size=5 * MIB, upload_checksum=True)
        uploader.upload()
        seen = httpx.get(url, headers=api.headers).json()
        assert (seen["state"], seen["sha256"]) == ("complete", sha256(file))
        assert "Traceback" not in api.log.read_text()


def test_our_client_goes_on_by_itself_while_the_server_restarts(tmp_path: Path, file: Path) -> None:
    with running_api(tmp_path) as api, Client(api.url, key=api.key) as client, ThreadPoolExecutor() as pool:
        sent = [0]
        is_under_way, is_killed = threading.Event(), threading.Event()

        def advance(count: int) -> None:
            sent[0] += count
            if sent[0] > 10 * MIB:
                is_under_way.set()
                is_killed.wait()

        upload = pool.submit(client.upload, file, advance)
        is_under_way.wait()
        api.end(subprocess.Popen.kill)
        is_killed.set()
        api.start()
        upload_id = upload.result()
        assert sent[0] == file.stat().st_size
        seen = httpx.get(f"{api.url}/v1/uploads/{upload_id}", headers=api.headers).json()
        assert seen["sha256"] == sha256(file)
        assert not list(cache_folder().glob("*.json"))
