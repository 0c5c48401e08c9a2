"""The page in a real browser (Debian's Chromium), on a whole service with drawn streets in it.

Every tab is watched: a script that fails, an error in the console, or a request to another host fails the
test. Screenshots go to `tests/screenshots`, for people to look at; git ignores it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from service.api.views import DatasetView
from service.client.client import Client
from service.client.local import wait_until_ready
from service.demo.dataset import write_demo_dataset
from service.stack import Stack, free_port
from tests.page.accessibility import faults

SCREENSHOTS = Path(__file__).resolve().parents[1] / "screenshots"
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
TIMEOUT_MS = 30_000


@dataclass(frozen=True, slots=True)
class World:
    """A service with the drawn streets by day, and the same by `camera-night`."""

    stack: Stack
    client: Client
    folder: Path
    day: DatasetView
    night: DatasetView

    @property
    def url(self) -> str:
        return self.stack.url


@dataclass(slots=True)
class Tab:
    """A page that has signed in, and what went wrong in it."""

    page: Page
    url: str
    wrongs: list[str]

    def open(self, path: str) -> Page:
        self.page.goto(self.url + path)
        return self.page

    def shoot(self, name: str) -> None:
        """The whole page with all its pictures, for people to look at."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.evaluate(
            """() => Promise.all([...document.images].map((image) => {
                image.loading = "eager";
                return image.decode().catch(() => null);
            }))"""
        )
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    def check_access(self) -> None:
        """Nothing that axe-core calls serious or critical."""
        assert faults(self.page) == []


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one file of tests: beside Playwright no other test of the process can run a loop of its own."""
    program = shutil.which("chromium")
    if program is None:
        reason = "Chromium is not installed; Debian has it in the package chromium"
        (pytest.fail if os.environ.get("NIGHTSHIFT_TEST_SERVERS") == "required" else pytest.skip)(reason)
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        # Debian's sandbox needs rights that a container does not give; only our own pages are opened.
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("page")
    streets = write_demo_dataset(folder / "streets", train=10, val=2, mislabelled=1)
    with Stack(folder / "data", free_port()) as stack:
        wait_until_ready(stack)
        with Client(stack.url, key=stack.key) as client:
            upload = client.upload(streets)
            day = client.wait_for_dataset(client.create_dataset(upload, name="Drawn streets"))
            job = client.wait(client.translate(day.id, "camera-night"))
            yield World(stack, client, streets, day, client.dataset(str(job.result_id)))


@contextmanager
def watched_tabs(browser: Browser, url: str, page_url: str) -> Iterator[Callable[..., Tab]]:
    """Makes tabs of one service, which `page_url` signs in to. At the end nothing may have gone wrong."""
    contexts: list[BrowserContext] = []
    tabs: list[Tab] = []

    def make(*, phone: bool = False, dark: bool = False, signed_in: bool = True) -> Tab:
        context = browser.new_context(
            viewport=PHONE if phone else WIDE,
            color_scheme="dark" if dark else "light",
            accept_downloads=True,
        )
        context.set_default_timeout(TIMEOUT_MS)
        contexts.append(context)
        tab = Tab(context.new_page(), url, [])
        _watch(tab)
        if signed_in:
            tab.page.goto(page_url)
        tabs.append(tab)
        return tab

    yield make
    for context in contexts:
        context.close()
    assert [wrong for tab in tabs for wrong in tab.wrongs] == []


@pytest.fixture
def new_tab(browser: Browser, world: World) -> Iterator[Callable[..., Tab]]:
    """`new_tab(phone=True, dark=True)`; `signed_in=False` for one that knows no key."""
    with watched_tabs(browser, world.url, world.stack.page_url) as make:
        yield make


@pytest.fixture
def tab(new_tab: Callable[..., Tab]) -> Tab:
    return new_tab()


def _watch(tab: Tab) -> None:
    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error":
            tab.wrongs.append(f"console: {message.text} at {message.location.get('url')}")

    def on_request(request: Request) -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", None):
            tab.wrongs.append(f"a request to {request.url}")

    tab.page.on("console", on_console)
    tab.page.on("pageerror", lambda error: tab.wrongs.append(f"script: {error}"))
    tab.page.on("request", on_request)
