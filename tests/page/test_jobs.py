"""Jobs in a browser: one is watched to its end, cancelled, retried; what a failed one says."""

import os
import re
import signal
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from service.api.views import JobView
from tests.page.conftest import Tab, World

pytestmark = pytest.mark.slow


@contextmanager
def no_worker(world: World) -> Iterator[None]:
    """Nothing is begun, as long as the block lasts."""
    worker = world.stack.pids()["worker-0"]
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def translate(world: World, seed: int, preview: int = 0) -> JobView:
    return world.client.translate(world.day.id, "camera-night", seed=seed, preview=preview)


def badge(page: Page, state: str) -> None:
    expect(page.locator("#job-state .badge")).to_have_text(state)


def mark(page: Page) -> None:
    """What is on a page until it is loaded anew."""
    page.evaluate("window.isTheSame = true")


def assert_not_reloaded(page: Page) -> None:
    assert page.evaluate("window.isTheSame") is True


def test_a_job_is_watched_to_its_end_without_a_reload(new_tab: Callable[..., Tab], world: World) -> None:
    tab = new_tab()
    with no_worker(world):
        job = translate(world, seed=11)
        page = tab.open(f"/jobs/{job.id}")
        mark(page)
        badge(page, "queued")
        expect(page.locator("#job-state")).to_contain_text("Waits for a worker.")
        tab.shoot("job-queued")
    expect(page.locator(".pair img").nth(1)).not_to_have_js_property("naturalWidth", 0)
    tab.shoot("job-running")
    badge(page, "succeeded")
    expect(page.get_by_role("button", name="Cancel", exact=True)).to_be_hidden()
    expect(page).to_have_title("Succeeded · Translation · Nightshift")
    expect(page.locator("#job-progress")).to_contain_text("12 of 12")
    expect(page.locator(".pair img")).to_have_count(16)
    for image in page.locator(".pair img").all():
        expect(image).to_have_js_property("complete", True)
        assert image.evaluate("image => image.naturalWidth") > 0
    page.get_by_text("What happened").click()
    expect(page.locator(".timeline")).to_contain_text("It succeeded.")
    assert_not_reloaded(page)
    tab.shoot("job-succeeded")
    tab.check_access()
    page.get_by_role("link", name="See the result").click()
    page.wait_for_url(re.compile(r"/datasets/ds-"))


def test_a_job_is_cancelled_after_a_question_and_retried_as_a_new_one(tab: Tab, world: World) -> None:
    with no_worker(world):
        job = translate(world, seed=12, preview=1)
        page = tab.open(f"/jobs/{job.id}")
        page.get_by_role("button", name="Cancel", exact=True).click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("stay for a retry")
        tab.shoot("job-cancel-question")
        tab.check_access()
        dialog.get_by_role("button", name="Keep it going").click()
        expect(dialog).to_be_hidden()
        badge(page, "queued")
        page.get_by_role("button", name="Cancel", exact=True).click()
        dialog.get_by_role("button", name="Cancel the job").click()
        badge(page, "cancelled")
        tab.shoot("job-cancelled")
        page.get_by_role("button", name="Retry").click()
        page.wait_for_url(lambda url: "/jobs/job-" in url and job.id not in url)
        expect(page.get_by_role("link", name=job.id)).to_be_visible()
    badge(page, "succeeded")


def test_a_failed_job_says_first_what_is_wrong_and_what_to_do(
    new_tab: Callable[..., Tab], world: World, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.zip"
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("<b>readme.txt", "no images")
    made = world.client.create_dataset(world.client.upload(empty), name="<b>Broken</b>")
    for options in ({}, {"phone": True, "dark": True}):
        tab = new_tab(**options)
        page = tab.open(f"/jobs/{made.job.id}")
        badge(page, "failed")
        expect(page.get_by_role("alert").filter(has_text="no images")).to_contain_text("Add the images")
        expect(page.get_by_role("button", name="Retry")).to_be_visible()
        tab.check_access()
        tab.shoot(f"job-failed{'-phone-dark' if options else ''}")


def test_the_list_follows_what_is_under_way_and_narrows(new_tab: Callable[..., Tab], world: World) -> None:
    tab = new_tab(dark=True)
    with no_worker(world):
        job = translate(world, seed=13, preview=1)
        page = tab.open("/jobs")
        mark(page)
        row = page.get_by_role("row").filter(has=page.locator(f"#to-{job.id}"))
        expect(row).to_contain_text("queued")
        page.locator(f"#to-{job.id}").focus()
    expect(row).to_contain_text("succeeded")
    expect(page.locator(f"#to-{job.id}")).to_be_focused()
    assert_not_reloaded(page)
    tab.check_access()
    tab.shoot("jobs-dark")
    page.get_by_role("link", name="Ingest", exact=True).click()
    expect(page.get_by_role("link", name="Drawn streets with camera-night:1")).to_have_count(0)
    expect(page.get_by_role("link", name="Drawn streets", exact=True).first).to_be_visible()


def test_both_pages_fit_a_phone(new_tab: Callable[..., Tab], world: World) -> None:
    tab = new_tab(phone=True)
    for path, name in (("/jobs", "jobs-phone"), (f"/jobs/{world.night.job_id}", "job-phone")):
        page = tab.open(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        tab.check_access()
        tab.shoot(name)


def test_without_scripts_the_state_is_shown_and_a_job_is_cancelled(browser: Browser, world: World) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(world.stack.page_url)
    with no_worker(world):
        job = translate(world, seed=14)
        page.goto(f"{world.url}/jobs/{job.id}")
        badge(page, "queued")
        page.get_by_role("button", name="Cancel", exact=True).click()
        badge(page, "cancelled")
    context.close()
