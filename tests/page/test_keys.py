"""Keys in a browser."""

import pytest
from playwright.sync_api import expect

from tests.page.conftest import Tab

pytestmark = pytest.mark.slow


def test_a_key_is_made_shown_once_and_revoked(tab: Tab) -> None:
    page = tab.page
    page.get_by_role("link", name="Keys").click()
    page.get_by_label("Name").fill("the camera")
    page.get_by_label("Valid for days").fill("7")
    page.get_by_role("button", name="Make the key").click()
    made = page.get_by_role("status", name="The new key")
    expect(made).to_contain_text("ns_")
    tab.shoot("keys")
    tab.check_access()
    row = page.get_by_role("row").filter(has_text="the camera")
    page.on("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")
    expect(made).to_have_count(0)
