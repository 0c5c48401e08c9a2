"""What a translation has brought: the slider between day and night, boxes by category, figures."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

from tests.page.conftest import Tab, World

pytestmark = pytest.mark.slow
Pixels = NDArray[np.float64]
# Half of what a scaled picture may differ from the same one scaled by someone else, in levels of 255.
ALIKE, UNLIKE = 4.0, 20.0


@pytest.fixture
def result(tab: Tab, world: World) -> Page:
    """A translated dataset's page, its first pair without boxes."""
    page = tab.open(f"/datasets/{world.night.id}")
    page.get_by_role("checkbox", name="all", exact=True).uncheck()
    return page


def test_the_slider_uncovers_the_day_over_the_night(result: Page) -> None:
    day, night = _pictures(result)
    assert _difference(day, night, 0, 1) > UNLIKE
    for share in (0, 50, 100):
        _slide_to(result, share)
        stage = _stage(result)
        if share > 0:
            assert _difference(stage, day, 0, share / 100) < ALIKE
        if share < 100:
            assert _difference(stage, night, share / 100, 1) < ALIKE


def test_keys_and_pointer_move_the_slider(result: Page) -> None:
    slider = result.get_by_role("slider")
    slider.focus()
    result.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "0 % Day, the rest Night")
    for _ in range(3):
        result.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "3 % Day, the rest Night")
    expect(result.locator(".layer-over")).to_have_css("clip-path", "inset(0px 97% 0px 0px)")
    box = result.locator(".stage").bounding_box()
    assert box is not None
    result.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 3)
    expect(slider).to_have_attribute("aria-valuetext", "25 % Day, the rest Night")
    _, night = _pictures(result)
    assert _difference(_stage(result), night, 0.25, 1) < ALIKE


def test_another_frame_comes_under_the_same_slider(result: Page) -> None:
    _slide_to(result, 0)
    first = _stage(result)
    result.get_by_role("radio").first.focus()
    result.keyboard.press("ArrowRight")
    expect(result.get_by_role("radio").nth(1)).to_be_checked()
    address = result.get_by_role("radio").nth(1).get_attribute("value")
    expect(result.locator(".stage .layer img").first).to_have_attribute(
        "src", f"/v1{_path(result)}/{address}/image"
    )
    expect(result.locator(".stage .box:visible")).to_have_count(0)
    _, night = _pictures(result)
    second = _stage(result)
    assert _difference(second, night, 0, 1) < ALIKE
    assert _difference(second, first, 0, 1) > ALIKE


def test_boxes_of_a_category_vanish_on_both_sides(tab: Tab, world: World) -> None:
    page = tab.open(f"/datasets/{world.night.id}")
    cars = page.locator('.stage .box[data-category="car"]')
    others = page.locator('.stage .box:not([data-category="car"]):visible')
    sides, rest = cars.count(), others.count()
    assert sides > 0
    assert sides == 2 * page.locator('.layer-over .box[data-category="car"]').count()
    page.get_by_role("checkbox", name="car").uncheck()
    expect(page.locator('.stage .box[data-category="car"]:visible')).to_have_count(0)
    expect(others).to_have_count(rest)
    page.get_by_role("checkbox", name="all", exact=True).check()
    expect(page.locator('.stage .box[data-category="car"]:visible')).to_have_count(sides)


def test_figures_stand_beside_those_of_the_source_once_it_is_measured(tab: Tab, world: World) -> None:
    page = tab.open(f"/datasets/{world.night.id}")
    row = page.get_by_role("row", name="KID")
    expect(row.get_by_role("cell").nth(0)).to_contain_text("±")
    expect(row.get_by_role("cell").nth(1)).to_have_text("–")
    tab.shoot("result")
    tab.check_access()
    page.get_by_role("button", name="Measure the source").click()
    page.wait_for_url("**/jobs/*")
    world.client.wait(world.client.job(page.url.rsplit("/", 1)[1]))
    tab.open(f"/datasets/{world.night.id}")
    expect(row.get_by_role("cell").nth(1)).not_to_have_text("–")
    expect(page.get_by_role("button", name="Measure the source")).to_have_count(0)


def test_the_result_says_how_it_was_made_and_can_be_downloaded(tab: Tab, world: World) -> None:
    page = tab.open(f"/datasets/{world.night.id}")
    made = page.get_by_role("region", name="How it was made")
    expect(made).to_contain_text("camera-night:1")
    expect(made).to_contain_text("Apache-2.0")
    expect(made.get_by_role("link", name=world.night.job_id)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="YOLO").click()
    assert download.value.suggested_filename.endswith("yolo.zip")


def test_a_result_on_a_phone_and_in_the_dark(new_tab: Callable[..., Tab], world: World) -> None:
    tab = new_tab(phone=True, dark=True)
    page = tab.open(f"/datasets/{world.night.id}")
    tab.shoot("result-phone")
    tab.check_access()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _path(page: Page) -> str:
    return f"/datasets/{page.url.rsplit('/', 1)[1]}/frames"


def _slide_to(page: Page, share: int) -> None:
    page.get_by_role("slider").evaluate(
        "(range, to) => { range.value = to; range.dispatchEvent(new Event('input', { bubbles: true })); }",
        share,
    )


def _stage(page: Page) -> Pixels:
    page.wait_for_function("[...document.querySelectorAll('.stage img')].every(image => image.complete)")
    return _pixels(page.locator(".stage").screenshot(animations="disabled"))


def _pictures(page: Page) -> tuple[Pixels, Pixels]:
    """Day and night of the pair on the stage, as the API has them, in the stage's size."""
    box = page.locator(".stage").bounding_box()
    assert box is not None
    sides = [page.locator(f".stage {side} img") for side in (".layer-over", ".layer:first-child")]
    found = [_pixels(page.request.get(side.evaluate("image => image.src")).body()) for side in sides]
    return found[0], found[1]


def _pixels(data: bytes) -> Pixels:
    """Small, so that nobody's way of scaling matters."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB").resize((160, 90), Image.Resampling.BOX), dtype=np.float64)


def _difference(one: Pixels, other: Pixels, start: float, stop: float) -> float:
    """Mean difference between two shares of the width, away from the handle and the words on top."""
    columns = slice(int(160 * start) + 8, int(160 * stop) - 8)
    return float(np.abs(one - other)[20:, columns].mean())
