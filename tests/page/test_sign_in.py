"""Who may look: the link that `nightshift up` prints, the key, the cookie."""

from collections.abc import Callable

import pytest

from tests.page.conftest import Tab, World

pytestmark = pytest.mark.slow


def test_the_printed_link_signs_in_and_leaves_the_address_bar(tab: Tab, world: World) -> None:
    assert tab.page.url == f"{world.url}/datasets"
    assert tab.page.get_by_role("link", name="Drawn streets", exact=True).is_visible()
    tab.shoot("datasets")
    tab.check_access()


def test_who_has_not_signed_in_is_asked_for_a_key_and_led_back(
    new_tab: Callable[..., Tab], world: World
) -> None:
    tab = new_tab(signed_in=False)
    page = tab.open("/datasets")
    assert page.url.startswith(f"{world.url}/sign-in")
    tab.shoot("sign-in")
    tab.check_access()
    page.get_by_label("API key").fill(world.stack.key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{world.url}/datasets")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{world.url}/sign-in")
    assert tab.open("/datasets").url.startswith(f"{world.url}/sign-in")
