"""Datasets on the page: a zip is dropped, sent, interrupted and read; then looked at, fetched, deleted."""

import base64
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from service.client.errors import JobFailed
from tests.page.conftest import Tab, World

pytestmark = pytest.mark.slow

UPLOADS = "**/v1/uploads/*"
MADE = "**/datasets/ds-*"
PIECE_BYTES = 100_000
NO_SUCH_RESOURCE = "console: Failed to load resource"


@pytest.fixture(scope="module")
def streets_zip(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("upload") / "streets.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(world.folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(world.folder))
    return path


def expects_failures(tab: Tab) -> None:
    """The browser and htmx write every answer that is no success to the console: here they are meant."""
    told = (NO_SUCH_RESOURCE, "console: Response Status Error Code", "console: htmx:")
    tab.wrongs[:] = [wrong for wrong in tab.wrongs if not wrong.startswith(told)]


def in_small_pieces(page: Page) -> None:
    page.evaluate(f"document.getElementById('new-dataset').dataset.pieceBytes = {PIECE_BYTES}")


def drop(page: Page, name: str, data: bytes) -> None:
    """As a file manager does it: the events of a drag that ends on the page's heading."""
    transfer = page.evaluate_handle(
        """([name, data]) => {
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, { type: "application/zip" }));
            return transfer;
        }""",
        [name, base64.b64encode(data).decode()],
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event("h1", event, {"dataTransfer": transfer})


def choose(page: Page, file: Path | dict[str, Any]) -> None:
    page.set_input_files("#file", file)  # type: ignore[arg-type]


def test_a_zip_that_is_dropped_is_read_as_asked_and_can_be_fetched(
    tab: Tab, world: World, streets_zip: Path, tmp_path: Path
) -> None:
    page = tab.open("/datasets")
    page.get_by_text("How it is to be read").click()
    page.get_by_label("Name", exact=True).fill("Dropped <b>streets</b>")
    page.get_by_label("val", exact=True).check()
    tab.shoot("new-dataset")
    tab.check_access()
    with page.expect_file_chooser():
        page.locator("#file").press("Enter")
    drop(page, "streets.zip", streets_zip.read_bytes())
    page.wait_for_url(MADE)
    expect(page.get_by_role("heading", name="Dropped <b>streets</b>")).to_be_visible()
    expect(page.locator(".head .badge")).to_have_text("ready")
    expect(page.locator(".figures")).to_contain_text("2\nframes", use_inner_text=True)
    with page.expect_download() as download:
        page.get_by_role("link", name="COCO").click()
    download.value.save_as(tmp_path / "coco.zip")
    with zipfile.ZipFile(tmp_path / "coco.zip") as archive:
        assert archive.testzip() is None
        assert "annotations/instances_val.json" in archive.namelist()


def test_a_reload_in_mid_upload_goes_on_where_the_server_is(
    tab: Tab, world: World, streets_zip: Path
) -> None:
    page = tab.open("/datasets")
    in_small_pieces(page)
    pieces: list[Request] = []

    def hold_the_third(route: Route) -> None:
        """It is never answered: the page is left while it is on its way."""
        if route.request.method == "PATCH":
            pieces.append(route.request)
        if len(pieces) != 3 or route.request.method != "PATCH":
            route.continue_()

    page.route(UPLOADS, hold_the_third)
    third = f"{2 * PIECE_BYTES}"
    with page.expect_request(lambda request: request.headers.get("upload-offset") == third):
        choose(page, streets_zip)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    tab.shoot("upload-under-way")
    page.reload()
    left = page.locator(".unfinished li")
    expect(left).to_contain_text("streets.zip")
    expect(left).to_contain_text("is here. Choose or drop the same file")
    tab.shoot("upload-unfinished")
    tab.check_access()
    sent: list[Request] = []
    page.on("request", lambda request: sent.append(request) if "/v1/uploads" in request.url else None)
    choose(page, streets_zip)
    page.wait_for_url(MADE)
    assert "POST" not in {request.method for request in sent}
    first = next(request for request in sent if request.method == "PATCH")
    assert first.headers["upload-offset"] == third
    page.goto(f"{world.url}/datasets")
    expect(page.locator("#file")).to_be_enabled()
    assert page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('tus::'))") == []
    page.unroute_all(behavior="ignoreErrors")


def test_an_upload_waits_for_its_user_and_for_the_server(tab: Tab, streets_zip: Path) -> None:
    page = tab.open("/datasets")
    in_small_pieces(page)
    failures = [lambda route: route.abort(), lambda route: route.fulfill(status=503)]

    def fail_twice(route: Route) -> None:
        if route.request.method == "PATCH" and failures:
            failures.pop()(route)
        else:
            route.continue_()

    page.route(UPLOADS, fail_twice)
    choose(page, streets_zip)
    expect(page.locator(".sending [role=status]")).to_contain_text("Trying again in")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".sending [role=status]")).to_contain_text("Paused")
    tab.check_access()
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url(MADE)
    expects_failures(tab)


def test_a_cancelled_upload_is_forgotten_on_both_sides(tab: Tab, streets_zip: Path) -> None:
    page = tab.open("/datasets")
    page.route(UPLOADS, lambda route: route.continue_() if route.request.method != "PATCH" else None)
    with page.expect_request(lambda request: request.method == "PATCH") as piece:
        choose(page, streets_zip)
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as ended:
        page.get_by_role("button", name="Cancel").click()
    assert ended.value.status == 204
    expect(page.get_by_text("Drop a zip of labelled images")).to_be_visible()
    expect(page.locator(".unfinished")).to_be_hidden()
    assert page.evaluate("(url) => fetch(url).then((answer) => answer.status)", piece.value.url) == 410
    page.unroute_all(behavior="ignoreErrors")
    expects_failures(tab)


def test_what_is_refused_says_what_to_do(tab: Tab, streets_zip: Path) -> None:
    page = tab.open("/datasets")
    refusal = page.locator('[data-word="refusal"]')
    choose(page, {"name": "streets.tar", "mimeType": "application/x-tar", "buffer": b"tar"})
    expect(refusal).to_contain_text("Pack the folder with images and labels as a zip")
    page.evaluate("document.getElementById('new-dataset').dataset.mostBytes = 10")
    choose(page, streets_zip)
    expect(refusal).to_contain_text("Split the dataset")
    page.reload()
    # A mistake in the options is found when all of the file is there: then it costs no second upload.
    page.get_by_text("How it is to be read").click()
    page.get_by_label("Categories under other names").fill("van")
    choose(page, streets_zip)
    expect(page.locator("#problem")).to_contain_text("Write NAME=CATEGORY")
    tab.shoot("new-dataset-refused")
    page.get_by_label("Categories under other names").fill("van=car")
    page.get_by_role("button", name="Make the dataset").click()
    page.wait_for_url(MADE)
    expects_failures(tab)


def test_who_is_not_signed_in_any_more_loses_nothing(tab: Tab, world: World, streets_zip: Path) -> None:
    page = tab.open("/datasets")
    cookies = page.context.cookies()
    page.context.clear_cookies()
    choose(page, streets_zip)
    fault = page.locator('[data-word="fault"]')
    expect(fault).to_contain_text("Sign in again in another tab")
    page.context.add_cookies(cookies)
    refused = '{"detail": "200 of 200 bytes are in use. Delete what is no longer needed."}'
    page.route("**/v1/uploads", lambda route: route.fulfill(status=413, body=refused))
    page.get_by_role("button", name="Go on").click()
    expect(fault).to_contain_text("Delete what is no longer needed.")
    tab.shoot("upload-refused")
    page.unroute_all()
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url(MADE)
    expects_failures(tab)


def test_an_upload_of_which_no_dataset_was_made_is_still_there_after_a_reload(
    tab: Tab, streets_zip: Path
) -> None:
    page = tab.open("/datasets")
    page.route("**/datasets", lambda route: route.abort())
    choose(page, streets_zip)
    expect(page.locator("#problem")).to_contain_text("The server does not answer")
    page.unroute_all()
    page.reload()
    expect(page.locator(".unfinished li")).to_contain_text("all of it is here")
    page.locator(".unfinished").get_by_role("button", name="Make the dataset").click()
    page.wait_for_url(MADE)
    expects_failures(tab)


def test_a_dataset_shows_its_counts_its_doubts_and_its_findings(
    new_tab: Callable[..., Tab], world: World
) -> None:
    for name, options in {"": {}, "-dark": {"dark": True}, "-phone": {"phone": True}}.items():
        tab = new_tab(**options)
        page = tab.open(f"/datasets/{world.day.id}")
        expect(page.get_by_role("heading", name="Tags that the pixels contradict")).to_be_visible()
        expect(page.locator(".doubts .frame")).to_have_count(1)
        expect(page.locator(".doubts img")).to_have_js_property("naturalWidth", 320)
        expect(page.locator("figure.bars", has_text="Boxes by category")).to_contain_text("car")
        if name != "-phone":
            tab.check_access()
        tab.shoot(f"dataset{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("link", name="1 frame", exact=True).click()
        page.wait_for_url("**/findings?code=not-daytime")
        rows = page.locator("table.findings tbody tr")
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("looks like night")
        if name != "-phone":
            tab.check_access()
        tab.shoot(f"findings{name}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        rows.get_by_role("link").click()
        page.wait_for_url(f"**/datasets/{world.day.id}/frames/train/*")


def test_a_rejected_upload_says_why_and_is_tried_again_or_deleted(
    tab: Tab, world: World, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("readme.txt", "nothing here")
    made = world.client.create_dataset(world.client.upload(tmp_path / "empty.zip"), name="Nothing in it")
    with pytest.raises(JobFailed):
        world.client.wait_for_dataset(made)
    page = tab.open(f"/datasets/{made.dataset.id}")
    expect(page.locator("main")).to_contain_text("The upload holds no images")
    tab.shoot("dataset-rejected")
    tab.check_access()
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".head .badge")).to_have_text("pending")
    tab.shoot("dataset-pending")
    expect(page.locator(".head .badge")).to_have_text("rejected")
    page.get_by_role("button", name="Delete…").click()
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    tab.shoot("dataset-delete")
    tab.check_access()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete it").click()
    page.wait_for_url(f"{world.url}/datasets")
    expect(page.get_by_role("link", name="Drawn streets", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Nothing in it")).to_have_count(0)
