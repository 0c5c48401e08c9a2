"""What a job found, as a user reads it later: totals by code, and the first ten thousand one by one."""

from collections import Counter
from dataclasses import asdict
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


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Paths and pointers are other people's text, and no place needs more of it than this."""
    path = finding.path if len(finding.path) <= SHOWN_CHARS else f"…{finding.path[1 - SHOWN_CHARS :]}"
    return {**asdict(finding), "path": path, "pointer": cut(finding.pointer)}


def finding_from_json(data: dict[str, Any]) -> Finding:
    return Finding(**{**data, "severity": Severity(data["severity"])})
