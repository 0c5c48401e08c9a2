"""One honest sentence about an experiment: what its intervals allow, and no more."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Any

from service.experiments.wording import counted, point_range, points, share, size_of_test, with_spread

METRIC = "map50"  # what a verdict speaks about


class Outcome(StrEnum):
    """What the interval of a difference says; a difference whose interval holds 0 shows nothing."""

    HELPS = "helps"
    HURTS = "hurts"
    NOTHING_SHOWN = "nothing shown"
    NOTHING_COMPARED = "nothing compared"


@dataclass(frozen=True, slots=True)
class Contest:
    """The best arm of one kind against the baseline."""

    kind: str
    choices: int
    difference: Mapping[str, Any]

    @property
    def arm(self) -> str:
        return str(self.difference["arm"])

    @property
    def outcome(self) -> Outcome:
        return outcome_of(self.difference)

    @property
    def name(self) -> str:
        """The arm, and among how many it is the best: chosen by the very scores that are reported."""
        return self.arm if self.choices == 1 else f"{self.arm} (the best of {self.choices} {self.kind})"


def verdict(report: Mapping[str, Any]) -> str:
    """The sentence: about the best synthetic arm, without one about brightening, else about any arm."""
    contest = main_contest(report)
    if contest is None:
        return _alone(report)
    clauses = [_main_clause(report, contest), *_after_main(report, contest), *_warnings(report)]
    return "; ".join(clauses) + "."


def main_contest(report: Mapping[str, Any]) -> Contest | None:
    """What the verdict is about; None if nothing was compared with the baseline."""
    for contest in (_synthetic_contest(report), _enhance_contest(report), _other_contest(report)):
        if contest is not None:
            return contest
    return None


def outcome_of(difference: Mapping[str, Any]) -> Outcome:
    interval = difference["interval"]
    if interval is None or interval[0] <= 0 <= interval[1]:
        return Outcome.NOTHING_SHOWN
    return Outcome.HELPS if interval[0] > 0 else Outcome.HURTS


def difference_of(report: Mapping[str, Any], arm: str, metric: str = METRIC) -> Mapping[str, Any] | None:
    """What `arm` gains over the experiment's baseline, if that was worked out."""
    wanted = (arm, report["baseline"], metric)
    for difference in report["differences"]:
        if (difference["arm"], difference["baseline"], difference["metric"]) == wanted:
            return dict(difference)
    return None


def gap_of(report: Mapping[str, Any], arm: str) -> Mapping[str, Any] | None:
    """Which share of the gap between baseline and upper bound `arm` closes, if there is an upper bound."""
    if report["upper_bound"] is None:
        return None
    return next((dict(gap) for gap in report["gap_closed"] if gap["arm"] == arm), None)


def is_synthetic(arm: Mapping[str, Any]) -> bool:
    """Was any of its training data made by a generator?"""
    return any((part.get("card") or {}).get("generator") for part in arm["parts"])


def overlapping_frames(report: Mapping[str, Any]) -> int:
    """How many test frames are, or look the same as, a frame that was trained or validated on."""
    leakage = report["leakage"]
    return len({pair["test"] for pair in [*leakage["identical"], *leakage["near_duplicates"]]})


def _synthetic_contest(report: Mapping[str, Any]) -> Contest | None:
    arms = (arm for arm in report["arms"] if arm["kind"] == "train" and is_synthetic(arm))
    return _contest(report, "synthetic arms", arms)


def _enhance_contest(report: Mapping[str, Any]) -> Contest | None:
    return _contest(report, "ways to brighten", (arm for arm in report["arms"] if arm["kind"] == "enhance"))


def _other_contest(report: Mapping[str, Any]) -> Contest | None:
    return _contest(report, "arms", report["arms"])


def _contest(report: Mapping[str, Any], kind: str, arms: Iterable[Mapping[str, Any]]) -> Contest | None:
    names = [arm["name"] for arm in arms if arm["name"] != report["baseline"]]
    found = [difference for name in names if (difference := difference_of(report, name))]
    known = [difference for difference in found if difference["difference"] is not None]
    if not known:
        return None
    return Contest(kind, len(known), max(known, key=lambda difference: float(difference["difference"])))


def _alone(report: Mapping[str, Any]) -> str:
    arm = next(arm for arm in report["arms"] if arm["name"] == report["baseline"])
    score = with_spread(arm["scores"][METRIC])
    setting = f"{counted(len(report['seeds']), 'seed')}, {size_of_test(report)}"
    warnings = "".join(f"; {warning}" for warning in _warnings(report))
    return f"Nothing was compared: {arm['name']} alone reaches {score} % mAP50 ({setting}){warnings}."


_SUBJECTS = {
    "synthetic arms": "Synthetic night data",
    "ways to brighten": "Brightening the test frames first",
    "arms": "Other training data",
}


def _main_clause(report: Mapping[str, Any], contest: Contest) -> str:
    baseline, difference = report["baseline"], contest.difference
    gain = f"{points(difference['difference'])} points of mAP50"
    setting = f"{counted(len(report['seeds']), 'seed')}, {size_of_test(report)}"
    if contest.outcome is not Outcome.NOTHING_SHOWN:
        interval = f"95 % interval {point_range(difference['interval'])}"
        start = f"{_SUBJECTS[contest.kind]} {contest.outcome}"
        return f"{start}: {contest.name} brings {gain} over {baseline} ({interval}, {setting})"
    if difference["interval"] is None:
        doubt = "no interval could be worked out"
    else:
        doubt = f"the 95 % interval, {point_range(difference['interval'])}, holds 0"
    return f"Nothing was shown: {contest.name} brings {gain} over {baseline}, but {doubt} ({setting})"


def _after_main(report: Mapping[str, Any], contest: Contest) -> list[str]:
    clauses = _selection_clause(contest) + _gap_clause(report, contest)
    if contest.outcome is Outcome.NOTHING_SHOWN and contest.difference["interval"] is not None:
        clauses.append(what_it_takes(report, contest.difference))
    enhance = _enhance_contest(report)
    if enhance is not None and contest.kind != enhance.kind:
        clauses.append(_enhance_clause(enhance))
    return clauses


def _selection_clause(contest: Contest) -> list[str]:
    if contest.choices == 1:
        return []
    return ["being chosen by these same scores flatters it"]


def what_it_takes(report: Mapping[str, Any], difference: Mapping[str, Any]) -> str:
    """How many more test units or seeds would give an even chance of telling the difference from 0."""
    if difference["difference"] == 0:
        return "a difference of 0 is nothing that more frames or seeds could show"
    test = report["test"]
    needed = [
        (difference["units_needed"], test["units"], f"more test {test['unit']}"),
        (difference["seeds_needed"], len(report["seeds"]), "more seed"),
    ]
    known = [(wanted - present, noun) for wanted, present, noun in needed if wanted is not None]
    if not known:
        return (
            f"neither more test {test['unit']}s alone nor more seeds alone would show so small a difference"
        )
    more = [f"about {counted(_roughly(missing), noun)}" for missing, noun in known if missing > 0]
    if not more:
        return "a few more test frames or seeds may settle it"
    return f"an even chance of telling a difference of this size from 0 would take {' or '.join(more)}"


def _gap_clause(report: Mapping[str, Any], contest: Contest) -> list[str]:
    gap, upper_bound = gap_of(report, contest.arm), report["upper_bound"]
    if gap is None or contest.arm == upper_bound:
        return []
    if gap["value"] is None:
        return [f"{upper_bound} is no better than {report['baseline']} here, so there is no gap to close"]
    if gap["interval"] is None:
        interval = "no interval could be worked out"
    else:
        interval = f"95 % interval {share(gap['interval'][0])} to {share(gap['interval'][1])}"
    if contest.outcome is Outcome.HELPS:
        return [f"it closes {share(gap['value'])} of the gap to {upper_bound} ({interval})"]
    return [f"of the gap to {upper_bound} that is {share(gap['value'])} ({interval})"]


def _enhance_clause(contest: Contest) -> str:
    difference = contest.difference
    gain = f"{points(difference['difference'])} points"
    if difference["interval"] is None:
        return f"for brightening first, {contest.name}, nothing was shown ({gain}, no interval)"
    interval = f"95 % interval {point_range(difference['interval'])}"
    if contest.outcome is Outcome.NOTHING_SHOWN:
        return f"for brightening first, {contest.name}, nothing was shown ({gain}, {interval})"
    return f"brightening first, {contest.name}, {contest.outcome}: {gain} ({interval})"


def _warnings(report: Mapping[str, Any]) -> list[str]:
    warnings = []
    if len(report["seeds"]) == 1:
        warnings.append("with one seed, how far two trainings differ by chance is not known")
    overlap = overlapping_frames(report)
    if overlap:
        some = "1 test frame was" if overlap == 1 else f"{overlap:,} test frames were"
        warnings.append(f"beware: {some} also trained or validated on")
    return warnings


def _roughly(number: int) -> int:
    """Rounded up to two digits: an estimate has no more."""
    unit = int(10 ** max(0, len(str(number)) - 2))
    return ceil(number / unit) * unit
