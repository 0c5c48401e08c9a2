"""The grid of frames: filters, further pages, boxes; one frame alone, and stepping from one to the next."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.page.conftest import Tab, World

pytestmark = pytest.mark.slow
TILES = ".frames .frame"
HOSTILE_NAME = "<img src=x onerror=alert(1)>.jpg"
HOSTILE_CATEGORY = "\"><script>alert(2)</script>'"


def test_a_filter_changes_the_grid_and_the_address(tab: Tab, world: World) -> None:
    page, path = tab.open(f"/datasets/{world.day.id}/frames"), f"{world.url}/datasets/{world.day.id}/frames"
    expect(page.locator(TILES)).to_have_count(12)
    expect(page.locator(".more")).to_have_count(0)
    tab.shoot("frames")
    tab.check_access()
    page.get_by_label("Split").select_option("val")
    expect(page.locator(TILES)).to_have_count(2)
    expect(page).to_have_url(f"{path}?split=val")
    expect(page.get_by_role("status")).to_have_text("2 of 12 frames.")
    page.reload()
    expect(page.locator(TILES)).to_have_count(2)
    expect(page.get_by_label("Split")).to_have_value("val")
    name = page.locator(".file").first.inner_text()
    page.get_by_label("Part of the name").fill(name[:8].upper())
    expect(page.locator(TILES)).to_have_count(1)
    expect(page).to_have_url(f"{path}?split=val&text={name[:8].upper()}")
    page.get_by_label("Part of the name").fill("nowhere")
    expect(page.get_by_role("heading", name="No frame fits")).to_be_visible()
    tab.shoot("frames-none")
    page.get_by_role("link", name="All frames").click()
    expect(page.locator(TILES)).to_have_count(12)
    page.go_back()
    expect(page.get_by_label("Part of the name")).to_have_value("nowhere")
    page.go_back()
    expect(page.locator(TILES)).to_have_count(1)
    page.get_by_label("Boxes").uncheck()
    expect(page.locator(f"{TILES} .boxes")).to_be_hidden()


def test_frames_whose_light_contradicts_their_tag_can_be_asked_for(tab: Tab, world: World) -> None:
    page = tab.open(f"/datasets/{world.day.id}/frames")
    page.get_by_label("Light and tag").select_option("contradict each other")
    expect(page.locator(TILES)).to_have_count(1)
    expect(page.locator(TILES)).to_contain_text("looks like night")


def test_the_next_frames_come_before_the_last_one_is_passed(tab: Tab, world: World) -> None:
    page = tab.open(f"/datasets/{world.night.id}/frames?limit=5&split=train")
    expect(page.locator(TILES)).to_have_count(10)
    expect(page.locator(".more")).to_have_count(0)
    assert len(set(_addresses(page))) == 10
    assert all(address.endswith("?split=train") for address in _addresses(page))


def test_more_frames_come_by_keyboard(tab: Tab, world: World) -> None:
    tab.page.add_init_script("window.IntersectionObserver = class { observe() {} unobserve() {} };")
    page = tab.open(f"/datasets/{world.night.id}/frames?limit=5")
    expect(page.locator(TILES)).to_have_count(5)
    tab.shoot("frames-more")
    page.get_by_role("link", name="More frames").focus()
    page.keyboard.press("Enter")
    expect(page.locator(TILES)).to_have_count(10)
    expect(page.locator(TILES).nth(5)).to_be_focused()


def test_boxes_and_size_stay_as_they_were_chosen(tab: Tab, world: World) -> None:
    page = tab.open(f"/datasets/{world.day.id}/frames")
    drawn = page.locator(f"{TILES} .boxes").first
    expect(drawn).to_be_visible()
    page.get_by_label("Boxes").uncheck()
    page.get_by_label("Size").select_option("large")
    expect(drawn).to_be_hidden()
    page.reload()
    expect(page.locator("[data-grid]")).to_have_attribute("data-size", "large")
    expect(drawn).to_be_hidden()


def test_arrow_keys_step_through_the_frames_that_were_asked_for(tab: Tab, world: World) -> None:
    page = tab.open(f"/datasets/{world.night.id}/frames?split=val")
    first, last = _addresses(page)
    page.locator(TILES).first.click()
    page.wait_for_url(world.url + first)
    expect(page.get_by_role("button", name="Previous")).to_be_disabled()
    page.keyboard.press("ArrowRight")
    page.wait_for_url(world.url + last)
    expect(page.get_by_role("button", name="Next")).to_be_disabled()
    page.get_by_role("link", name="Previous").click()
    page.wait_for_url(world.url + first)
    expect(page.get_by_role("row", name="car").first).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("weather")
    tab.shoot("frame")
    tab.check_access()


def test_hostile_names_are_shown_as_the_text_they_are(tab: Tab, world: World, tmp_path: Path) -> None:
    upload = world.client.upload(_hostile_zip(tmp_path / "hostile.zip"))
    dataset = world.client.wait_for_dataset(world.client.create_dataset(upload, name=f"<b>{HOSTILE_NAME}"))
    night = world.client.wait(world.client.translate(dataset.id, "identity", quality_frames=0))
    for place in (f"{dataset.id}/frames", str(night.result_id)):
        page = tab.open(f"/datasets/{place}")
        expect(page.locator("main")).to_contain_text(HOSTILE_CATEGORY)
        expect(page.locator("img[src=x]")).to_have_count(0)
    page = tab.open(f"/datasets/{night.result_id}/frames")
    expect(page.locator(".file")).to_have_text(HOSTILE_NAME)
    page.locator(TILES).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE_NAME)
    page.get_by_role("checkbox", name=HOSTILE_CATEGORY).uncheck()
    expect(page.locator(".stage .box:visible")).to_have_count(0)
    tab.shoot("frame-hostile")

    world.client.delete_dataset(dataset.id)
    page.reload()
    expect(page.locator(".note")).to_contain_text("is gone")
    expect(page.get_by_role("slider")).to_have_count(0)
    tab.open(f"/datasets/{night.result_id}")
    expect(page.locator(".note").first).to_contain_text("is gone")
    tab.check_access()
    world.client.delete_dataset(str(night.result_id))


def test_grid_and_frame_on_a_phone_and_in_the_dark(new_tab: Callable[..., Tab], world: World) -> None:
    tab = new_tab(phone=True, dark=True)
    page = tab.open(f"/datasets/{world.night.id}/frames")
    address = _addresses(page)[0]
    for name, path in (("frames-phone", f"/datasets/{world.night.id}/frames"), ("frame-phone", address)):
        tab.open(path)
        tab.shoot(name)
        tab.check_access()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _addresses(page: Page) -> list[str]:
    found = page.locator(TILES).evaluate_all("links => links.map(link => link.getAttribute('href'))")
    return [str(address) for address in found]


def _hostile_zip(path: Path) -> Path:
    image = io.BytesIO()
    Image.new("RGB", (320, 180), (90, 120, 200)).save(image, "JPEG")
    data = {"path": ".", "train": "images/train", "val": "images/train", "names": [HOSTILE_CATEGORY]}
    stem = HOSTILE_NAME.removesuffix(".jpg")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.yaml", json.dumps(data, indent=1))
        archive.writestr(f"images/train/{HOSTILE_NAME}", image.getvalue())
        archive.writestr(f"labels/train/{stem}.txt", "0 0.5 0.5 0.4 0.4\n")
    return path
