"""The catalogue on the page: cards, figures, and a checkpoint that is imported."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from models.registry import BUNDLED_FOLDER
from service.catalogue import BUNDLED
from tests.page.conftest import Tab, World
from tests.page.test_translations import expects_refusals

pytestmark = pytest.mark.slow


def choose(page: Page, name: str, content: bytes) -> None:
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    page.get_by_label("Checkpoint", exact=True).set_input_files(file)  # type: ignore[arg-type]
    expect(page.get_by_text("ready", exact=True)).to_be_visible()


@pytest.mark.parametrize("look", ["phone", "dark"])
def test_every_generator_has_a_card_with_its_picture(new_tab: Callable[..., Tab], look: str) -> None:
    tab = new_tab(phone=look == "phone", dark=look == "dark")
    page = tab.open("/generators")
    for card in BUNDLED:
        article = page.get_by_role("article", name=card.name)
        article.scroll_into_view_if_needed()
        expect(article.get_by_role("img")).to_be_visible()
    page.wait_for_function("() => [...document.images].every((image) => image.naturalWidth > 0)")
    tab.check_access()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.shoot(f"generators-{look}")


def test_a_card_says_what_it_is_and_leads_to_a_translation(tab: Tab) -> None:
    page = tab.open("/generators")
    tab.shoot("generators")
    page.get_by_role("link", name="cyclegan-day2night", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("cyclegan-day2night")
    measured = page.get_by_role("region", name="Figures on street/day_val")
    expect(measured.get_by_role("row", name="This generator")).to_contain_text("3.26")
    card = next(card for card in BUNDLED if card.name == "cyclegan-day2night")
    expect(page.get_by_text(str(card.weights_sha256))).to_be_visible()
    tab.check_access()
    tab.shoot("generator")
    page.get_by_role("link", name="Translate with it").click()
    expect(page.get_by_role("checkbox", name="cyclegan-day2night")).to_be_checked()


def test_where_a_generator_was_used_is_listed(tab: Tab, world: World) -> None:
    page = tab.open("/generators/camera-night")
    expect(page.locator(f"a[href='/jobs/{world.night.job_id}']")).to_be_visible()


def test_a_generator_that_is_not_there_is_named_with_those_that_are(tab: Tab) -> None:
    page = tab.open("/generators/camera-nihgt")
    expect(page.get_by_text("Did you mean 'camera-night'?")).to_be_visible()
    expects_refusals(tab)


def test_what_is_no_checkpoint_is_refused_with_the_cure(tab: Tab) -> None:
    page = tab.open("/generators/import")
    page.get_by_label("Name", exact=True).fill("no-net")
    page.get_by_role("button", name="Import").click()
    expect(page.locator("#problem")).to_contain_text("There is no checkpoint yet")
    choose(page, "notes.pth", b"milk, bread")
    page.get_by_label("Options").fill("ratio")
    page.get_by_role("button", name="Import").click()
    expect(page.locator("#problem")).to_contain_text("'ratio' is not an option")
    tab.check_access()
    tab.shoot("generator-import")
    page.get_by_label("Options").fill("")
    page.get_by_role("button", name="Import").click()
    page.wait_for_url("**/jobs/job-*")
    expect(page.get_by_text("Is it whole, and saved by torch.save?").first).to_be_visible()
    expects_refusals(tab)


def test_a_checkpoint_becomes_a_generator_with_a_card(tab: Tab, world: World) -> None:
    page = tab.open("/generators/import")
    choose(page, "sci.safetensors", Path(BUNDLED_FOLDER / "sci-night2day.safetensors").read_bytes())
    page.get_by_label("Name", exact=True).fill("page-sci")
    page.get_by_label("Architecture").select_option("sci")
    page.get_by_label("Direction").select_option("night2day")
    page.get_by_label("Licence").fill("<b>mine</b>")
    page.get_by_role("button", name="Import").click()
    page.wait_for_url("**/jobs/job-*")
    world.client.wait(world.client.job(page.url.rpartition("/")[2]))
    page = tab.open("/generators")
    card = page.get_by_role("article", name="page-sci")
    expect(card.get_by_role("link", name="See it on your frames")).to_be_visible()
    card.get_by_role("link", name="page-sci").click()
    expect(page.get_by_text("<b>mine</b>")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0, "the file is no dataset that waits to be made"
