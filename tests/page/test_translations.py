"""A new translation: generators are compared on one's own frames, then one is started and followed."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import Tab, World

pytestmark = pytest.mark.slow
# What the browser and htmx write to the console of an answer that is no success.
REFUSED = ("console: Failed to load resource", "console: Response Status Error Code")


def expects_refusals(tab: Tab) -> None:
    tab.wrongs[:] = [wrong for wrong in tab.wrongs if not wrong.startswith(REFUSED)]


def open_new(tab: Tab, world: World, further: str = "") -> Page:
    return tab.open(f"/translations/new?dataset={world.day.id}{further}")


def preview(page: Page) -> None:
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview-grid:not([aria-busy])")).to_be_visible(timeout=60_000)


def pictures_are_there(page: Page, count: int) -> None:
    """Each one decoded, not only asked for."""
    images = page.locator("[data-pair] img")
    expect(images).to_have_count(count)
    for number in range(count):
        images.nth(number).scroll_into_view_if_needed()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.compare img')].every((image) => image.naturalWidth > 0)"
    )
    page.evaluate("scrollTo(0, 0)")


def test_two_generators_are_compared_on_four_frames(tab: Tab, world: World) -> None:
    page = open_new(tab, world)
    page.get_by_role("checkbox", name="camera-night").check()
    page.get_by_role("checkbox", name="enlightengan-day2night").check()
    preview(page)
    pictures_are_there(page, 2 * 4)
    tab.shoot("translation-preview")
    tab.check_access()
    estimate = page.locator("#estimate")
    expect(estimate).to_contain_text("camera-night: 12 frames in about")
    expect(estimate).to_contain_text("on these frames")
    page.get_by_role("button", name=re.compile("by camera-night:1, enlarge")).first.press("Enter")
    pair = page.get_by_role("dialog")
    expect(pair.get_by_text("camera-night:1")).to_be_visible()
    first = pair.get_by_role("heading").inner_text()
    pair.get_by_role("button", name="Next").click()
    expect(pair.get_by_text("enlightengan-day2night:1")).to_be_visible()
    expect(pair.get_by_role("heading")).to_have_text(first)
    page.keyboard.press("ArrowRight")
    expect(pair.get_by_role("heading")).not_to_have_text(first)
    tab.shoot("translation-pair")
    page.keyboard.press("Escape")
    expect(pair).to_be_hidden()
    jobs = page.url.partition("preview=")[2]
    page.reload()
    pictures_are_there(page, 2 * 4)
    preview(page)
    assert page.url.partition("preview=")[2] == jobs, "the same again is not done again"


def test_a_translation_is_started_and_ends_well(tab: Tab, world: World) -> None:
    page = open_new(tab, world, "&generator=camera-night&seed=7")
    expect(page.get_by_role("checkbox", name="camera-night")).to_be_checked()
    page.get_by_role("checkbox", name="val").check()
    page.get_by_label("Strength").fill("0.8")
    expect(page.locator("output[for=strength]")).to_have_text("0.80")
    page.get_by_label("Name of the new dataset").fill("A night of two")
    expect(page.locator("#estimate")).to_contain_text("2 frames")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url("**/jobs/job-*")
    job = world.client.wait(world.client.job(page.url.rpartition("/")[2]))
    assert (job.state, job.progress.frames_done) == ("succeeded", 2)
    assert (job.spec["seed"], job.spec["strength"], job.spec["selection"]) == (7, 0.8, {"split": ["val"]})
    assert world.client.dataset(str(job.result_id)).name == "A night of two"


def test_one_of_several_is_started_from_the_grid(tab: Tab, world: World) -> None:
    page = open_new(tab, world, "&generator=camera-night&generator=identity")
    preview(page)
    page.get_by_role("button", name="Start with this").nth(1).click()
    page.wait_for_url("**/jobs/job-*")
    job = world.client.job(page.url.rpartition("/")[2])
    assert job.spec["generator"]["name"] == "identity"
    world.client.wait(job)


def test_what_is_wrong_is_said_and_what_was_typed_stays(tab: Tab, world: World) -> None:
    page = open_new(tab, world)
    problem = page.locator("#problem")
    page.get_by_role("button", name="Preview").click()
    expect(problem).to_contain_text("No generator is ticked")
    page.get_by_role("checkbox", name="camera-night").check()
    page.get_by_label("Name of the new dataset").fill("Kept")
    page.locator("#strength").evaluate("slider => { slider.max = 3; slider.value = 2; }")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(problem).to_contain_text("strength: Input should be less than or equal to 1")
    expect(problem.get_by_role("alert")).to_be_in_viewport()
    tab.shoot("translation-refused")
    page.locator("#strength").evaluate("slider => { slider.max = 1; slider.value = 1; }")
    page.get_by_text("Then train a detector").click()
    page.get_by_role("checkbox", name="Start an experiment").check()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(problem).to_contain_text("Choose a dataset of real nights")
    expect(page.get_by_label("Name of the new dataset")).to_have_value("Kept")
    expects_refusals(tab)


def test_an_address_that_is_wrong_says_so_above_the_form(tab: Tab, world: World) -> None:
    page = open_new(tab, world, "&generator=camera-nigth&strength=2&generator=identity")
    expect(page.get_by_text("Did you mean 'camera-night'?")).to_be_visible()
    expect(page.get_by_text("strength: Input should be less than or equal to 1")).to_be_visible()
    expect(page.get_by_role("checkbox", name="identity")).to_be_checked()
    page = tab.open("/translations/new?dataset=ds-nothing")
    expect(page.get_by_text("There is no ready dataset 'ds-nothing'")).to_be_visible()
    expect(page.get_by_role("button", name="Preview")).to_be_disabled()
    page.get_by_label("Dataset", exact=True).select_option(world.day.id)
    page.wait_for_url(f"**/translations/new?dataset={world.day.id}")
    expect(page.get_by_role("button", name="Preview")).to_be_enabled()


@pytest.mark.parametrize("look", ["phone", "dark"])
def test_the_form_suits_every_screen(new_tab: Callable[..., Tab], world: World, look: str) -> None:
    tab = new_tab(phone=look == "phone", dark=look == "dark")
    page = open_new(tab, world, "&generator=camera-night&generator=identity")
    preview(page)
    pictures_are_there(page, 2 * 4)
    tab.check_access()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.shoot(f"translation-{look}")
