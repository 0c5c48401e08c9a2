"""A preview's frames over HTTP: listed while they come, each image by its number."""

from fastapi.testclient import TestClient

from service.jobs.job import ShardPlan
from service.storage import keys
from tests.service.api.test_api import claim, here, ready_dataset
from tests.serving import Serving


def previewed(client: TestClient) -> str:
    """Two frames are chosen, the first is translated."""
    wish = {"dataset_id": ready_dataset(client, 2), "generator": "identity", "preview": 4}
    job_id = str(client.post("/v1/translations", json=wish).json()["id"])
    services = here(client)
    dataset = services.store.read(keys.manifest(wish["dataset_id"]))
    services.store.write(keys.plan(job_id), dataset)
    services.desk.leases.finish_plan(claim(client, job_id, 0), [ShardPlan(0, len(dataset), 0, 2)], {})
    shard = claim(client, job_id, 1)
    services.store.write(keys.preview_image(shard.result_key, "images/train/f0.jpg"), b"\xff\xd8 night")
    return job_id


def test_frames_are_listed_with_both_images(serving: Serving) -> None:
    client = serving()
    job_id = previewed(client)
    first, second = client.get(f"/v1/jobs/{job_id}/preview").json()["frames"]
    assert (first["name"], first["split"], first["id"], first["width_px"]) == ("f0.jpg", "train", "f0", 8)
    assert second["image_url"] is None
    image = client.get(first["image_url"])
    assert (image.content, image.headers["content-type"]) == (b"\xff\xd8 night", "image/jpeg")
    assert client.get(first["source_url"]).content == b"jpeg 0"
    for number in (1, 2, -1):
        assert client.get(f"/v1/jobs/{job_id}/preview/{number}").status_code == 404


def test_a_job_that_is_no_preview_has_none(serving: Serving) -> None:
    client = serving()
    wish = {"dataset_id": ready_dataset(client), "generator": "identity"}
    job_id = client.post("/v1/translations", json=wish).json()["id"]
    answer = client.get(f"/v1/jobs/{job_id}/preview")
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
