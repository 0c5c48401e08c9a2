"""axe-core's rules, run in a page by the browser's own debugger: the page's policy allows no other script."""

from importlib.resources import files

from playwright.sync_api import Page

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
SEVERE = ("serious", "critical")


def faults(page: Page) -> list[str]:
    """Each with the rule and the place, of those that keep somebody out."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run()")
    return [
        f"{fault['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for fault in found["violations"]
        if fault["impact"] in SEVERE
        for node in fault["nodes"]
    ]
