"""The page of a job: its parts, its stream, the images of one that is under way."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from fastapi.testclient import TestClient

from service.api.dependencies import Services
from service.datasets.dataset import Finding, Frame, Severity, Split
from service.datasets.manifest import ManifestEntry
from service.datasets.selection import Selection
from service.jobs.experiments import Chosen, ExperimentWish, submit_experiment
from service.jobs.job import Job, JobKind, Shard, ShardPlan
from service.jobs.results import FrameResult, write_results
from service.jobs.submit import (
    Desk,
    GeneratorImportWish,
    IngestWish,
    QualityWish,
    TrainingWish,
    TranslationWish,
    submit_generator_import,
    submit_ingest,
    submit_quality,
    submit_training,
    submit_translation,
)
from service.storage import keys
from service.web.jobs.findings import PAGE_LENGTH
from service.web.jobs.newest_pairs import MOST_PAIRS, newest_pairs, result_key
from service.web.jobs.parts import JobParts, digests, parse_shown, shown_id
from service.web.jobs.timeline import timeline
from tests.service.conftest import AddDataset
from tests.serving import Serving, new_key

# For each kind: how one is made, and what its page tells of that.
WISHES: dict[JobKind, tuple[Callable[[Desk], Job], Sequence[str]]] = {
    JobKind.INGEST: (
        lambda desk: submit_ingest(desk, IngestWish("up-1", licence="ours")),
        ["&lt;i&gt;day.zip", "ours"],
    ),
    JobKind.TRANSLATION: (
        lambda desk: submit_translation(desk, TranslationWish("ds-day", "camera-night", strength=0.5)),
        ["/datasets/ds-day", "/generators/camera-night%3A1", "0.5"],
    ),
    JobKind.QUALITY: (
        lambda desk: submit_quality(desk, QualityWish("ds-day", "ds-night")),
        ["frames of ds-day", "frames of ds-night", "streetnet"],
    ),
    JobKind.GENERATOR_IMPORT: (
        lambda desk: submit_generator_import(
            desk, GeneratorImportWish("up-1", "mine", "cyclegan", "day2night", {}, {})
        ),
        ["&lt;i&gt;day.zip", "cyclegan", "this tenant"],
    ),
    JobKind.TRAINING: (
        lambda desk: submit_training(desk, TrainingWish("cyclegan", "ds-day", "ds-night", seed=7)),
        ["frames of ds-day", "frames of ds-night", "split: train", "7"],
    ),
    JobKind.EXPERIMENT: (
        lambda desk: submit_experiment(
            desk,
            ExperimentWish(
                {"day": Chosen("ds-day"), "night": Chosen("ds-night")},
                Chosen("ds-night", Selection.from_json({"split": ["test"]})),
            ),
            (),
        ),
        ["Tested on", "split: test", "0, 1, 2", "nightshift experiment"],
    ),
}
OWN = {"Origin": "http://testserver"}
FRAMES = 40


@pytest.fixture
def client(serving: Serving, add_dataset: AddDataset) -> TestClient:
    """A browser that has signed in, on a service with a dataset."""
    client = serving(follow_redirects=False)
    add_dataset("ds-day")
    sign_in(client, "local")
    return client


@pytest.fixture
def job(client: TestClient) -> Job:
    return submit_translation(here(client).desk, TranslationWish("ds-day", "camera-night"))


def here(client: TestClient) -> Services:
    found: Services = client.app.state.services  # type: ignore[attr-defined]
    return found


def sign_in(client: TestClient, tenant: str) -> None:
    client.headers.pop("Authorization", None)
    assert client.post("/sign-in", data={"key": new_key(client, tenant)}, headers=OWN).status_code == 303


def claimed(client: TestClient, job: Job, index: int) -> Shard:
    shard = here(client).desk.leases.claim(job.id, index, "worker")
    assert shard is not None
    return shard


def planned(client: TestClient, job: Job, shards: int = 2) -> list[str]:
    """As a worker leaves the plan. Returns the frames' ids."""
    frames = [Frame(f"f{number:02}.jpg", f"f{number:02}", Split.TRAIN, 64, 36) for number in range(FRAMES)]
    entries = [ManifestEntry(frame, keys.image("train", frame.id, ".jpg"), "0" * 64) for frame in frames]
    lines = [entry.to_line().encode() + b"\n" for entry in entries]
    here(client).store.write(keys.plan(job.id), b"".join(lines))
    each, length = FRAMES // shards, len(lines[0])
    assert {len(line) for line in lines} == {length}
    parts = [ShardPlan(k * each * length, (k + 1) * each * length, k * each, each) for k in range(shards)]
    here(client).desk.leases.finish_plan(claimed(client, job, 0), parts, {"frames_total": FRAMES})
    return [frame.id for frame in frames]


def translate(client: TestClient, job: Job, ids: list[str]) -> None:
    for frame_id in ids:
        here(client).store.write(result_key(job, Split.TRAIN, frame_id), b"jpeg of " + frame_id.encode())


def events(text: str) -> list[dict[str, str]]:
    """Of a stream, each with its last `data` line."""
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [dict(line.partition(": ")[::2] for line in block if ": " in line) for block in blocks]


def test_the_newest_frames_of_running_and_finished_parts_are_shown_as_far_as_they_are_there(
    client: TestClient, job: Job
) -> None:
    ids = planned(client, job)
    assert newest_pairs(here(client), job) == []
    first, second = claimed(client, job, 1), claimed(client, job, 2)
    translate(client, job, [*ids[:19], *ids[20:23]])  # the last one of the first part has failed
    here(client).desk.leases.finish_work(first, 19, 1, [])
    here(client).desk.leases.renew(second, 3, 0)
    found = [pair.id for pair in newest_pairs(here(client), job)]
    assert len(found) == MOST_PAIRS
    assert set(found) == {*ids[20:23], *ids[14:19]}
    assert found[:2] == [ids[22], ids[18]]  # those at work first, each from its newest on


def test_an_image_of_a_job_under_way_is_for_its_own_tenant(client: TestClient, job: Job) -> None:
    ids = planned(client, job)
    translate(client, job, ids[:1])
    path = f"/jobs/{job.id}/frames/train"
    assert client.get(f"{path}/{ids[0]}/image").content == b"jpeg of f00"
    for missing in (f"{path}/{ids[1]}/image", f"{path}/f%2000/image", f"{path}/{ids[1]}/thumbnail"):
        assert client.get(missing).status_code == 404
    assert client.get(f"/v1/datasets/{job.result_id}/frames/train/{ids[0]}/image").status_code == 409
    sign_in(client, "other")
    assert client.get(f"{path}/{ids[0]}/image").status_code == 404


@pytest.mark.parametrize("ending", ["", "/live"], ids=["page", "stream"])
def test_a_job_of_another_tenant_is_not_there(client: TestClient, job: Job, ending: str) -> None:
    sign_in(client, "other")
    answer = client.get(f"/jobs/{job.id}{ending}")
    assert answer.status_code == 404
    assert "There is no job" in answer.text
    assert client.post(f"/jobs/{job.id}/cancel", headers=OWN).status_code == 404
    assert "Drawn" not in client.get("/jobs").text


def test_whoever_comes_back_is_sent_what_has_changed_since(client: TestClient, job: Job) -> None:
    client.post(f"/jobs/{job.id}/cancel", headers=OWN)
    first = events(client.get(f"/jobs/{job.id}/live").text)
    assert {each["event"] for each in first} >= {"state", "progress", "actions", "timeline", "end"}
    last_id = first[-2]["id"]
    again = client.get(f"/jobs/{job.id}/live", headers={"Last-Event-ID": last_id})
    assert [each["event"] for each in events(again.text)] == ["end"]
    without = {name: digest for name, digest in parse_shown(last_id).items() if name != "state"}
    by_address = client.get(f"/jobs/{job.id}/live", params={"shown": shown_id(without)})
    assert [each["event"] for each in events(by_address.text)] == ["state", "end"]


def test_what_the_page_shows_at_first_is_not_sent_again(client: TestClient, job: Job) -> None:
    client.post(f"/jobs/{job.id}/cancel", headers=OWN)
    parts = JobParts(here(client), job.id).look()
    html = client.get(f"/jobs/{job.id}").text
    assert "sse-connect" not in html  # it has ended: nothing will come
    assert "Retry" in html
    assert digests(parts) == digests(JobParts(here(client), job.id).look())


@pytest.mark.parametrize("text", ["", "-", "state", "state.", ".", "é.é-x"])
def test_a_foreign_event_id_says_nothing(text: str) -> None:
    assert "state" not in parse_shown(text)


def test_a_look_makes_only_those_parts_again_that_may_have_changed(client: TestClient, job: Job) -> None:
    planned(client, job)
    parts = JobParts(here(client), job.id)
    before = changed(parts, {})
    assert changed(parts, before).keys() <= {"progress"}  # the clock goes on
    translate(client, job, ["f00"])
    here(client).desk.leases.renew(claimed(client, job, 1), 1, 0)
    after = dict(parts.look())
    assert "f00.jpg" in after["pairs"]
    assert "1 of 40" in after["progress"]
    assert after["title"] == "<title>2 % · Translation · Nightshift</title>"
    assert after["actions"] == before["actions"]


def test_frames_that_failed_are_named_page_by_page(client: TestClient, job: Job) -> None:
    planned(client, job, shards=1)
    shard = claimed(client, job, 1)
    fault = Finding("unreadable-image", Severity.ERROR, "<b>f.jpg", "It is broken.", "Ingest it again.")
    failed = [FrameResult(None, (fault,))] * (PAGE_LENGTH + 3)
    write_results(here(client).store, shard.result_key, failed)
    here(client).desk.leases.finish_work(shard, FRAMES - 30, 30, [])
    html = client.get(f"/jobs/{job.id}").text
    assert html.count("&lt;b&gt;f.jpg") == PAGE_LENGTH
    assert "Ingest it again." in html
    assert "more than the error budget" in html
    more = client.get(f"/jobs/{job.id}/findings", params={"start": PAGE_LENGTH}).text
    assert more.count("&lt;b&gt;f.jpg") == 3
    assert "Show more" not in more


def test_the_timeline_tells_what_is_out_of_the_ordinary(client: TestClient, job: Job) -> None:
    planned(client, job)
    leases = here(client).desk.leases
    leases.retry(claimed(client, job, 1), "RuntimeError: <script>")
    leases.split(claimed(client, job, 2), [ShardPlan(0, 1, 0, 1)])
    texts = [each.text for each in timeline(here(client), job.id)]
    assert texts == [
        "Part 2 lost its worker and was cut into 1.",
        "Part 1 was given back: RuntimeError: <script>.",
        "40 frames in 2 parts.",
        "Work began.",
        "It was handed in.",
    ]
    assert "RuntimeError: &lt;script&gt;" in client.get(f"/jobs/{job.id}").text


def test_a_retry_is_a_new_job_and_a_second_one_is_refused(client: TestClient, job: Job) -> None:
    client.post(f"/jobs/{job.id}/cancel", headers=OWN)
    answer = client.post(f"/jobs/{job.id}/retry", headers=OWN)
    assert answer.status_code == 303
    new = answer.headers["location"]
    assert new != f"/jobs/{job.id}"
    assert f"/jobs/{job.id}" in client.get(new).text  # what it is the retry of
    part = client.post(f"/jobs/{job.id}/retry", headers={**OWN, "HX-Request": "true"})
    assert part.status_code == 409
    assert "<html" not in part.text


def test_the_list_asks_for_itself_as_long_as_something_goes_on(client: TestClient, job: Job) -> None:
    page = client.get("/jobs").text
    assert 'hx-trigger="every 2s"' in page
    part = client.get("/jobs", headers={"HX-Request": "true"}).text
    assert "<html" not in part
    assert job.id in part
    client.post(f"/jobs/{job.id}/cancel", headers=OWN)
    assert "hx-trigger" not in client.get("/jobs").text
    assert job.id in client.get("/jobs", params={"state": "cancelled", "kind": "translation"}).text
    found = client.get("/v1/jobs", params={"state": ["cancelled", "failed"]}).json()["items"]
    assert [each["id"] for each in found] == [job.id]
    assert "None of these" in client.get("/jobs", params={"state": "under-way"}).text


def test_every_kind_of_job_has_a_page_that_says_what_was_asked(
    client: TestClient, add_dataset: AddDataset
) -> None:
    assert WISHES.keys() == set(JobKind)
    add_dataset("ds-night")
    desk = here(client).desk
    desk.library.add_upload("up-1", "<i>day.zip", 100, "0" * 64)
    for kind, (submit, words) in WISHES.items():
        job = submit(desk)
        html = client.get(f"/jobs/{job.id}").text
        asked = html.partition("What was asked")[2]
        assert [word for word in words if word not in asked] == []
        assert "<i>" not in html
        assert job.id in client.get("/jobs", params={"kind": kind}).text


def test_the_list_goes_on_by_cursor(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.web.jobs.jobs.PAGE_LENGTH", 2)
    made = [
        submit_translation(here(client).desk, TranslationWish("ds-day", "camera-night")).id for _ in range(3)
    ]
    first = client.get("/jobs").text
    assert [job_id in first for job_id in made] == [False, True, True]
    following = first.partition('id="to-older"')[2].split('"')[3].replace("&amp;", "&")
    second = client.get(following).text
    assert [job_id in second for job_id in made] == [True, False, False]


def changed(parts: JobParts, before: Mapping[str, str]) -> dict[str, str]:
    return {name: html for name, html in parts.look().items() if before.get(name) != html}
