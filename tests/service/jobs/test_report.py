"""A report's findings, a page at a time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.datasets.dataset import Finding, Severity
from service.jobs.report import Report, findings_page

codes = st.sampled_from(["a", "b", "c"])
severities = st.sampled_from(list(Severity))


def report_of(found: list[tuple[str, Severity]]) -> dict[str, Any]:
    report = Report()
    for number, (code, severity) in enumerate(found):
        report.add(Finding(code, severity, f"{number}.jpg", "", ""))
    return report.to_json()


@given(
    found=st.lists(st.tuples(codes, severities), max_size=20),
    code=st.none() | codes,
    severity=st.none() | severities,
    limit=st.integers(1, 5),
)
def test_the_pages_together_are_the_findings_that_are_wanted(
    found: list[tuple[str, Severity]], code: str | None, severity: Severity | None, limit: int
) -> None:
    report, seen, start = report_of(found), [], 0
    while start is not None:
        page = findings_page(report, code, severity, start, limit)
        assert len(page.findings) == limit or page.following is None
        seen += page.findings
        start = page.following
    assert seen == [
        finding
        for finding, (its_code, its_severity) in zip(report["findings"], found, strict=True)
        if code in (None, its_code) and severity in (None, its_severity)
    ]


@pytest.mark.parametrize("report", [{}, {"findings": []}])
def test_a_report_without_findings_has_one_empty_page(report: dict[str, Any]) -> None:
    page = findings_page(report, code="a")
    assert (page.findings, page.following) == ([], None)
