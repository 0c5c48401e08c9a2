"""Trainings and experiments: asked for by forms, watched while they go on, read when they are done.

Most of it is looked at on a service without workers, in which jobs stand as workers leave them.
"""

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.api_server import ApiServer
from service.access.local_key import local_key, sign_in_link
from service.api.dependencies import Services
from service.app import open_services
from tests.page.conftest import Tab, watched_tabs
from tests.page.learning_stock import STEPS, Learned, begun_training, stock, tell_training

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class School:
    """A service without workers, and its stores, in which a test can do a worker's work."""

    server: ApiServer
    services: Services
    learned: Learned
    key: str

    @property
    def page_url(self) -> str:
        return self.server.url + sign_in_link(self.server.settings, self.key)


@pytest.fixture(scope="session")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[School]:
    server = ApiServer(tmp_path_factory.mktemp("school"))
    services = open_services(server.settings)
    school = School(server, services, stock(services), local_key(server.settings))
    server.start()
    yield school
    server.end(subprocess.Popen.terminate)
    services.database.close()


@pytest.fixture
def visit(browser: Browser, school: School) -> Iterator[Callable[..., Tab]]:
    with watched_tabs(browser, school.server.url, school.page_url) as make:
        yield make


def newest_spec(school: School) -> dict[str, object]:
    return school.services.desk.jobs.jobs(1, None)[0].spec


def ink(page: Page) -> int:
    """How many pixels of the curves are not empty."""
    return int(
        page.locator(".curves canvas").evaluate(
            "(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)"
            ".data.filter((value, place) => place % 4 === 3 && value > 0).length"
        )
    )


def test_trainings_are_listed_with_their_newest_picture(visit: Callable[..., Tab], school: School) -> None:
    tab = visit()
    page = tab.open("/trainings")
    expect(page.locator(".learned .card")).to_have_count(2)
    picture = page.locator(f"img[src='/v1/trainings/{school.learned.trained}/samples/{STEPS}']")
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("naturalWidth", 660)
    tab.shoot("trainings")
    tab.check_access()


def test_a_training_shows_its_losses_and_its_pictures(visit: Callable[..., Tab], school: School) -> None:
    tab = visit()
    page = tab.open(f"/jobs/{school.learned.training}")
    curves = page.locator("[data-drawn]")
    expect(curves).to_have_attribute("data-drawn", "26")
    plain = ink(page)
    assert plain > 1000
    expect(page.get_by_text("260 of 400")).to_be_visible()
    page.get_by_label("Smooth").check()
    page.get_by_label("Log scale").check()
    assert ink(page) > plain  # pale lines below the smooth ones
    page.get_by_role("button", name=re.compile("^cycle")).click()
    expect(page.get_by_role("button", name=re.compile("^cycle"))).to_have_attribute("aria-pressed", "false")
    page.get_by_text("The numbers as a table").click()
    expect(page.get_by_role("columnheader", name="discriminators")).to_be_visible()
    expect(page.locator(".curves tbody tr")).to_have_count(26)
    slider = page.get_by_label(re.compile("After .* steps"))
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "after 100 steps")
    expect(page.locator("img.sample")).to_have_attribute("src", re.compile("/samples/100$"))
    tab.shoot("training")
    tab.check_access()


def test_what_is_new_is_drawn_and_what_was_set_stays(visit: Callable[..., Tab], school: School) -> None:
    job, shard = begun_training(school.services)
    tell_training(school.services, shard, 0, 150)
    tab = visit()
    page = tab.open(f"/jobs/{job.id}")
    expect(page.locator("[data-drawn]")).to_have_attribute("data-drawn", "15")
    page.get_by_label("Smooth").check()
    page.get_by_text("The numbers as a table").click()
    tell_training(school.services, shard, 150, 330)
    expect(page.get_by_text("330 of 400")).to_be_visible()
    expect(page.locator("[data-drawn]")).to_have_attribute("data-drawn", "33")
    expect(page.get_by_label("Smooth")).to_be_checked()
    expect(page.locator(".curves tbody tr")).to_have_count(33)
    expect(page.locator(".curves canvas")).to_have_count(1)
    expect(page.locator("img.sample")).to_have_attribute("src", re.compile("/samples/300$"))
    page.get_by_label(re.compile("After .* steps")).fill("0")
    tell_training(school.services, shard, 330, 400)
    expect(page.get_by_text("400 of 400")).to_be_visible()
    expect(page.get_by_label(re.compile("After .* steps"))).to_have_attribute("max", "3")
    expect(page.locator("img.sample")).to_have_attribute("src", re.compile("/samples/100$"))


def test_a_finished_training_leads_to_its_generators(visit: Callable[..., Tab], school: School) -> None:
    tab = visit(dark=True)
    page = tab.open(f"/jobs/{school.learned.trained}")
    expect(page.locator("[data-drawn]")).to_have_attribute("data-drawn", "40")
    made = page.locator(".made-list a")
    expect(made).to_have_count(2)
    expect(made.first).to_have_attribute("href", re.compile("^/generators/my-cyclegan"))
    tab.shoot("training-done-dark")
    tab.check_access()


def test_a_training_begins_by_its_form_and_a_refusal_keeps_what_was_typed(
    visit: Callable[..., Tab], school: School
) -> None:
    tab = visit()
    page = tab.open("/trainings/new?day=ds-day")
    page.get_by_role("group", name="Night").get_by_label("Dataset").select_option("ds-night")
    page.get_by_role("group", name="Day").get_by_label("Only frames with").fill("split=trian")
    page.get_by_label("Network and recipe").select_option("cut/fast")
    page.get_by_label("Steps").fill("50")
    page.get_by_label("Direction").select_option("night2day")
    page.get_by_label("Name of the generator").fill("my-night")
    tab.shoot("training-new")
    tab.check_access()
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#problem")).to_contain_text("Did you mean 'train'?")
    tab.wrongs.clear()  # the browser notes every refusal
    expect(page.get_by_label("Name of the generator")).to_have_value("my-night")
    page.get_by_role("group", name="Day").get_by_label("Only frames with").fill(
        "split=train,val; timeofday=daytime"
    )
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/jobs/*")
    spec = newest_spec(school)
    assert (spec["architecture"], spec["recipe"], spec["steps"]) == ("cut", "fast", 50)
    assert (spec["names"], spec["direction"], spec["seed"]) == (
        ["my-night", "my-night-night2day"],
        "night2day",
        None,
    )
    assert spec["day"]["selection"] == {"split": ["train", "val"], "timeofday": ["daytime"]}  # type: ignore[index]


def test_arms_are_put_together_and_the_plan_is_checked_on_the_way(
    visit: Callable[..., Tab], school: School
) -> None:
    tab = visit()
    page = tab.open("/experiments/new?day=ds-day&synthetic=ds-synthetic")
    plan = page.get_by_role("complementary", name="What will be done")
    expect(plan).to_contain_text("There is nothing to test on.")
    page.get_by_role("group", name="Test").get_by_label("Dataset").select_option("ds-signs")
    expect(plan).to_contain_text("categor")
    page.get_by_role("group", name="Test").get_by_label("Dataset").select_option("ds-day")
    expect(plan).to_contain_text("nothing keeps them apart")
    page.get_by_role("group", name="Test").get_by_label("Dataset").select_option("ds-test")
    expect(plan.locator("[data-plan-arm]")).to_have_text(["day", "day+synthetic"])
    page.get_by_role("button", name="Add a dataset").click()
    page.locator("[data-row]").last.get_by_label("Name", exact=True).fill("fog")
    page.locator("[data-row]").last.get_by_role("combobox").select_option("ds-night")
    page.get_by_role("button", name="Add an arm").click()
    page.get_by_role("button", name="Add an arm").click()
    page.get_by_role("button", name="Add an arm").click()
    expect(page.get_by_label("Arm 3 as text")).to_have_value("day+fog")
    second = page.locator("[data-arm]").nth(1)
    second.get_by_label("Share of synthetic").fill("0.5")
    expect(page.get_by_label("Arm 2 as text")).to_have_value("day+synthetic:0.5")
    page.get_by_label("Arm 3 as text").fill("mist=fog#20")
    page.get_by_label("Arm 3 as text").press("Tab")
    third = page.locator("[data-arm]").nth(2)
    expect(third.get_by_role("checkbox", name="day")).not_to_be_checked()
    expect(third.get_by_label("Share of fog")).to_have_value("#20")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("Arm 4 as text").fill("enhance:sci-night2day")
    page.get_by_label("Seeds").fill("4, 7")
    page.get_by_label("Image, px").fill("320")
    page.get_by_label("Name", exact=True).last.fill("In fog <b>")
    page.get_by_label("Name", exact=True).last.press("Tab")
    expect(plan.locator("[data-plan-arm]")).to_have_text(
        ["day", "day+synthetic:0.5", "mist", "enhance:sci-night2day"]
    )
    expect(plan).to_contain_text("6 (3 arms, 2 seeds)")
    page.evaluate("scrollTo(0, 0)")
    tab.shoot("experiment-new")
    tab.check_access()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/jobs/*")
    expect(page.get_by_role("heading", name="In fog <b>")).to_be_visible()
    spec = newest_spec(school)
    arms = {arm["name"]: arm["parts"] for arm in spec["arms"]}  # type: ignore[attr-defined]
    assert arms["day+synthetic:0.5"][1] == {"data": "synthetic", "share": 0.5, "frames": None}
    assert arms["mist"] == [{"data": "fog", "share": None, "frames": 20}]
    assert (spec["seeds"], spec["training"]["image_px"]) == ([4, 7], 320)  # type: ignore[index]


def test_a_refused_experiment_keeps_its_form(visit: Callable[..., Tab]) -> None:
    tab = visit()
    page = tab.open("/experiments/new?day=ds-day&test=ds-test")
    page.get_by_label("Seeds").fill("some")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#problem")).to_contain_text("says no seeds")
    expect(page.locator("#problem")).to_be_in_viewport()
    expect(page.get_by_label("Seeds")).to_have_value("some")
    tab.wrongs.clear()  # the browser notes every refusal


def test_an_experiment_is_watched_run_by_run(visit: Callable[..., Tab], school: School) -> None:
    tab = visit()
    page = tab.open(f"/jobs/{school.learned.experiment}")
    expect(page.get_by_role("heading", name="4 of 9 trainings done")).to_be_visible()
    training = page.get_by_role("row").filter(has_text="training")
    expect(training).to_contain_text(["day+night"])
    expect(training).to_contain_text(["3 / 8"])
    expect(page.locator("svg.spark polyline")).to_have_count(5)
    expect(page.get_by_text("brightens the test frames")).to_be_visible()
    tab.shoot("experiment")
    tab.check_access()


def test_a_finished_experiment_shows_verdict_scores_and_downloads(
    visit: Callable[..., Tab], school: School
) -> None:
    tab = visit()
    job_id = school.learned.tried
    page = tab.open(f"/jobs/{job_id}")
    expect(page.get_by_role("region", name="Verdict")).to_contain_text("Synthetic night data helps")
    expect(page.locator(".bar-mean")).to_have_count(4)
    gains = page.get_by_role("region", name="What each brings over day").last
    expect(gains.get_by_role("row").filter(has_text="day+synthetic")).to_contain_text("helps")
    expect(gains.get_by_role("row").filter(has_text="enhance:")).to_contain_text("nothing shown")
    tab.shoot("experiment-done")
    tab.check_access()
    with page.expect_download() as started:
        page.get_by_role("link", name="Weights of day+night, seed 2").click()
    assert started.value.suggested_filename.endswith(".pt")
    page.get_by_role("link", name="The whole report").click()
    expect(page.get_by_role("heading", name="The whole report")).to_be_visible()
    page.goto(f"{tab.url}/experiments")
    expect(page.locator(".tried-verdict")).to_contain_text("closes 58 % of the gap")
    tab.shoot("experiments")
    tab.check_access()


def test_on_a_phone_every_screen_stays_within_its_width(visit: Callable[..., Tab], school: School) -> None:
    tab = visit(phone=True, dark=True)
    learned = school.learned
    for name, path in {
        "trainings-phone": "/trainings",
        "training-new-phone": "/trainings/new",
        "training-phone": f"/jobs/{learned.training}",
        "experiments-phone": "/experiments",
        "experiment-new-phone": "/experiments/new",
        "experiment-phone": f"/jobs/{learned.experiment}",
        "experiment-done-phone": f"/jobs/{learned.tried}",
    }.items():
        page = tab.open(path)
        if name == "training-phone":
            page.locator("[data-drawn]").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        tab.shoot(name)
        tab.check_access()
