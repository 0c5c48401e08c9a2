"""The runs of an experiment while it goes on: every arm with every seed, and its validation so far."""

from dataclasses import dataclass

from service.api.views import ExperimentView, RunView
from service.jobs.job import DETECTOR_EVENT
from service.jobs.store import JobStore
from service.web.learning.plots import Line, lines

MAX_EVENTS = 100_000
METRIC = "map50"
RunName = tuple[str, int]


@dataclass(frozen=True, slots=True)
class RunRow:
    """`curve`: mAP50 on the validation frames after each epoch."""

    run: RunView
    number: int
    curve: Line | None

    @property
    def validation(self) -> float | None:
        return self.run.validation.get(METRIC)


@dataclass(frozen=True, slots=True)
class Runs:
    """`top`: the highest validation of all, to which every curve is drawn. `brightened`: the arms that train
    nothing.
    """

    rows: list[RunRow]
    top: float
    brightened: list[tuple[str, str]]

    @property
    def done(self) -> int:
        return sum(row.run.state == "done" for row in self.rows)


def runs_of(jobs: JobStore, view: ExperimentView) -> Runs:
    told = [(number, run) for number, arm in enumerate(view.arms) for run in arm.runs]
    validations = _validations(jobs, view.job.id)
    curves = [(f"{run.arm} {run.seed}", number, validations.get(_name(run), [])) for number, run in told]
    drawn, top = lines(curves)
    by_name = {line.name: line for line in drawn}
    rows = [RunRow(run, number, by_name.get(f"{run.arm} {run.seed}")) for number, run in told]
    brightened = [(arm.name, arm.generator) for arm in view.arms if arm.generator is not None]
    return Runs(rows, top, brightened)


def _validations(jobs: JobStore, job_id: str) -> dict[RunName, list[tuple[float, float]]]:
    """Epochs that were trained again after a fault are told once."""
    found: dict[RunName, dict[float, float]] = {}
    for event in jobs.events(job_id, 0, MAX_EVENTS, DETECTOR_EVENT):
        score = event.data.get("validation", {}).get(METRIC)
        if score is not None:
            run = (event.data["arm"], event.data["seed"])
            found.setdefault(run, {})[event.data["epoch"]] = score
    return {run: sorted(scores.items()) for run, scores in found.items()}


def _name(run: RunView) -> RunName:
    return run.arm, run.seed
