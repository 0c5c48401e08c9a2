"""What was found, as a table for people and as JSON for machines."""

from collections import Counter
from collections.abc import Sequence
from statistics import quantiles
from typing import Any

from benchmarks.nemesis.trial import Trial


def table(name: str, frames: int, trials: Sequence[Trial]) -> str:
    lines = [
        "| run | seed | frames | faults done | jobs | lost | double | quarantined | falsely | fenced out | "
        "objects hashed | left over | s | x | verdict |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for trial in trials:
        sums: Counter[str] = Counter()
        for verdict in trial.verdicts:
            for each in ("lost", "double", "quarantined", "falsely_accused", "fenced_out", "objects_hashed",
                         "unexplained"):  # fmt: skip
                sums[each] += getattr(verdict, each)
        done = ", ".join(f"{count} {fault}" for fault, count in sorted(trial.faults.items()))
        words = "holds" if trial.is_clean else "; ".join(_faults(trial)[:3])
        lines.append(
            f"| {name} | {trial.seed} | {frames:,} | {sum(trial.faults.values())} ({done}) | {trial.jobs} "
            f"| {sums['lost']} | {sums['double']} | {sums['quarantined']} | {sums['falsely_accused']} "
            f"| {sums['fenced_out']} | {sums['objects_hashed']:,} | {sums['unexplained']} "
            f"| {trial.seconds:.0f} | {trial.slowdown} | {words} |"
        )
    return "\n".join(lines)


def take_back_line(trials: Sequence[Trial], lease_seconds: float) -> str:
    found = sorted(seconds for trial in trials for seconds in trial.take_back_seconds)
    if len(found) < 2:
        return "no shard was lost with its node"
    worst = quantiles(found, n=100, method="inclusive")[98]
    return (
        f"{len(found)} shards lost with their node: waiting again after p50 {found[len(found) // 2]:.1f} s, "
        f"p99 {worst:.1f} s (lease {lease_seconds:g} s, so {lease_seconds + 2:g} s allowed)"
    )


def to_json(name: str, frames: int, trials: Sequence[Trial], **facts: Any) -> dict[str, Any]:
    return {"run": name, "frames": frames, **facts, "trials": [trial.to_json() for trial in trials]}


def _faults(trial: Trial) -> list[str]:
    return [fault for verdict in trial.verdicts for fault in verdict.faults]
