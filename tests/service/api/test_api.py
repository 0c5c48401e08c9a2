"""The REST interface: what curl sees."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from service import catalogue
from service.catalogue import GeneratorCard
from service.datasets.dataset import Finding, Severity
from service.datasets.manifest import canonical_json
from service.jobs.idempotency import IdempotencyStore
from service.jobs.job import ShardPlan
from service.jobs.leases import LeaseStore
from service.jobs.results import FrameResult, write_results
from service.settings import Settings
from service.storage import keys
from tests.serving import Serving


@pytest.fixture
def client(serving: Serving) -> TestClient:
    return serving()


def here(client: TestClient) -> Any:
    return client.app.state.services  # type: ignore[attr-defined]


def upload(client: TestClient, content: bytes = b"PK\x05\x06" + bytes(18)) -> str:
    response = client.put("/v1/uploads", params={"filename": "day.zip"}, content=content)
    assert response.status_code == 201
    return str(response.json()["id"])


def claim(client: TestClient, job_id: str, index: int) -> Any:
    shard = here(client).desk.leases.claim(job_id, index, "test")
    assert shard is not None
    return shard


def ready_dataset(client: TestClient, frames: int = 3) -> str:
    """A dataset as a worker leaves it, without a worker."""
    made = client.post("/v1/datasets", json={"upload_id": upload(client)}).json()
    dataset_id, job_id = made["dataset"]["id"], made["job"]["id"]
    leases: LeaseStore = here(client).desk.leases
    leases.finish_plan(claim(client, job_id, 0), [ShardPlan(0, 1, 0, frames)], {"frames_total": frames})
    leases.finish_work(claim(client, job_id, 1), frames, 0, [])
    store = here(client).store
    lines = []
    for number in range(frames):
        image = keys.image("train", f"f{number}", ".jpg")
        frame = {
            "name": f"f{number}.jpg",
            "id": f"f{number}",
            "split": "train",
            "width_px": 8,
            "height_px": 8,
            "boxes": [],
        }
        lines.append(canonical_json({"frame": frame, "image": image, "sha256": "0" * 64}))
        store.write(keys.dataset(dataset_id, image), b"jpeg %d" % number)
        store.write(keys.dataset(dataset_id, keys.label("train", f"f{number}")), b"")
    store.write(keys.manifest(dataset_id), ("\n".join(lines) + "\n").encode())
    store.write(keys.card(dataset_id), b"{}")
    store.write(keys.data_yaml(dataset_id), b"train: images/train\nval: images/train\nnames: {0: car}\n")
    store.write(keys.report(job_id), b'{"totals": {}, "findings": []}')
    counts = {"frames": frames, "boxes": 0, "splits": {"train": frames}, "findings": {}}
    leases.finish_publish(
        claim(client, job_id, 2), {}, {"counts": counts, "categories": ["car"], "format": "yolo"}
    )
    return str(dataset_id)


def assert_problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["code"] == code
    assert body["status"] == status
    assert body["detail"]
    assert "Traceback" not in response.text
    return body


def test_an_upload_is_stored_as_it_came(client: TestClient) -> None:
    content = bytes(range(256)) * 40_000
    response = client.put("/v1/uploads/my%20day.zip", content=content)
    view = response.json()
    assert response.status_code == 201
    assert (view["filename"], view["size_bytes"]) == ("my day.zip", len(content))
    assert here(client).store.read(keys.upload(view["id"])) == content
    assert client.get(f"/v1/uploads/{view['id']}").json() == view


def test_an_upload_over_the_limit_is_refused_and_nothing_is_kept(tmp_path: Path, serving: Serving) -> None:
    client = serving(Settings(data_dir=tmp_path, max_upload_bytes=1000))
    assert_problem(client.put("/v1/uploads", content=b"x" * 1001), 413, "upload-too-large")
    chunks = (b"x" * 600 for _ in range(2))  # no length is announced
    assert_problem(client.put("/v1/uploads", content=chunks), 413, "upload-too-large")
    assert here(client).store.keys("") == []


def test_a_dataset_is_accepted_at_once_and_a_worker_is_rung_for(client: TestClient, queue: Any) -> None:
    wish = {"upload_id": upload(client), "select": {"timeofday": ["daytime"]}, "name": "my days"}
    response = client.post("/v1/datasets", json=wish)
    assert response.status_code == 202
    made = response.json()
    assert made["dataset"]["state"] == "pending"
    assert made["dataset"]["name"] == "my days"
    assert made["job"]["result_id"] == made["dataset"]["id"]
    assert made["job"]["spec"]["options"]["selection"] == {"timeofday": ["daytime"]}
    assert queue.hints == [(made["job"]["id"], 0)]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/datasets/ds-none", None, 404, "not-found"),
        ("GET", "/v1/jobs/job-none", None, 404, "not-found"),
        ("GET", "/v1/jobs/job-none/events", None, 404, "not-found"),
        ("GET", "/v1/jobs/job-none/contact-sheet", None, 404, "not-found"),
        ("GET", "/v1/uploads/up-none", None, 404, "not-found"),
        ("GET", "/v1/generators/none", None, 422, "unknown-generator"),
        ("GET", "/v1/nothing/here", None, 404, "not-found"),
        ("DELETE", "/v1/jobs", None, 405, "method-not-allowed"),
        ("POST", "/v1/jobs/job-none/cancel", None, 404, "not-found"),
        ("POST", "/v1/jobs/job-none/retry", None, 404, "not-found"),
        ("POST", "/v1/datasets", {"upload_id": "up-none"}, 404, "not-found"),
        ("POST", "/v1/datasets", {}, 422, "validation-error"),
        ("POST", "/v1/datasets", {"upload_id": "x", "selekt": {}}, 422, "validation-error"),
        (
            "POST",
            "/v1/datasets",
            {"upload_id": "x", "select": {"timeofday": ["noon"]}},
            422,
            "invalid-request",
        ),
        (
            "POST",
            "/v1/translations",
            {"dataset_id": "ds-none", "generator": "camera-night"},
            404,
            "not-found",
        ),
        ("GET", "/v1/jobs?limit=0", None, 422, "validation-error"),
        ("GET", "/v1/jobs?cursor=garbage", None, 422, "validation-error"),
        ("GET", "/v1/datasets?cursor=WzEsMl0", None, 422, "validation-error"),
    ],
)
def test_what_cannot_be_answered_is_a_problem_with_a_reason(
    client: TestClient, method: str, path: str, body: Any, status: int, code: str
) -> None:
    assert_problem(client.request(method, path, json=body), status, code)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"generator": "camera-nigth"}, "unknown-generator"),
        ({"generator": "camera-night:7"}, "unknown-generator"),
        ({"strength": 1.5}, "validation-error"),
        ({"jpeg_quality": 0}, "validation-error"),
        ({"preview": 1000}, "validation-error"),
        ({"error_budget": -0.1}, "validation-error"),
        ({"ratio": 2.0}, "invalid-request"),
    ],
)
def test_a_translation_that_makes_no_sense_is_refused(
    client: TestClient, change: dict[str, Any], code: str
) -> None:
    wish = {"dataset_id": ready_dataset(client), "generator": "camera-night", **change}
    assert_problem(client.post("/v1/translations", json=wish), 422, code)


@pytest.mark.parametrize("ratio", [0, -1, 0.04, 100, "nan", "inf", "bright"])
def test_a_ratio_out_of_range_is_pointed_at(client: TestClient, ratio: Any) -> None:
    wish = {"dataset_id": "ds-1", "generator": "my-kind", "ratio": ratio}
    body = assert_problem(client.post("/v1/translations", json=wish), 422, "validation-error")
    assert {error["pointer"] for error in body["errors"]} == {"/ratio"}


def add_generator(client: TestClient, name: str, architecture: str) -> None:
    """As an import leaves it."""
    library = here(client).desk.library
    version = library.reserve_generators([name])
    card = GeneratorCard(
        name=name, version=version, title="", direction="night2day", architecture=architecture, paper="",
        training_data="", licence="", is_bundled=False,
    )  # fmt: skip
    library.add_generator(card)


def test_a_generator_without_a_ratio_names_those_that_take_one(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.catalogue.BUNDLED", catalogue.BUNDLED[:2])
    wish = {"dataset_id": ready_dataset(client), "generator": "camera-night", "ratio": 2}
    refused = assert_problem(client.post("/v1/translations", json=wish), 422, "invalid-request")
    said = "The generator 'camera-night' takes no ratio."
    assert refused["detail"] == f"{said} None in the catalogue does; import or train one of: kind."
    for name in ("kind-night2day", "kind-day2night", "kind-day2night"):
        add_generator(client, name, "kind")
    add_generator(client, "sci-night2day", "sci")
    refused = assert_problem(client.post("/v1/translations", json=wish), 422, "invalid-request")
    assert refused["detail"] == f"{said} Generators that do: kind-day2night, kind-night2day."


@pytest.mark.parametrize("preview", [0, 4])
def test_a_ratio_is_kept_for_the_workers_and_for_a_retry(client: TestClient, preview: int) -> None:
    add_generator(client, "my-kind", "kind")
    dataset = ready_dataset(client)
    wish = {"dataset_id": dataset, "generator": "my-kind", "ratio": 2.5, "preview": preview}
    job = client.post("/v1/translations", json=wish).json()
    assert job["spec"]["ratio"] == 2.5
    client.post(f"/v1/jobs/{job['id']}/cancel")
    again = client.post(f"/v1/jobs/{job['id']}/retry").json()
    assert again["spec"] == job["spec"]
    untold = client.post("/v1/translations", json={"dataset_id": dataset, "generator": "my-kind"})
    assert untold.json()["spec"]["ratio"] is None


def test_an_invalid_request_points_at_the_fault(client: TestClient) -> None:
    body = assert_problem(client.post("/v1/translations", json={"dataset_id": 3}), 422, "validation-error")
    assert {error["pointer"] for error in body["errors"]} == {"/dataset_id", "/generator"}


def test_a_dataset_that_is_not_ready_cannot_be_translated(client: TestClient) -> None:
    made = client.post("/v1/datasets", json={"upload_id": upload(client)}).json()
    wish = {"dataset_id": made["dataset"]["id"], "generator": "camera-night"}
    body = assert_problem(client.post("/v1/translations", json=wish), 409, "dataset-not-ready")
    assert "Wait" in body["detail"]


def test_an_error_of_ours_shows_no_traceback(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("secret inner thing")

    monkeypatch.setattr(type(here(client).desk.library), "datasets", explode)
    response = client.get("/v1/datasets")
    assert_problem(response, 500, "internal-error")
    assert "secret" not in response.text


def test_polling_an_unchanged_job_costs_no_body(client: TestClient) -> None:
    job_id = client.post("/v1/datasets", json={"upload_id": upload(client)}).json()["job"]["id"]
    first = client.get(f"/v1/jobs/{job_id}")
    again = client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    client.post(f"/v1/jobs/{job_id}/cancel")
    changed = client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": first.headers["etag"]})
    assert changed.json()["state"] == "cancelled"


def test_cancelling_a_finished_job_is_refused(client: TestClient) -> None:
    ready_dataset(client)
    job_id = client.get("/v1/jobs").json()["items"][0]["id"]
    assert_problem(client.post(f"/v1/jobs/{job_id}/cancel"), 409, "illegal-transition")
    assert_problem(client.post(f"/v1/jobs/{job_id}/retry"), 409, "illegal-transition")


def test_events_are_streamed_to_the_end_and_resumed(client: TestClient) -> None:
    job_id = client.post("/v1/datasets", json={"upload_id": upload(client)}).json()["job"]["id"]
    client.post(f"/v1/jobs/{job_id}/cancel")
    response = client.get(f"/v1/jobs/{job_id}/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert [line for line in response.text.splitlines() if line.startswith("event: ")] == [
        "event: state", "event: state", "event: state", "event: progress", "event: end",
    ]  # fmt: skip
    ids = [int(line[4:]) for line in response.text.splitlines() if line.startswith("id: ")]
    later = client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(ids[-1])})
    assert "event: state" not in later.text
    assert "event: end" in later.text


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/datasets"])
def test_pages_follow_each_other_without_gap_or_repeat(client: TestClient, path: str) -> None:
    upload_id = upload(client)
    for number in range(5):
        client.post("/v1/datasets", json={"upload_id": upload_id, "name": str(number)})
    seen, cursor = [], None
    while True:
        page = client.get(path, params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5


def test_frames_are_paged_and_their_images_found(client: TestClient) -> None:
    dataset_id = ready_dataset(client)
    first = client.get(f"/v1/datasets/{dataset_id}/frames", params={"limit": 2}).json()
    rest = client.get(f"/v1/datasets/{dataset_id}/frames", params={"cursor": first["next_cursor"]}).json()
    frames = first["items"] + rest["items"]
    assert [frame["entry"]["frame"]["id"] for frame in frames] == ["f0", "f1", "f2"]
    assert rest["next_cursor"] is None
    image = client.get(frames[1]["image_url"])
    assert (image.content, image.headers["content-type"]) == (b"jpeg 1", "image/jpeg")
    assert_problem(client.get(f"/v1/datasets/{dataset_id}/frames/train/f9/image"), 404, "not-found")


def test_frames_are_filtered_and_a_cursor_is_good_for_its_filter(client: TestClient) -> None:
    dataset_id = ready_dataset(client, frames=12)
    path = f"/v1/datasets/{dataset_id}/frames"
    first = client.get(path, params={"text": "F1", "split": "train", "limit": 2}).json()
    same = {"text": "F1", "split": "train", "cursor": first["next_cursor"]}
    rest = client.get(path, params=same).json()
    found = [frame["entry"]["frame"]["id"] for frame in first["items"] + rest["items"]]
    assert found == ["f1", "f10", "f11"]
    for other in ({"text": "f1"}, {"suspect": "true"}, {}):
        refused = client.get(path, params={**other, "cursor": first["next_cursor"]})
        assert_problem(refused, 400, "foreign-cursor")
    for none in ({"category": "car"}, {"timeofday": "night"}, {"split": "val"}, {"suspect": "true"}):
        assert client.get(path, params=none).json() == {"items": [], "next_cursor": None}
    assert_problem(client.get(path, params={"split": "all"}), 422, "validation-error")


def test_a_frame_has_a_thumbnail_that_may_be_kept(client: TestClient) -> None:
    dataset_id = ready_dataset(client)
    picture = io.BytesIO()
    Image.linear_gradient("L").resize((640, 360)).save(picture, "JPEG")
    here(client).store.write(keys.dataset(dataset_id, keys.image("train", "f0", ".jpg")), picture.getvalue())
    first, broken, *_ = client.get(f"/v1/datasets/{dataset_id}/frames").json()["items"]
    image = client.get(first["thumbnail_url"])
    assert Image.open(io.BytesIO(image.content)).size == (320, 180)
    assert image.headers["content-type"] == "image/jpeg"
    assert image.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert_problem(client.get(broken["thumbnail_url"]), 422, "unreadable-image")
    for wrong in ("val/f0", "train/f9", "train/" + "f" * 300):
        answer = client.get(f"/v1/datasets/{dataset_id}/frames/{wrong}/thumbnail")
        assert_problem(answer, 404, "not-found")
    assert_problem(client.get(f"/v1/datasets/{dataset_id}/frames/all/f0/thumbnail"), 422, "validation-error")


def test_a_dataset_downloads_as_a_zip(client: TestClient) -> None:
    dataset_id = ready_dataset(client)
    response = client.get(f"/v1/datasets/{dataset_id}/archive")
    assert f'filename="{dataset_id}-yolo.zip"' in response.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
    assert {"data.yaml", "card.json", "manifest.jsonl", "images/train/f0.jpg", "labels/train/f2.txt"} <= names
    for name in ("card.json", "data.yaml", "manifest.jsonl"):
        assert client.get(f"/v1/datasets/{dataset_id}/files/{name}").status_code == 200
    assert client.get(f"/v1/datasets/{dataset_id}/report").json() == {"totals": {}, "findings": []}


def test_the_catalogue_lists_the_bundled_generators(client: TestClient) -> None:
    names = [card["reference"] for card in client.get("/v1/generators").json()["items"]]
    assert {"camera-night:1", "identity:1"} <= set(names)
    assert {name.partition(":")[0] for name in names} >= {"cyclegan-day2night", "cyclegan-night2day"}
    assert client.get("/v1/generators/camera-night").json()["direction"] == "day2night"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"architecture": "pix2pix"}, "invalid-request"),
        ({"direction": "sideways"}, "invalid-request"),
        ({"name": "camera-night"}, "invalid-request"),
        ({"name": "../etc"}, "validation-error"),
        ({"part_upload_ids": ["up-1"] * 9}, "validation-error"),
        ({"options": {"ratio": "nan", "more": []}}, "validation-error"),
    ],
)
def test_an_import_that_makes_no_sense_is_refused(
    client: TestClient, change: dict[str, Any], code: str
) -> None:
    wish = {
        "upload_id": upload(client),
        "name": "mine",
        "architecture": "cyclegan",
        "direction": "day2night",
        **change,
    }
    assert_problem(client.post("/v1/generators", json=wish), 422, code)


def test_a_checkpoint_in_parts_is_imported_from_all_its_uploads(client: TestClient) -> None:
    first, second = upload(client), upload(client)
    wish = {
        "upload_id": first, "part_upload_ids": [second], "name": "mine", "architecture": "kind",
        "direction": "night2day", "options": {"ratio": 0.2, "whole": 1, "is": True},
    }  # fmt: skip
    spec = client.post("/v1/generators", json=wish).json()["spec"]
    assert (spec["upload_id"], spec["part_upload_ids"]) == (first, [second])
    assert (spec["filename"], spec["version"]) == ("day.zip, day.zip", 1)
    assert [(type(value), value) for value in spec["options"].values()] == [
        (float, 0.2), (int, 1), (bool, True),
    ]  # fmt: skip
    lost = {**wish, "part_upload_ids": [second, "up-no"]}
    assert "up-no" in assert_problem(client.post("/v1/generators", json=lost), 404, "not-found")["detail"]
    whole = {name: value for name, value in wish.items() if name != "part_upload_ids"}
    assert client.post("/v1/generators", json=whole).json()["spec"]["version"] == 2, "nothing was reserved"


def test_health_and_readiness(client: TestClient) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["checks"] == {"database": "ok", "store": "ok", "broker": "ok"}


def test_every_operation_is_described(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) >= {
        "/v1/uploads",
        "/v1/datasets",
        "/v1/translations",
        "/v1/jobs/{job_id}/events",
    }


def test_a_job_that_failed_on_the_way_still_reports_what_it_found(client: TestClient) -> None:
    dataset_id = ready_dataset(client, frames=4)
    wish = {"dataset_id": dataset_id, "generator": "identity", "error_budget": 0.1}
    job_id = client.post("/v1/translations", json=wish).json()["id"]
    leases: LeaseStore = here(client).desk.leases
    leases.finish_plan(claim(client, job_id, 0), [ShardPlan(0, 1, 0, 2), ShardPlan(1, 2, 2, 2)], {})
    shard = claim(client, job_id, 1)
    broken = Finding("unreadable-image", Severity.ERROR, "f0.jpg", "It cannot be read.")
    write_results(here(client).store, shard.result_key, [FrameResult(None, (broken,))])
    leases.finish_work(shard, 1, 1, ["out of memory at batch 8: halved to 4"])
    job = client.get(f"/v1/jobs/{job_id}").json()
    assert (job["state"], job["error"]["code"]) == ("failed", "error-budget")
    assert job["outcome"]["notes"] == ["out of memory at batch 8: halved to 4"]
    report = client.get(f"/v1/jobs/{job_id}/report").json()
    assert [finding["path"] for finding in report["findings"]] == ["f0.jpg"]


def test_a_request_sent_twice_with_one_key_makes_one_job(client: TestClient) -> None:
    wish = {"upload_id": upload(client)}
    headers = {"Idempotency-Key": "my-key"}
    first = client.post("/v1/datasets", json=wish, headers=headers)
    again = client.post("/v1/datasets", json=wish, headers=headers)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotent-replay"] == "true"
    assert "idempotent-replay" not in first.headers
    assert len(client.get("/v1/jobs").json()["items"]) == 1
    other = {**wish, "name": "another"}
    assert_problem(client.post("/v1/datasets", json=other, headers=headers), 422, "idempotency-mismatch")
    new = client.post("/v1/datasets", json=other, headers={"Idempotency-Key": "new-key"})
    assert new.json()["dataset"]["id"] != first.json()["dataset"]["id"]


def test_a_request_that_was_refused_may_be_made_again_with_its_key(client: TestClient) -> None:
    headers = {"Idempotency-Key": "my-key"}
    assert_problem(
        client.post("/v1/datasets", json={"upload_id": "up-none"}, headers=headers), 404, "not-found"
    )
    wish = {"upload_id": upload(client)}
    assert client.post("/v1/datasets", json=wish, headers=headers).status_code == 202
    too_long = {"Idempotency-Key": "k" * 201}
    assert_problem(client.post("/v1/datasets", json=wish, headers=too_long), 422, "invalid-request")


def test_a_request_whose_twin_is_still_going_on_is_told_so(client: TestClient) -> None:
    wish = {"upload_id": upload(client)}
    body = client.build_request("POST", "/v1/datasets", json=wish).content
    IdempotencyStore(here(client).database).begin("my-key", "/v1/datasets", body)
    response = client.post("/v1/datasets", json=wish, headers={"Idempotency-Key": "my-key"})
    assert_problem(response, 409, "idempotency-in-progress")


def training(client: TestClient, **wish: Any) -> Any:
    day, night = wish.pop("day", None) or ready_dataset(client), wish.pop("night", None)
    body = {"architecture": "cyclegan", "day_dataset_id": day, "night_dataset_id": night or day, **wish}
    return client.post("/v1/trainings", json=body)


def running_training(client: TestClient, steps: int = 40) -> tuple[str, Any]:
    """A training that has begun, and its shard."""
    job_id = training(client, name="ours").json()["id"]
    leases: LeaseStore = here(client).desk.leases
    leases.finish_plan(claim(client, job_id, 0), [ShardPlan(0, 1, 0, 2 * steps)], {"steps": steps})
    return job_id, claim(client, job_id, 1)


def test_a_training_is_planned_by_whoever_is_free(client: TestClient, queue: Any) -> None:
    response = training(client)
    job = response.json()
    assert response.status_code == 202
    assert queue.by_name["shards"] == [(job["id"], 0)]
    assert (job["kind"], job["spec"]["recipe"]) == ("training", "default")


def test_a_dataset_for_both_sides_is_divided_by_its_tags(client: TestClient) -> None:
    spec = training(client, night_select={"weather": ["clear"]}).json()["spec"]
    assert spec["day"]["selection"] == {"split": ["train"], "timeofday": ["daytime"]}
    assert spec["night"]["selection"] == {"split": ["train"], "timeofday": ["night"], "weather": ["clear"]}
    both = {"split": ["train", "val"]}
    spec = training(client, night=ready_dataset(client), day_select=both).json()["spec"]
    assert (spec["day"]["selection"], spec["night"]["selection"]) == (both, {"split": ["train"]})


def test_every_training_of_a_name_is_promised_a_version_of_its_own(client: TestClient) -> None:
    specs = [training(client, name="ours").json()["spec"] for _ in range(3)]
    assert [spec["version"] for spec in specs] == [1, 2, 3]
    assert specs[0]["names"] == ["ours", "ours-night2day"]
    assert "ours" not in client.get("/v1/generators").text
    assert_problem(client.get("/v1/generators/ours"), 422, "unknown-generator")


@pytest.mark.parametrize(
    ("wish", "status", "code", "said"),
    [
        ({"architecture": "cyclgan"}, 422, "invalid-request", "cyclegan"),
        ({"night": "ds-none"}, 404, "not-found", "ds-none"),
        ({"name": "camera-night"}, 422, "invalid-request", "bundled"),
        ({"name": "../weights"}, 422, "validation-error", "name"),
        ({"recipe": "../secret"}, 422, "validation-error", "recipe"),
        ({"steps": -1}, 422, "validation-error", "steps"),
        ({"day_select": {"split": ["training"]}}, 422, "invalid-request", "train"),
        ({"direction": "sideways"}, 422, "validation-error", "direction"),
        ({"backbone_upload_id": "up-none"}, 404, "not-found", "up-none"),
    ],
)
def test_a_training_that_makes_no_sense_is_refused(
    client: TestClient, wish: dict[str, Any], status: int, code: str, said: str
) -> None:
    assert said in assert_problem(training(client, **wish), status, code)["detail"]


def test_a_training_is_told_its_direction_and_its_backbone(client: TestClient) -> None:
    weights = upload(client)
    wish = {"architecture": "enlightengan", "direction": "night2day", "backbone_upload_id": weights}
    spec = training(client, **wish).json()["spec"]
    assert {name: spec[name] for name in wish} == wish
    spec = training(client).json()["spec"]
    assert (spec["direction"], spec["backbone_upload_id"]) == ("", None)


def test_a_training_is_watched_by_its_losses_and_samples(client: TestClient) -> None:
    job_id, shard = running_training(client)
    leases, store = here(client).desk.leases, here(client).store
    told = {"steps": 40, "images_per_second": 4.0, "seconds_left": 7.5}
    for step in (10, 20, 10, 20, 30):  # a worker died, and two reports came again
        leases.note(shard, "training", {"step": step, "losses": {"G_A": step / 10}, **told})
    leases.note(shard, "checkpoint", {"step": 20})
    leases.note(shard, "sample", {"step": 16})
    store.write(keys.training_sample(keys.plan(job_id), 16), b"a picture")
    view = client.get(f"/v1/trainings/{job_id}").json()
    assert (view["step"], view["steps"], view["checkpoint_step"]) == (30, 40, 20)
    assert (view["losses"], view["samples"], view["seconds_left"]) == ({"G_A": 3.0}, [16], 7.5)
    assert view["job"]["progress"]["images_per_second"] == 4.0
    assert client.get(f"/v1/trainings/{job_id}/samples/16").content == b"a picture"
    assert_problem(client.get(f"/v1/trainings/{job_id}/samples/17"), 404, "not-found")
    first = client.get(f"/v1/trainings/{job_id}/losses", params={"limit": 2}).json()
    assert [item["step"] for item in first["items"]] == [10, 20]
    rest = client.get(f"/v1/trainings/{job_id}/losses", params={"cursor": first["next_cursor"]}).json()
    assert ([item["step"] for item in rest["items"]], rest["next_cursor"]) == ([30], None)


def test_only_a_training_is_watched_as_one(client: TestClient) -> None:
    job_id = client.post("/v1/quality", json={"dataset_id": ready_dataset(client)}).json()["id"]
    assert_problem(client.get(f"/v1/trainings/{job_id}"), 422, "invalid-request")


def test_a_training_taken_up_again_leaves_its_samples_where_they_were(client: TestClient) -> None:
    job_id, _ = running_training(client)
    here(client).store.write(keys.training_sample(keys.plan(job_id), 16), b"a picture")
    client.post(f"/v1/jobs/{job_id}/cancel")
    here(client).desk.jobs.fail(job_id, "x", "x")
    leases: LeaseStore = here(client).desk.leases
    shard = here(client).desk.jobs.shards(job_id)[1]
    leases.release(shard, "job stopped")
    again = client.post(f"/v1/jobs/{job_id}/retry").json()
    assert again["spec"]["version"] == 1
    assert client.get(f"/v1/trainings/{again['id']}/samples/16").content == b"a picture"


def test_quality_names_its_dataset_its_reference_and_its_backbone(client: TestClient, queue: Any) -> None:
    dataset, reference, weights = ready_dataset(client), ready_dataset(client), upload(client)
    wish = {
        "dataset_id": dataset, "reference_id": reference, "reference_select": {"timeofday": ["night"]},
        "backbone": "inception", "backbone_upload_id": weights,
    }  # fmt: skip
    response = client.post("/v1/quality", json=wish)
    job = response.json()
    assert (response.status_code, job["kind"]) == (202, "quality")
    assert job["spec"]["reference"]["selection"] == {"timeofday": ["night"]}
    assert job["spec"]["backbone"] == {"name": "inception", "upload_id": weights}
    assert (job["id"], 0) in queue.by_name["shards"]
    for missing in ({"dataset_id": "ds-no"}, {**wish, "reference_id": "ds-no"}):
        assert_problem(client.post("/v1/quality", json=missing), 404, "not-found")
    lost = {**wish, "backbone_upload_id": "up-no"}
    assert_problem(client.post("/v1/quality", json=lost), 404, "not-found")
