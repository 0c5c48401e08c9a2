"""Where the operator wishes it, images and files come from the store itself, by a link for five minutes."""

import urllib.request
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.settings import Settings
from service.storage import keys
from tests.servers.ceph import CephServer, s3_settings
from tests.serving import Serving

FRAME = "/v1/datasets/{}/frames/train/f0/image"


@pytest.fixture
def linked(s3_server: CephServer, settings: Settings) -> Settings:
    return s3_settings(s3_server, settings.data_dir, presign_downloads=True)


def fill(client: TestClient, dataset_id: str) -> None:
    store = client.app.state.services.store  # type: ignore[attr-defined]
    store.write(keys.dataset(dataset_id, keys.image("train", "f0", ".jpg")), b"jpeg 0")
    store.write(keys.card(dataset_id), b"{}")


@pytest.mark.servers
def test_who_may_read_an_image_is_sent_to_the_store(
    serving: Serving, linked: Settings, add_dataset: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    client = serving(linked)
    fill(client, add_dataset("ds-1"))
    answer = client.get(FRAME.format("ds-1"), follow_redirects=False)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (307, "no-store")
    assert "X-Amz-Expires=300" in answer.headers["Location"]
    with urllib.request.urlopen(answer.headers["Location"], timeout=20) as image:  # noqa: S310 - our server
        assert (image.read(), image.headers["Content-Type"]) == (b"jpeg 0", "image/jpeg")
    said = capfd.readouterr()
    assert "X-Amz-Signature" not in said.out + said.err


@pytest.mark.servers
def test_a_file_is_kept_under_a_name_that_we_give(
    serving: Serving, linked: Settings, add_dataset: Any
) -> None:
    client = serving(linked)
    fill(client, add_dataset("ds-1"))
    answer = client.get("/v1/datasets/ds-1/files/card.json", follow_redirects=False)
    with urllib.request.urlopen(answer.headers["Location"], timeout=20) as file:  # noqa: S310 - our server
        assert file.read() == b"{}"
        assert file.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert file.headers["Content-Disposition"].startswith('attachment; filename="ds-1-card.json"')


@pytest.mark.servers
def test_no_link_is_given_to_what_is_not_there_or_not_ones_own(
    serving: Serving, linked: Settings, add_dataset: Any
) -> None:
    client = serving(linked)
    fill(client, add_dataset("ds-1"))
    for path in ("/v1/datasets/ds-1/frames/train/f1/image", FRAME.format("ds-2")):
        assert client.get(path, follow_redirects=False).status_code == 404
    assert client.get(FRAME.format("ds-1"), headers={"Authorization": ""}).status_code == 401


def test_without_that_wish_the_bytes_come_from_here(serving: Serving, add_dataset: Any) -> None:
    client = serving()
    fill(client, add_dataset("ds-1"))
    assert client.get(FRAME.format("ds-1"), follow_redirects=False).content == b"jpeg 0"
