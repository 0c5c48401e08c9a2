"""Experiments over HTTP: what is refused before anything is trained, what is shown on the way and then."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.jobs.job import CHECKPOINT_EVENT, DETECTOR_EVENT, ShardPlan
from service.settings import Settings
from service.storage import keys
from service.storage.object_store import ObjectStore
from tests.serving import Serving

SIDES = ("day", "night", "synthetic", "test")
ARMS = ["day", "day+night", "day+synthetic", "enhance:sci-night2day"]
ALLOWED = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # sha256 of b"test"


@pytest.fixture
def client(settings: Settings, serving: Serving, add_dataset: Callable[..., str]) -> TestClient:
    """With a dataset for each side."""
    for side in SIDES:
        add_dataset(f"ds-{side}")
    allowing = settings.model_copy(update={"allowed_detectors": (ALLOWED,)})
    return serving(allowing)


def here(client: TestClient) -> Any:
    return client.app.state.services  # type: ignore[attr-defined]


def wish(**changes: Any) -> dict[str, Any]:
    data = {name: {"dataset_id": f"ds-{name}"} for name in ("day", "night", "synthetic")}
    return {"data": data, "test": {"dataset_id": "ds-test"}, **changes}


def asked(client: TestClient, **changes: Any) -> dict[str, Any]:
    response = client.post("/v1/experiments", json=wish(**changes))
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    return job


def refused(response: Any, status: int, code: str) -> str:
    assert (response.status_code, response.json()["code"]) == (status, code), response.text
    return str(response.json()["detail"])


def planned(client: TestClient, runs: int, **changes: Any) -> str:
    """An experiment whose plan is made."""
    job_id = str(asked(client, **changes)["id"])
    leases = here(client).desk.leases
    parts = [ShardPlan(number, number + 1, number * 10, 10) for number in range(runs)]
    assert leases.finish_plan(leases.claim(job_id, 0, "worker"), parts, {"categories": ["car", "bus"]})
    return job_id


def test_a_worker_is_told_exactly_what_was_asked_for(client: TestClient, queue: Any) -> None:
    job = asked(client, arms=ARMS, name="does it help", steps=40, seeds=2, category_map={})
    spec = job["spec"]
    assert (job["kind"], job["state"], job["dataset_id"]) == ("experiment", "queued", "ds-day")
    assert queue.by_name["shards"] == [(job["id"], 0)]
    assert set(spec) == {
        "name", "detector", "data", "test", "arms", "seeds", "baseline", "upper_bound", "training",
        "frames_at_most", "scales", "test_at_most", "validation_frames", "category_map", "categories",
        "scenes", "scene_attribute", "resamples", "allow_leakage", "preset", "command",
    }  # fmt: skip
    assert spec["detector"] == {"name": "yolov8n", "upload_id": None, "sha256": None, "filename": None}
    assert spec["data"]["synthetic"] == {
        "dataset_id": "ds-synthetic", "name": "frames of ds-synthetic", "selection": {"split": ["train"]},
    }  # fmt: skip
    assert spec["test"]["selection"] == {}
    assert spec["arms"][1] == {
        "name": "day+night", "enhance": None,
        "parts": [{"data": name, "share": 1.0, "frames": None} for name in ("day", "night")],
    }  # fmt: skip
    assert spec["arms"][3]["parts"] == []
    assert spec["arms"][3]["enhance"]["direction"] == "night2day"
    assert (spec["seeds"], spec["baseline"], spec["upper_bound"]) == ([0, 1], "day", "day+night")
    assert spec["training"] == {
        "steps": 40, "epochs": 100, "batch": 16, "image_px": 640, "patience": 100, "budget": "steps",
        "pretrain_steps": 0, "learning_rate": None,
    }  # fmt: skip
    assert (spec["categories"], spec["validation_frames"], spec["resamples"]) == (None, 500, 1000)


def test_without_arms_day_is_compared_with_day_and_each_other_data(client: TestClient) -> None:
    spec = asked(client)["spec"]
    assert [arm["name"] for arm in spec["arms"]] == ["day", "day+night", "day+synthetic"]
    assert spec["name"] == "yolov8n on frames of ds-test"


def test_a_preset_fills_in_what_is_not_said(client: TestClient) -> None:
    spec = asked(client, preset="classic", image_px=320)["spec"]
    assert spec["arms"][2]["parts"] == [
        {"data": "day", "share": None, "frames": 5000}, {"data": "synthetic", "share": None, "frames": 5000},
    ]  # fmt: skip
    assert (spec["training"]["epochs"], spec["training"]["image_px"]) == (300, 320)
    assert (spec["scales"], spec["test_at_most"], spec["detector"]["name"]) == (True, 2000, "yolov5su")
    own = asked(client, preset="classic", detector="yolov8s", test_at_most=10)["spec"]
    assert (own["detector"]["name"], own["test_at_most"]) == ("yolov8s", 10)


@pytest.mark.parametrize(
    ("name", "found"), [("yolov5n", "yolov5nu"), ("YOLOv8m", "yolov8m"), ("yolov11x", "yolo11x")]
)
def test_a_detector_is_found_by_what_people_call_it(client: TestClient, name: str, found: str) -> None:
    assert asked(client, detector=name)["spec"]["detector"]["name"] == found


def test_one_dataset_for_day_and_night_is_divided_by_its_tags(client: TestClient) -> None:
    both = {"dataset_id": "ds-day"}
    night = {**both, "select": {"split": ["train", "val"]}}
    spec = asked(client, data={"day": both, "night": night})["spec"]
    assert spec["data"]["day"]["selection"] == {"split": ["train"], "timeofday": ["daytime"]}
    assert spec["data"]["night"]["selection"] == {"split": ["train", "val"], "timeofday": ["night"]}


@pytest.mark.parametrize(
    ("changes", "status", "code", "said"),
    [
        ({"detector": "yolov8z"}, 422, "invalid-request", "Did you mean 'yolov8"),
        ({"arms": ["day", "day+nigth"]}, 422, "invalid-request", "Did you mean 'night'?"),
        ({"arms": ["day", "day+night"]}, 422, "invalid-request", "No arm uses the data 'synthetic'"),
        ({"arms": [*ARMS, "enhance:camera-night"]}, 422, "invalid-request", "makes day into night"),
        ({"arms": [*ARMS, "enhance:sci-night2dya"]}, 422, "unknown-generator", "sci-night2day"),
        ({"preset": "clasic"}, 422, "invalid-request", "Did you mean 'classic'"),
        ({"test": {"dataset_id": "ds-none"}}, 404, "not-found", "ds-none"),
        ({"test": {"dataset_id": "ds-day"}}, 422, "invalid-request", "--test-select split=test"),
        (
            {"test": {"dataset_id": "ds-test", "select": {"split": ["tset"]}}},
            422,
            "invalid-request",
            "'test'",
        ),
        ({"category_map": {"van": "car"}}, 422, "invalid-request", "No dataset has the category 'van'"),
        ({"categories": ["cars"]}, 422, "invalid-request", "Did you mean 'car'?"),
        ({"seeds": [1, 1]}, 422, "invalid-request", "named twice"),
        ({"seeds": 0}, 422, "validation-error", "seeds"),
        ({"seeds": 21}, 422, "validation-error", "seeds"),
        ({"seeds": [-1]}, 422, "validation-error", "seeds"),
        ({"image_px": 100}, 422, "validation-error", "image_px"),
        ({"image_px": 4096}, 422, "validation-error", "image_px"),
        ({"batch": 0}, 422, "validation-error", "batch"),
        ({"steps": -1}, 422, "validation-error", "steps"),
        ({"budget": "hours"}, 422, "validation-error", "budget"),
        ({"learning_rate": "nan"}, 422, "validation-error", "learning_rate"),
        ({"arms": ["day"] * 21}, 422, "validation-error", "arms"),
        ({"data": {}}, 422, "validation-error", "data"),
        ({"data": {"Day!": {"dataset_id": "ds-day"}}}, 422, "validation-error", "Day!"),
        ({"detector_upload_id": "up-none"}, 404, "not-found", "up-none"),
        ({"more": 1}, 422, "validation-error", "more"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_trained(
    client: TestClient, changes: dict[str, Any], status: int, code: str, said: str
) -> None:
    assert said in refused(client.post("/v1/experiments", json=wish(**changes)), status, code)
    assert client.get("/v1/jobs").json()["items"] == []


def test_a_test_set_of_other_frames_of_the_same_dataset_is_taken(client: TestClient) -> None:
    test = {"dataset_id": "ds-day", "select": {"split": ["test"]}}
    assert asked(client, test=test)["spec"]["test"]["selection"] == {"split": ["test"]}
    assert asked(client, test={"dataset_id": "ds-day"}, allow_leakage=True)["spec"]["allow_leakage"]


def test_datasets_that_are_not_ready_or_not_labelled_are_refused(
    client: TestClient, add_dataset: Callable[..., str]
) -> None:
    add_dataset("ds-pending", state="pending")
    add_dataset("ds-empty", boxes=0)
    data = {"day": {"dataset_id": "ds-pending"}}
    response = client.post("/v1/experiments", json=wish(data=data))
    assert "ds-pending" in refused(response, 409, "dataset-not-ready")
    response = client.post("/v1/experiments", json=wish(test={"dataset_id": "ds-empty"}))
    assert "ds-empty (test) has no boxes to score" in refused(response, 422, "invalid-request")


def test_categories_that_differ_are_shown_until_somebody_says_what_they_mean(
    client: TestClient, add_dataset: Callable[..., str]
) -> None:
    add_dataset("ds-other", categories=["car", "coach"])
    test = {"dataset_id": "ds-other"}
    said = refused(client.post("/v1/experiments", json=wish(test=test)), 422, "invalid-request")
    assert "day: car, bus." in said
    assert "test: car, coach." in said
    assert "Only in some: bus, coach." in said
    assert asked(client, test=test, category_map={"coach": "bus"})["spec"]["category_map"] == {"coach": "bus"}
    assert asked(client, test=test, categories=["car"])["spec"]["categories"] == ["car"]


def test_a_detectors_file_is_taken_only_by_its_hash(client: TestClient) -> None:
    def upload(content: bytes) -> str:
        answer = client.put("/v1/uploads", params={"filename": "best.pt"}, content=content)
        return str(answer.json()["id"])

    response = client.post("/v1/experiments", json=wish(detector_upload_id=upload(b"other")))
    said = refused(response, 422, "invalid-request")
    assert "runs code when it is loaded" in said
    assert "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa" in said  # sha256 of b"other"
    mine = upload(b"test")
    detector = asked(client, detector_upload_id=mine)["spec"]["detector"]
    assert detector == {"name": "best", "upload_id": mine, "sha256": ALLOWED, "filename": "best.pt"}
    both = client.post("/v1/experiments", json=wish(detector_upload_id=mine, detector="yolov8n"))
    assert "by name and as a file" in refused(both, 422, "invalid-request")


@pytest.mark.parametrize("text", [ALLOWED, f" {ALLOWED.upper()} ,{ALLOWED}", f'["{ALLOWED}"]'])
def test_the_operator_lists_hashes_with_commas_or_in_json(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("NIGHTSHIFT_ALLOWED_DETECTORS", text)
    assert set(Settings().allowed_detectors) == {ALLOWED}


def test_a_hash_that_is_none_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().allowed_detectors == ()
    monkeypatch.setenv("NIGHTSHIFT_ALLOWED_DETECTORS", "best.pt")
    with pytest.raises(ValueError, match="allowed_detectors"):
        Settings()


def test_a_request_sent_twice_with_one_key_makes_one_experiment(client: TestClient) -> None:
    headers = {"Idempotency-Key": "my-key"}
    answers = [client.post("/v1/experiments", json=wish(), headers=headers).json() for _ in range(2)]
    assert answers[0] == answers[1]
    assert len(client.get("/v1/jobs", params={"kind": "experiment"}).json()["items"]) == 1


def test_an_experiment_is_watched_run_by_run(client: TestClient) -> None:
    job_id = planned(client, 4, arms=["day", "day+night+synthetic", "enhance:sci-night2day"], seeds=[3, 7])
    leases = here(client).desk.leases
    first = leases.claim(job_id, 1, "worker")
    told = {"arm": "day", "seed": 3, "epochs": 5, "steps": 10}
    validation = {"map50": 0.25, "map50_95": 0.125}
    leases.note(
        first,
        DETECTOR_EVENT,
        {**told, "epoch": 5, "step": 10, "validation": validation, "losses": {"box": 1.5}},
    )
    leases.finish_work(first, 10, 0, [])
    second = leases.claim(job_id, 2, "worker")
    told = {**told, "arm": "day+night+synthetic"}
    leases.note(
        second, DETECTOR_EVENT, {**told, "epoch": 1, "step": 2, "validation": validation, "losses": {}}
    )
    leases.note(second, CHECKPOINT_EVENT, {"arm": "day+night+synthetic", "seed": 3, "epoch": 1})
    leases.note(second, DETECTOR_EVENT, {**told, "epoch": 2, "step": 3, "losses": {"box": 2.0}})
    view = client.get(f"/v1/experiments/{job_id}").json()
    states = {
        arm["name"]: [(run["seed"], run["state"], run["step"]) for run in arm["runs"]] for arm in view["arms"]
    }
    assert states == {
        "day": [(3, "done", 10), (7, "waiting", 0)],
        "day+night+synthetic": [(3, "training", 3), (7, "waiting", 0)],
        "enhance:sci-night2day": [],
    }
    assert view["arms"][2]["generator"] == "sci-night2day:1"
    assert view["arms"][0]["runs"][0]["losses"] == {"box": 1.5}
    assert (view["current"]["epoch"], view["current"]["validation"]) == (2, validation)
    assert (view["pretraining"], view["verdict"]) == (None, None)
    assert view["job"]["progress"]["frames_done"] == 10
    assert view["job"]["progress"]["seconds_left"] is not None


def test_the_common_training_before_the_arms_is_shown_apart(client: TestClient) -> None:
    job_id = str(asked(client, preset="finetune")["id"])
    leases = here(client).desk.leases
    plan = leases.claim(job_id, 0, "worker")
    told = {"arm": "pretraining", "seed": 0, "epoch": 4, "epochs": 9, "step": 40, "steps": 90}
    leases.note(plan, DETECTOR_EVENT, told)
    view = client.get(f"/v1/experiments/{job_id}").json()
    assert (view["pretraining"]["state"], view["pretraining"]["step"]) == ("training", 40)
    assert view["current"]["arm"] == "pretraining"
    leases.finish_plan(plan, [ShardPlan(0, 1, 0, 10)], {})
    assert client.get(f"/v1/experiments/{job_id}").json()["pretraining"]["state"] == "done"


def test_the_report_is_there_in_three_forms_once_it_is_written(
    client: TestClient, store: ObjectStore
) -> None:
    job_id = planned(client, 1)
    forms = ("report", "report.html", "report.md")
    for form in forms:
        said = refused(client.get(f"/v1/experiments/{job_id}/{form}"), 404, "not-found")
        assert "report (the state is running)" in said
    leases = here(client).desk.leases
    leases.finish_work(leases.claim(job_id, 1, "worker"), 10, 0, [])
    written = (b'{"verdict": "+3"}', "<h1>+3 ± 1</h1>".encode(), b"# +3")
    places = (keys.report, keys.report_page, keys.report_summary)
    for place, content in zip(places, written, strict=True):
        store.write(place(job_id), content)
    leases.finish_publish(leases.claim(job_id, 2, "worker"), {"verdict": "It helps."}, None)
    answers = [client.get(f"/v1/experiments/{job_id}/{form}") for form in forms]
    assert tuple(answer.content for answer in answers) == written
    types = [answer.headers["content-type"].partition(";")[0] for answer in answers]
    assert types == ["application/json", "text/html", "text/markdown"]
    policy = answers[1].headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline';")
    assert policy.endswith("sandbox")
    view = client.get(f"/v1/experiments/{job_id}").json()
    assert (view["verdict"], view["current"]) == ("It helps.", None)
    assert client.get(f"/v1/jobs/{job_id}/report").json() == {"verdict": "+3"}


def finish_run(store: ObjectStore, plan_key: str, run: str, content: bytes) -> None:
    """As the worker leaves it: what the weights saw comes last."""
    store.write(keys.experiment(plan_key, "runs", run, "best.pt"), content)
    store.write(keys.experiment(plan_key, "runs", run, "detections.npy"), b"")


def test_weights_that_are_still_in_training_are_not_handed_out(
    client: TestClient, store: ObjectStore
) -> None:
    job_id = planned(client, 2, arms=["day", "day+night+synthetic"], seeds=[4])
    store.write(keys.experiment(keys.plan(job_id), "runs", "000-4", "best.pt"), b"not yet")
    answer = client.get(f"/v1/experiments/{job_id}/detectors/day/4")
    assert "finished detector of seed 4" in refused(answer, 404, "not-found")


def test_a_long_table_of_scenes_is_told_by_its_length(client: TestClient) -> None:
    scenes = {f"{number}.jpg": "a" for number in range(500)}
    body = {"data": {"day": {"dataset_id": "ds-day"}}, "test": {"dataset_id": "ds-test"}, "scenes": scenes}
    job = client.post("/v1/experiments", json=body).json()
    assert job["spec"]["scenes"] == "500 entries"


def test_detectors_are_downloaded_by_arm_and_seed(client: TestClient, store: ObjectStore) -> None:
    job_id = planned(client, 2, arms=["day", "day+night+synthetic#7", "enhance:sci-night2day"], seeds=[4])
    plan = keys.plan(job_id)
    for number, content in ((0, b"day"), (1, b"mix")):
        finish_run(store, plan, f"{number:03d}-4", content)

    def get(arm: str, seed: int = 4) -> Any:
        return client.get(f"/v1/experiments/{job_id}/detectors/{arm}/{seed}")

    mixed = get("day%2Bnight%2Bsynthetic%237")
    assert mixed.content == b"mix"
    assert 'filename="yolov8n-day-night-synthetic-7-4.pt"' in mixed.headers["content-disposition"]
    assert get("enhance:sci-night2day").content == get("day").content == b"day"
    assert "seed 5 for arm 'day'" in refused(get("day", 5), 404, "not-found")
    assert "no arm 'night'" in refused(get("night"), 404, "not-found")


def test_a_retry_finds_the_detectors_where_they_were(client: TestClient, store: ObjectStore) -> None:
    job_id = planned(client, 3)
    finish_run(store, keys.plan(job_id), "000-0", b"day")
    client.post(f"/v1/jobs/{job_id}/cancel")
    again = client.post(f"/v1/jobs/{job_id}/retry").json()
    assert client.get(f"/v1/experiments/{again['id']}/detectors/day/0").content == b"day"


def test_only_an_experiment_is_watched_as_one(client: TestClient) -> None:
    job_id = client.post("/v1/quality", json={"dataset_id": "ds-day"}).json()["id"]
    for path in ("", "/report", "/report.html", "/detectors/day/0"):
        assert "is no experiment" in refused(
            client.get(f"/v1/experiments/{job_id}{path}"), 422, "invalid-request"
        )
    refused(client.get("/v1/experiments/job-none"), 404, "not-found")


def test_a_translation_names_the_experiment_that_follows_it(client: TestClient) -> None:
    then = {"test": {"dataset_id": "ds-test"}, "data": {"night": {"dataset_id": "ds-night"}}, "seeds": 1}
    body = {"dataset_id": "ds-day", "generator": "camera-night", "then_train": then}
    answer = client.post("/v1/translations", json=body)
    assert answer.status_code == 202
    follow_up = client.get(f"/v1/jobs/{answer.json()['follow_up_id']}").json()
    assert (follow_up["kind"], follow_up["after_id"]) == ("experiment", answer.json()["id"])
    assert follow_up["spec"]["data"]["synthetic"]["dataset_id"] == answer.json()["result_id"]
    client.post(f"/v1/jobs/{answer.json()['id']}/cancel")
    ended = client.get(f"/v1/jobs/{follow_up['id']}").json()
    assert (ended["state"], ended["error"]["code"]) == ("failed", "chained-job-failed")
    alone = client.post("/v1/translations", json={"dataset_id": "ds-day", "generator": "camera-night"})
    assert (alone.json()["follow_up_id"], alone.json()["after_id"]) == (None, None)
    bad = {**body, "then_train": {**then, "steps": -1}}
    refused(client.post("/v1/translations", json=bad), 422, "validation-error")
