"""The embedded default as a user meets it: the command, a real Celery worker, SQLite, a folder. No server."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from service.client.client import Client, JobFailed
from service.datasets.manifest import ManifestEntry, canonical_labels
from service.jobs.database import Database
from service.jobs.store import JobStore
from service.stack import Stack
from tests.end_to_end.pictures import draw, write_bdd100k

# Its own processes take their time on a busy machine.
pytestmark = pytest.mark.timeout(240)
FRAMES = 24
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bdd100k(tmp_path_factory.mktemp("day") / "bdd100k", FRAMES)


def entries(folder: Path) -> list[ManifestEntry]:
    return [
        ManifestEntry.from_line(line) for line in (folder / "manifest.jsonl").read_text().split("\n") if line
    ]


def wait_for(condition: Callable[[], bool], stack: Stack) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        stack.mend()
        time.sleep(0.05)


def test_a_day_dataset_becomes_a_night_dataset(
    nightshift: Callable[..., Any], day: Path, tmp_path: Path
) -> None:
    dataset = nightshift("upload", day, "--select", "timeofday=daytime", "--name", "my days")
    assert dataset["state"] == "ready"
    assert dataset["format"] == "bdd100k-det20"
    assert dataset["counts"]["frames"] == FRAMES - 2  # one is night, one is damaged
    assert dataset["counts"]["findings"]["truncated-image"] == 1

    report = nightshift("report", dataset["id"])
    assert [finding["code"] for finding in report["findings"]] == ["truncated-image"]

    sheet = tmp_path / "preview.jpg"
    nightshift("translate", dataset["id"], "--generator", "camera-night", "--preview", 3, "--sheet", sheet)
    with Image.open(sheet) as image:
        assert image.width > 900

    job = nightshift("translate", dataset["id"], "--generator", "camera-night", "--watch")
    assert job["state"] == "succeeded"
    assert job["progress"]["frames_done"] == FRAMES - 2
    assert job["progress"]["images_per_second"] > 0

    nightshift("download", dataset["id"], tmp_path / "day")
    nightshift("download", job["result_id"], tmp_path / "night", "--format", "yolo")
    before, after = entries(tmp_path / "day"), entries(tmp_path / "night")
    assert [canonical_labels(entry.frame) for entry in before] == [
        canonical_labels(entry.frame) for entry in after
    ]
    for entry in after:
        assert entry.frame.timeofday == "night"
        with (
            Image.open(tmp_path / "night" / entry.image) as night,
            Image.open(tmp_path / "day" / entry.image) as source,
        ):
            assert night.size == source.size
            assert np.asarray(night).mean() < np.asarray(source).mean()
    card = json.loads((tmp_path / "night" / "card.json").read_text())
    assert card["generator"]["name"] == "camera-night"
    assert "BDD100K" in card["licence"]


def test_mistakes_get_one_sentence_and_an_exit_code(nightshift: Callable[..., Any], tmp_path: Path) -> None:
    photo = tmp_path / "day.zip"
    draw(tmp_path / "photo.jpg", 0, (64, 64))
    (tmp_path / "photo.jpg").rename(photo)
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    cases = [
        (("upload", tmp_path / "missing"), 1, "There is no file or folder"),
        (("upload", empty), 1, "neither images nor labels"),
        (("upload", photo), 3, "not a zip archive"),
        (("translate", "ds-none", "--generator", "camera-night"), 1, "no dataset"),
        (("download", "ds-none", tmp_path / "full"), 1, "not an empty folder"),
        (("jobs", "cancel", "job-none"), 1, "no job"),
    ]
    for arguments, code, sentence in cases:
        found_code, stderr = nightshift(*arguments)
        assert (found_code, sentence in stderr) == (code, True), (arguments, found_code, stderr)


@pytest.mark.slow
def test_a_killed_worker_ends_in_the_same_manifest_byte_for_byte(stack: Stack, tmp_path: Path) -> None:
    source = write_bdd100k(tmp_path / "bdd100k", 48, (640, 360))
    with Client(stack.url) as client:
        dataset = client.wait_for_dataset(client.create_dataset(client.upload(source)))
        undisturbed = client.wait(client.translate(dataset.id, "camera-night"))
        disturbed = client.translate(dataset.id, "camera-night")
        kills = 0
        for victim in (worker_pid, child_pid, worker_pid):
            done_before = client.job(disturbed.id).progress.frames_done
            wait_for(lambda: has_gone_on(client, disturbed.id, done_before), stack)  # noqa: B023
            if client.job(disturbed.id).finished_at is None:
                os.kill(victim(stack), signal.SIGKILL)
                kills += 1
        wait_for(lambda: client.job(disturbed.id).finished_at is not None, stack)
        assert kills >= 1
        assert client.job(disturbed.id).state == "succeeded"
        for number, job in enumerate((undisturbed, disturbed)):
            client.download(str(job.result_id), tmp_path / str(number))
    assert (tmp_path / "0/manifest.jsonl").read_bytes() == (tmp_path / "1/manifest.jsonl").read_bytes()
    names = {entry.image for entry in entries(tmp_path / "0")}
    assert len(names) == 47
    for name in names:
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()


@pytest.mark.slow
def test_work_in_progress_is_given_back_cancelled_and_finished_by_a_retry(
    stack: Stack, tmp_path: Path
) -> None:
    """The child is frozen at each step, so that it is surely in the middle of something."""
    import torch

    from models.generators.cyclegan import CycleGAN

    torch.manual_seed(0)
    torch.save(CycleGAN(channels=16, blocks=6).state_dict(), tmp_path / "latest_net_G.pth")
    source = write_bdd100k(tmp_path / "bdd100k", 16, (640, 360))
    with Client(stack.url) as client:
        upload_id = client.upload(tmp_path / "latest_net_G.pth")
        client.wait(client.import_generator(upload_id, "my-cyclegan", "cyclegan", "day2night"))
        dataset = client.wait_for_dataset(client.create_dataset(client.upload(source)))

        os.kill(child_pid(stack), signal.SIGSTOP)
        job = client.translate(dataset.id, "my-cyclegan:1")
        wait_for(lambda: shard_states(stack, job.id) == ["running"], stack)
        os.kill(worker_pid(stack), signal.SIGTERM)  # told to stop: gives its shard back at once
        wait_for(lambda: shard_states(stack, job.id)[:2] == ["running", "pending"], stack)

        wait_for(lambda: client.job(job.id).progress.frames_total > 0, stack)
        frozen = child_pid(stack)
        os.kill(frozen, signal.SIGSTOP)
        client.cancel(job.id)
        wait_for(lambda: client.job(job.id).finished_at is not None, stack)
        with suppress(ProcessLookupError):  # it lives on if it was frozen between two shards
            os.kill(frozen, signal.SIGCONT)
        cancelled = client.job(job.id)
        assert cancelled.state == "cancelled"
        assert cancelled.progress.frames_done < dataset.counts["frames"]

        again = client.wait(client.retry(job.id))
        assert again.result_id == job.result_id
        assert client.dataset(str(again.result_id)).counts["frames"] == dataset.counts["frames"]


TINY_RECIPE = """
[networks]
generator_channels = 8
generator_blocks = 2
discriminator_channels = 8
[data]
crop_px = 64
resize = "shorter_side"
resize_px = 72
[length]
steps = 36
log_every = 3
sample_every = 12
save_every = 4
"""


@pytest.mark.slow
def test_a_training_that_is_killed_twice_ends_in_the_same_weights(
    stack: Stack, nightshift: Callable[..., Any], tmp_path: Path
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(TINY_RECIPE)
    source = write_bdd100k(tmp_path / "bdd100k", 16)
    with Client(stack.url) as client:
        dataset = client.wait_for_dataset(client.create_dataset(client.upload(source)))
        wish = ("train", "cyclegan", "--day", dataset.id, "--night", dataset.id, "--recipe", recipe)
        wish = (*wish, "--night-select", "timeofday=daytime", "--name")
        samples = tmp_path / "samples"
        undisturbed = nightshift(*wish, "calm", "--watch", "--samples", samples)
        assert undisturbed["outcome"]["generators"] == ["calm:1", "calm-night2day:1"]
        assert [path.name for path in sorted(samples.iterdir())] == [
            f"step-{step:07d}.png" for step in (12, 24, 36)
        ]
        disturbed = nightshift(*wish, "stormy")
        kills = 0
        for victim in (worker_pid, child_pid):
            seen = client.training(disturbed["id"]).checkpoint_step
            wait_for(lambda: client.training(disturbed["id"]).checkpoint_step > seen, stack)  # noqa: B023
            if client.job(disturbed["id"]).finished_at is None:
                os.kill(victim(stack, "trainer-0"), signal.SIGKILL)
                kills += 1
        wait_for(lambda: client.job(disturbed["id"]).finished_at is not None, stack)
        assert (kills, client.job(disturbed["id"]).state) == (2, "succeeded")
        weights = {card.name: card.weights_sha256 for card in client.generators()}
        assert weights["stormy"] == weights["calm"]
        assert weights["stormy-night2day"] == weights["calm-night2day"]
        night = client.wait(client.translate(dataset.id, "stormy"))
        assert client.job_report(night.id)["quality"]["frames"] > 0


@pytest.mark.slow
def test_a_cancelled_training_goes_on_from_its_checkpoint_when_it_is_retried(
    stack: Stack, tmp_path: Path
) -> None:
    source = write_bdd100k(tmp_path / "bdd100k", 16)
    with Client(stack.url) as client:
        dataset = client.wait_for_dataset(client.create_dataset(client.upload(source)))
        chosen = {"night_select": {"timeofday": ["daytime"]}, "recipe_toml": TINY_RECIPE, "steps": 100_000}
        job = client.train("cyclegan", dataset.id, dataset.id, **chosen)
        wait_for(lambda: client.training(job.id).checkpoint_step > 0, stack)
        client.cancel(job.id)
        wait_for(lambda: client.job(job.id).finished_at is not None, stack)
        assert client.job(job.id).state == "cancelled"
        reached = client.training(job.id).checkpoint_step
        again = client.retry(job.id)
        wait_for(lambda: client.training(again.id).checkpoint_step > reached, stack)
        events = JobStore(Database(f"sqlite:///{stack.data_dir / 'nightshift.sqlite3'}")).events(again.id)
        assert next(event.data["step"] for event in events if event.kind == "started") == reached
        client.cancel(again.id)
        wait_for(lambda: client.job(again.id).finished_at is not None, stack)


def test_nothing_is_kept_of_an_upload_that_breaks_off(stack: Stack) -> None:
    uploads = stack.data_dir / "store" / "uploads"
    before = set(uploads.iterdir())
    with socket.create_connection(("127.0.0.1", stack.port)) as connection:
        connection.sendall(
            b"PUT /v1/uploads HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
            b"Authorization: Bearer %s\r\n\r\n" % stack.key.encode() + b"x" * 6_000_000
        )
        wait_for(lambda: set(uploads.iterdir()) != before, stack)
    wait_for(lambda: set(uploads.iterdir()) == before, stack)


def test_a_wrong_checkpoint_is_refused_with_its_reason(stack: Stack, tmp_path: Path) -> None:
    import torch

    torch.save({"model.0.weight": torch.zeros(3, 3)}, tmp_path / "odd.pth")
    with Client(stack.url) as client:
        upload_id = client.upload(tmp_path / "odd.pth")
        with pytest.raises(JobFailed) as failed:
            client.wait(client.import_generator(upload_id, "odd", "cyclegan", "day2night"))
    assert failed.value.code == "checkpoint-rejected"


def has_gone_on(client: Client, job_id: str, done_before: int) -> bool:
    job = client.job(job_id)
    return job.finished_at is not None or job.progress.frames_done > done_before


def shard_states(stack: Stack, job_id: str) -> list[str]:
    """The states that the shards of a job went through."""
    database = Database(f"sqlite:///{stack.data_dir / 'nightshift.sqlite3'}")
    events = JobStore(database).events(job_id)
    database.close()
    return [event.data["state"] for event in events if event.kind == "shard"]


def worker_pid(stack: Stack, name: str = "worker-0") -> int:
    return stack.pids()[name]


def child_pid(stack: Stack, name: str = "worker-0") -> int:
    """The process that does the work for the worker."""
    parent = worker_pid(stack, name)
    children = Path(f"/proc/{parent}/task/{parent}/children")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := children.read_text().split() if children.exists() else []):
        assert time.monotonic() < deadline
        stack.mend()
        time.sleep(0.05)
        parent = worker_pid(stack, name)
        children = Path(f"/proc/{parent}/task/{parent}/children")
    return int(found[0])
