"""`nightshift experiment` and `translate --then-train`, through the real service."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner, Result

from service.client.cli import app
from service.client.client import Client, JobFailed
from service.client.experiment import parse_seeds
from service.client.progress import runs
from service.errors import InvalidRequest
from service.jobs.job import DETECTOR_EVENT, ShardPlan
from service.storage import keys
from tests.serving import Serving

SPREAD = {"mean": 0.25, "sd": 0.0125}
REPORT = {
    "verdict": "Synthetic night adds +3.1 points.",
    "baseline": "day",
    "arms": [
        {"name": "day", "frames": 20, "scores": {"map50": {"mean": 0.219, "sd": None}, "map50_95": SPREAD}},
        {
            "name": "day+synthetic",
            "frames": 40,
            "scores": {"map50": SPREAD, "map50_95": {"mean": None, "sd": None}},
        },
    ],
    "differences": [
        {"arm": "day+synthetic", "metric": "map50", "difference": 0.031, "interval": [-0.012, 0.049]},
        {"arm": "day+synthetic", "metric": "map50_95", "difference": 0.5, "interval": None},
    ],
    "gap_closed": [{"arm": "day+synthetic", "value": 0.63, "interval": [0.2, 1.1]}],
}


@pytest.fixture
def server(serving: Serving, add_dataset: Callable[..., str]) -> TestClient:
    for name in ("day", "night", "synthetic", "test", "rainy"):
        add_dataset(f"ds-{name}")
    return serving()


@pytest.fixture
def api(server: TestClient) -> Client:
    """The Python client, with the service at the other end of the line."""

    def carry(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        answer = server.request(
            request.method, path, content=request.read(), headers=dict(request.headers.items())
        )
        return httpx.Response(answer.status_code, headers=dict(answer.headers), content=answer.content)

    return Client("http://testserver", httpx.MockTransport(carry))


@pytest.fixture
def run(api: Client, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for module in ("cli", "groups", "experiment", "translation"):
        monkeypatch.setattr(f"service.client.{module}.Client", lambda _url: api)
    monkeypatch.setattr(Client, "__exit__", lambda *_: None)  # it serves several commands

    def run(*words: object) -> Result:
        return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})

    return run


def finish(server: TestClient, job_id: str, queue_of_work: int) -> None:
    """What workers do, in no time."""
    here = server.app.state.services  # type: ignore[attr-defined]
    leases = here.desk.leases
    parts = [ShardPlan(number, number + 1, number, 1) for number in range(queue_of_work)]
    leases.finish_plan(leases.claim(job_id, 0, "w"), parts, {})
    for number in range(queue_of_work):
        leases.finish_work(leases.claim(job_id, 1 + number, "w"), 1, 0, [])
    here.store.write(keys.report(job_id), json.dumps(REPORT).encode())
    here.store.write(keys.report_page(job_id), b"<h1>page</h1>")
    here.store.write(keys.report_summary(job_id), b"# summary")
    row = {"counts": {"boxes": 2}, "categories": ["car", "bus"]}
    leases.finish_publish(leases.claim(job_id, 1 + queue_of_work, "w"), {"verdict": REPORT["verdict"]}, row)


@pytest.fixture
def quick(server: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time the client waits, the workers have done the job it waits for."""
    follow = Client.follow

    def hurried(self: Client, job_id: str) -> Any:
        yield self.job(job_id)
        finish(server, job_id, 1)
        yield from follow(self, job_id)

    monkeypatch.setattr(Client, "follow", hurried)


def spec(api: Client, done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, (done.stdout, done.stderr, done.exception)
    return api.job(done.stdout.strip()).spec


def test_what_is_typed_is_what_the_worker_is_told(api: Client, run: Callable[..., Result]) -> None:
    done = run(
        "experiment", "--day", "ds-day", "--synthetic", "ds-synthetic", "--data", "rainy=ds-rainy",
        "--test", "ds-test", "--detector", "yolov5n", "--arms", "day,day+synthetic,enhance:sci-night2day",
        "--arm", "third=day#10,rainy:0.5", "--seeds", "1,4", "--image-px", 64, "--budget", "epochs",
        "--test-select", "split=test,val", "--data-select", "rainy:weather=rainy", "--categories", "car, bus",
    )  # fmt: skip
    told = spec(api, done)
    assert [arm["name"] for arm in told["arms"]] == ["day", "day+synthetic", "enhance:sci-night2day", "third"]
    assert told["arms"][3]["parts"][0] == {"data": "day", "share": None, "frames": 10}
    assert told["data"]["rainy"]["selection"] == {"split": ["train"], "weather": ["rainy"]}
    assert told["test"]["selection"] == {"split": ["test", "val"]}
    assert (told["seeds"], told["categories"]) == ([1, 4], ["car", "bus"])
    assert (told["training"]["image_px"], told["training"]["budget"]) == (64, "epochs")
    assert told["detector"]["name"] == "yolov5nu"


@pytest.mark.parametrize(
    "words",
    [
        ("--arms", "day,day+night", "--night", "ds-night"),
        ("--arm", "a=day:0.25", "--arm", "enhance:sci-night2day:1", "--arm", "day", "--seeds", "9,"),
        ("--preset", "classic", "--synthetic", "ds-synthetic", "--epochs", 7, "--test-at-most", 30),
        (
            "--preset",
            "finetune",
            "--data",
            "rainy=ds-rainy",
            "--data-select",
            "rainy:split=val",
            "--steps",
            3,
        ),
        (
            "--day-select",
            "weather=clear sky",
            "--allow-leakage",
            "--learning-rate",
            0.005,
            "--resamples",
            200,
        ),
        ("--scene-attribute", "scene", "--categories", "bus", "--map-category", "car=vehicle"),
    ],
)
def test_the_command_in_the_spec_repeats_the_experiment(
    api: Client, run: Callable[..., Result], words: tuple[object, ...]
) -> None:
    first = spec(api, run("experiment", "--day", "ds-day", "--test", "ds-test", *words))
    assert spec(api, run(*shlex.split(first["command"])[1:])) == first


def test_scenes_are_read_from_a_file(api: Client, run: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "scenes.csv"
    file.write_text("frame,scene\na.jpg,lane\n")
    told = spec(api, run("experiment", "--day", "ds-day", "--test", "ds-test", "--scenes", file))
    assert told["scenes"] == {"a.jpg": "lane"}
    assert "--scenes scenes.json" in told["command"]


def test_a_detectors_file_is_sent_and_refused_with_its_hash(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    file = tmp_path / "best.pt"
    file.write_bytes(b"test")
    done = run("experiment", "--day", "ds-day", "--test", "ds-test", "--detector-file", file)
    assert "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" in str(done.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seeds", "three"), "Write how many, --seeds 3"),
        (("--arms", "day,night"), "no dataset was given"),
        (("--arms", "day,,"), "is not an arm"),
        (("--data", "ds-1"), "is not NAME=DATASET"),
        (("--data", "night=ds-1"), "is not NAME=DATASET"),
        (("--data-select", "rainy:split=val"), "selects nothing that was given"),
        (("--night-select", "split=val"), "a dataset that was not given"),
        (("--test-select", "sunny"), "'sunny' is not a selection"),
    ],
)
def test_what_was_typed_wrongly_is_said_with_the_cure(
    run: Callable[..., Result], words: tuple[str, ...], said: str
) -> None:
    done = run("experiment", "--day", "ds-day", "--test", "ds-test", *words)
    assert said in str(done.exception)


@pytest.mark.usefixtures("quick")
def test_watching_ends_with_the_verdict_a_table_and_the_saved_report(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    wish = ("experiment", "--day", "ds-day", "--synthetic", "ds-synthetic", "--test", "ds-test", "--seeds", 1)
    done = run(*wish, "--watch", "--out", tmp_path / "found")
    assert done.exit_code == 0, done.exception
    assert REPORT["verdict"] in done.stdout
    (row,) = (line for line in done.stdout.splitlines() if line.startswith("day+synthetic"))
    assert " ".join(row.split()) == "day+synthetic 40 25.0 ± 1.2 none +3.1 [-1.2 to +4.9] 63 [20 to 110]"
    assert "/report.html" in done.stdout
    assert json.loads((tmp_path / "found/report.json").read_text()) == REPORT
    assert (tmp_path / "found/report.html").read_bytes() == b"<h1>page</h1>"
    assert (tmp_path / "found/report.md").read_text() == "# summary"
    as_json = json.loads(run(*wish, "--watch", "--json").stdout)
    assert as_json["outcome"]["verdict"] == REPORT["verdict"]
    told = run("report", as_json["id"])
    assert REPORT["verdict"] in told.stdout


def test_a_translation_names_what_follows_it(api: Client, run: Callable[..., Result]) -> None:
    done = run(
        "translate", "ds-day", "--generator", "camera-night", "--then-train", "yolov8s", "--test", "ds-test",
        "--night", "ds-night", "--steps", 30, "--seeds", 2,
        "--categories", "lorry", "--map-category", "bus=lorry",
    )  # fmt: skip
    assert done.exit_code == 0, done.exception
    first, second = (api.job(job_id) for job_id in done.stdout.split())
    assert (second.after_id, first.follow_up_id) == (first.id, second.id)
    assert [arm["name"] for arm in second.spec["arms"]] == ["day", "day+synthetic", "day+night"]
    assert (second.spec["detector"]["name"], second.spec["seeds"]) == ("yolov8s", [0, 1])
    assert second.spec["training"]["steps"] == 30
    assert (second.spec["categories"], second.spec["category_map"]) == (["lorry"], {"bus": "lorry"})
    assert runs(api.experiment_status(second.id)).startswith(f"waiting for {first.id}")


@pytest.mark.usefixtures("quick")
def test_watching_a_translation_watches_what_follows_it_too(run: Callable[..., Result]) -> None:
    wish = (
        "translate",
        "ds-day",
        "--generator",
        "camera-night",
        "--then-train",
        "yolov8n",
        "--test",
        "ds-test",
    )
    done = run(*wish, "--watch")
    assert done.exit_code == 0, done.exception
    assert done.stdout.startswith("ds-")
    assert REPORT["verdict"] in done.stdout
    both = json.loads(run(*wish, "--watch", "--json").stdout)
    assert [both[name]["state"] for name in ("translation", "experiment")] == ["succeeded"] * 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--then-train", "yolov8n"), "Add --test"),
        (("--test", "ds-test"), "--then-train yolov8n"),
        (("--then-train", "yolov8n", "--test", "ds-test", "--preview", 3), "preview"),
    ],
)
def test_a_chain_with_a_missing_link_is_refused(
    run: Callable[..., Result], words: tuple[object, ...], said: str
) -> None:
    done = run("translate", "ds-day", "--generator", "camera-night", *words)
    assert said in str(done.exception)


def test_the_bar_says_where_the_experiment_is(server: TestClient, api: Client, tmp_path: Path) -> None:
    job = api.experiment({"day": "ds-day"}, "ds-test", seeds=[5, 6])
    assert runs(api.experiment_status(job.id)) == "waiting for a worker, 0 of 2 runs done"
    here = server.app.state.services  # type: ignore[attr-defined]
    leases = here.desk.leases
    leases.finish_plan(leases.claim(job.id, 0, "w"), [ShardPlan(0, 1, 0, 1), ShardPlan(1, 2, 1, 1)], {})
    first = leases.claim(job.id, 1, "w")
    told = {"arm": "day", "seed": 5, "epoch": 3, "epochs": 50, "step": 9, "steps": 150, "losses": {}}
    leases.note(first, DETECTOR_EVENT, {**told, "validation": {"map50": 0.312, "map50_95": 0.1}})
    seen = runs(api.experiment_status(job.id))
    assert seen == "day, seed 5, epoch 3 of 50, validation mAP50 31.2%, 0 of 2 runs done"
    leases.finish_work(first, 1, 0, [])
    leases.finish_work(leases.claim(job.id, 2, "w"), 1, 0, [])
    assert runs(api.experiment_status(job.id)).startswith("publishing, 2 of 2 runs done")
    for name, content in (("best.pt", b"weights"), ("detections.npy", b"")):
        here.store.write(keys.experiment(keys.plan(job.id), "runs", "000-6", name), content)
    assert api.detector(job.id, "day", 6, tmp_path / "day.pt").read_bytes() == b"weights"
    api.cancel(job.id)
    with pytest.raises(JobFailed, match="cancelled"):
        api.wait(job)


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", 3), ("0,1,2", [0, 1, 2]), ("7,", [7]), (" 2 , 5 ", [2, 5])]
)
def test_seeds_are_a_count_or_a_list(text: str, seeds: Any) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", ",", "x", "1,x", "-1", "1.5", "²"])
def test_what_are_no_seeds_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="--seeds 3"):
        parse_seeds(text)
