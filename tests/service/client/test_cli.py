"""What is typed is what is sent."""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from service.catalogue import ARCHITECTURES
from service.client.cli import app
from service.client.client import Client

DONE = {
    "id": "job-1", "kind": "translation", "state": "succeeded", "dataset_id": "ds-1", "result_id": "ds-2",
    "parent_id": None, "error": None, "spec": {}, "outcome": {"generator": "mine:1"},
    "created_at": "2026-01-01T00:00:00Z", "started_at": None, "finished_at": "2026-01-01T00:00:09Z",
    "progress": {
        "frames_total": 4, "frames_done": 4, "frames_failed": 0, "images_per_second": 2.0, "seconds_left": 0.0
    },
}  # fmt: skip


class Server:
    """Takes whatever it is sent, writes it down and says that it is done."""

    def __init__(self) -> None:
        self.files: list[tuple[str, bytes]] = []  # uploads by name, whole
        self.wishes: list[Any] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        content = request.read()
        if request.url.path.startswith("/v1/uploads"):
            return self._upload(request, content)
        if request.method == "POST":
            self.wishes.append(json.loads(content))
        return httpx.Response(202, json=DONE, headers={"ETag": "1"})

    def _upload(self, request: httpx.Request, content: bytes) -> httpx.Response:
        if request.method == "POST":
            name = base64.b64decode(request.headers["Upload-Metadata"].removeprefix("filename ")).decode()
            self.files.append((name, b""))
            return httpx.Response(201, headers={"Location": f"/v1/uploads/up-{len(self.files)}"})
        name, so_far = self.files[-1]
        if request.method == "PATCH":
            self.files[-1] = (name, so_far + content)
            return httpx.Response(204, headers={"Upload-Offset": str(len(so_far + content))})
        return httpx.Response(200, json={"sha256": hashlib.sha256(so_far).hexdigest()})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    for module in ("cli", "groups", "exchange", "translation", "training"):
        monkeypatch.setattr(
            f"service.client.{module}.Client", lambda url: Client(url, httpx.MockTransport(server))
        )
    return server


@pytest.fixture
def run() -> Callable[..., Result]:
    def run(*words: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})

    return run


def test_a_ratio_goes_with_the_translation(server: Server, run: Callable[..., Result]) -> None:
    assert run("translate", "ds-1", "--generator", "my-kind", "--ratio", 0.2).exit_code == 0
    assert run("translate", "ds-1", "--generator", "my-kind").exit_code == 0
    assert [wish["ratio"] for wish in server.wishes] == [0.2, None]


def test_a_bucket_is_named_to_the_server_and_nothing_is_sent(
    server: Server, run: Callable[..., Result]
) -> None:
    run("upload", "s3://camera-fleet/2026/may/", "--name", "may", "--strict")
    wish = server.wishes[0]
    assert (wish["source_uri"], wish["name"], wish["strict"]) == ("s3://camera-fleet/2026/may/", "may", True)
    assert "upload_id" not in wish
    assert server.files == []


def test_a_worker_is_started_on_its_gpu(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr("service.client.serving.become_worker", lambda *facts: started.append(facts))
    run("worker", "--gpu", "1", "--queues", "shards, trainings", "--name", "left")
    run("worker")
    assert started == [("1", ["shards", "trainings"], "left"), ("", ["ingest", "shards"], "")]


def test_a_ratio_goes_with_a_whole_run(
    run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wishes: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "service.client.local.run", lambda *given: wishes.append(given[-1]) or {"folder": "out"}
    )
    assert run("run", tmp_path, "--generator", "k", "--out", "out", "--ratio", 3, "--json").exit_code == 0
    assert wishes[0]["ratio"] == 3.0


@pytest.mark.parametrize("ratio", ["0", "-1", "100", "nan", "bright"])
@pytest.mark.parametrize("command", [("translate", "ds-1"), ("run", ".", "--out", "out")])
def test_a_ratio_out_of_range_is_not_sent(
    server: Server, run: Callable[..., Result], command: tuple[str, ...], ratio: str
) -> None:
    refused = run(*command, "--generator", "my-kind", "--ratio", ratio)
    assert refused.exit_code == 2
    assert "--ratio" in refused.stderr
    assert not server.wishes


def test_a_checkpoint_in_parts_is_sent_in_the_order_given(
    server: Server, run: Callable[..., Result], tmp_path: Path
) -> None:
    parts = [tmp_path / name for name in ("decomposition.npz", "adjustment.npz", "restoration.npz")]
    for part in parts:
        part.write_bytes(part.name.encode())
    wish = ("--architecture", "kind", "--direction", "night2day", "--name", "kind-lol", "--ratio", 0.2)
    done = run("generators", "import", *parts, *wish)
    assert (done.exit_code, done.stdout.strip()) == (0, "mine:1")
    assert server.files == [(part.name, part.name.encode()) for part in parts]
    (sent,) = server.wishes
    assert (sent["upload_id"], sent["part_upload_ids"]) == ("up-1", ["up-2", "up-3"])
    assert sent["options"] == {"ratio": 0.2}
    run("generators", "import", parts[0], "--no-align-corners", *wish[:-2])
    assert (server.wishes[1]["upload_id"], server.wishes[1]["part_upload_ids"]) == ("up-4", [])
    assert server.wishes[1]["options"] == {"align_corners": False}


def test_a_training_is_sent_with_its_backbone_and_its_direction(
    server: Server, run: Callable[..., Result], tmp_path: Path
) -> None:
    weights = tmp_path / "vgg16.pth"
    weights.write_bytes(b"weights")
    told = ("train", "enlightengan", "--day", "ds-1", "--night", "ds-2")
    assert run(*told, "--backbone-file", weights, "--direction", "night2day").exit_code == 0
    assert run(*told).exit_code == 0
    assert server.files == [("vgg16.pth", b"weights")]
    sent = [(wish["backbone_upload_id"], wish["direction"]) for wish in server.wishes]
    assert sent == [("up-1", "night2day"), (None, "")]


def test_the_weights_of_a_quality_backbone_are_sent_first(
    server: Server, run: Callable[..., Result], tmp_path: Path
) -> None:
    weights = tmp_path / "inception.pth"
    weights.write_bytes(b"weights")
    run("quality", "ds-1", "--backbone", f"inception:{weights}", "--json")
    assert server.files == [("inception.pth", b"weights")]
    assert (server.wishes[0]["backbone"], server.wishes[0]["backbone_upload_id"]) == ("inception", "up-1")


@pytest.mark.parametrize(
    ("command", "names"), [(("train",), ARCHITECTURES), (("generators", "import"), ARCHITECTURES)]
)
def test_the_help_lists_what_there_is(
    run: Callable[..., Result], command: tuple[str, ...], names: tuple[str, ...]
) -> None:
    told = " ".join(run(*command, "--help").stdout.split())
    assert ", ".join(names) in told
