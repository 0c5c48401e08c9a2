"""What a job found, as a user reads it later: totals by code, and the first ten thousand one by one."""

from collections import Counter
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from service.datasets.dataset import Finding, Severity
from service.wording import SHOWN_CHARS, cut

MAX_LISTED = 10_000


class Report:
    """Collects findings; the totals stay true when the list is full."""

    def __init__(self) -> None:
        self._totals: Counter[str] = Counter()
        self._severities: Counter[str] = Counter()
        self._listed: list[dict[str, Any]] = []

    def add(self, finding: Finding) -> None:
        self._totals[finding.code] += 1
        self._severities[finding.severity] += 1
        if len(self._listed) < MAX_LISTED:
            self._listed.append(finding_to_json(finding))

    @property
    def totals(self) -> dict[str, int]:
        """How many findings there are of each code."""
        return dict(sorted(self._totals.items()))

    def count(self, severity: Severity) -> int:
        return self._severities[severity]

    def to_json(self, **facts: Any) -> dict[str, Any]:
        """`facts` are the job's own figures, put beside the findings."""
        return {
            **facts,
            "totals": self.totals,
            "severities": {str(severity): self._severities[severity] for severity in Severity},
            "findings": self._listed,
            "is_complete": sum(self._totals.values()) == len(self._listed),
        }


@dataclass(frozen=True, slots=True)
class FindingsPage:
    """Findings as a report lists them, and the number to go on from: None after the last."""

    findings: list[dict[str, Any]]
    following: int | None


def findings_page(
    report: dict[str, Any],
    code: str | None = None,
    severity: Severity | None = None,
    start: int = 0,
    limit: int = 50,
) -> FindingsPage:
    """Some of the findings of a report as it is stored, those of one code or severity if that is wanted.

    `start` is what the page before gave. What is beyond the list is only in the report's totals.
    """
    listed: list[dict[str, Any]] = report.get("findings", [])
    fitting = (
        number
        for number in range(start, len(listed))
        if code in (None, listed[number]["code"]) and severity in (None, listed[number]["severity"])
    )
    numbers = list(islice(fitting, limit + 1))
    following = numbers[limit] if len(numbers) > limit else None
    return FindingsPage([listed[number] for number in numbers[:limit]], following)


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Paths and pointers are other people's text, and no place needs more of it than this."""
    path = finding.path if len(finding.path) <= SHOWN_CHARS else f"…{finding.path[1 - SHOWN_CHARS :]}"
    return {**asdict(finding), "path": path, "pointer": cut(finding.pointer)}


def finding_from_json(data: dict[str, Any]) -> Finding:
    return Finding(**{**data, "severity": Severity(data["severity"])})
