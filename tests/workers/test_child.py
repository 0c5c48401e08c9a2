"""Whatever becomes of a task, the parent is told in one line of JSON."""

import errno
import io
import json
from types import SimpleNamespace
from typing import Any

import pytest

from models.errors import CheckpointRejected, GeneratorError, NotEnoughMemory, UnknownGenerator
from models.training.errors import LossNotFinite, RecipeRejected
from service.errors import DatasetRejected, NightshiftError, NoSpaceLeft, ObjectNotFound, Unavailable
from service.jobs.job import JobKind, ShardPlan, Stage
from workers import child
from workers.child import LineReporter
from workers.context import Outcome

TASK = {
    "job_id": "job-1", "kind": "ingest", "stage": "plan", "spec": {}, "dataset_id": None,
    "result_id": "ds-1", "job_outcome": {}, "plan_key": "plan", "result_key": "result",
    "start_byte": 0, "stop_byte": 0, "parts": [],
}  # fmt: skip


def answer_when(
    monkeypatch: pytest.MonkeyPatch, run_stage: Any, line: str | None = None, sync: Any = lambda: None
) -> dict[str, Any]:
    monkeypatch.setattr("workers.child.run_stage", run_stage)
    bench = SimpleNamespace(store=SimpleNamespace(sync=sync))
    answer: dict[str, Any] = child._answer(line or json.dumps(TASK), bench)  # type: ignore[arg-type]
    assert json.loads(json.dumps(answer)) == answer, "it goes through a pipe as JSON"
    return answer


def test_an_outcome_is_told_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_stage(task: Any, bench: Any) -> Outcome:
        assert (task.kind, task.stage, task.parts) == (JobKind.INGEST, Stage.PLAN, ())
        return Outcome([ShardPlan(0, 9, 0, 2)], 3, 1, {"a": 1}, {"counts": {}}, [{"name": "x"}])

    assert answer_when(monkeypatch, run_stage) == {
        "outcome": {
            "parts": [[0, 9, 0, 2]],
            "frames_done": 3,
            "frames_failed": 1,
            "facts": {"a": 1},
            "dataset": {"counts": {}},
            "generators": [{"name": "x"}],
        }
    }


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DatasetRejected("mixed-formats", "Two formats.", "Keep one."), "mixed-formats"),
        (ObjectNotFound("datasets/ds-1/manifest.jsonl"), "not-found"),
        (CheckpointRejected("This is a PatchGAN.", "Import the generator."), "checkpoint-rejected"),
        (NotEnoughMemory("Not even a tile fits."), "not-enough-memory"),
        (RecipeRejected("There is no key 'x'.", "Did you mean 'y'?"), "recipe-rejected"),
        (LossNotFinite(7, ["G_A"]), "loss-not-finite"),
        (UnknownGenerator("cyclgan", ["cyclegan"]), "generator-error"),
    ],
)
def test_an_error_that_a_user_can_cure_is_a_refusal(
    monkeypatch: pytest.MonkeyPatch, error: NightshiftError | GeneratorError, code: str
) -> None:
    def run_stage(task: Any, bench: Any) -> Outcome:
        raise error

    refusal = {"code": code, "message": error.message, "cure": error.cure}
    assert answer_when(monkeypatch, run_stage) == {"refused": refusal}


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("division by zero"),
        OSError(errno.EIO, "Input/output error"),
        MemoryError(),
        OSError("x"),
    ],
)
def test_any_other_error_is_a_crash_that_is_named(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def run_stage(task: Any, bench: Any) -> Outcome:
        raise error

    assert answer_when(monkeypatch, run_stage)["crashed"].startswith(f"{type(error).__name__}: ")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError(errno.EBUSY, "Please reduce your request rate"),
        OSError(errno.EREMOTEIO, "We encountered an internal error"),
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError("read timed out"),
        NoSpaceLeft(),
        Unavailable("store"),
    ],
)
def test_a_store_that_is_full_or_away_only_delays(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def run_stage(task: Any, bench: Any) -> Outcome:
        raise error

    assert "store" in answer_when(monkeypatch, run_stage)["delayed"]


def test_what_was_stored_is_durable_before_anyone_hears_that_it_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    happened: list[str] = []

    def run_stage(task: Any, bench: Any) -> Outcome:
        happened.append("stored")
        return Outcome()

    answer = answer_when(monkeypatch, run_stage, sync=lambda: happened.append("synced"))
    assert "outcome" in answer
    assert happened == ["stored", "synced"]

    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert "delayed" in answer_when(monkeypatch, run_stage, sync=full), "not durable, so not done"


@pytest.mark.parametrize("line", ["no json", "{}", '{"kind": "no such kind"}'])
def test_a_task_that_makes_no_sense_does_not_end_the_child(
    monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    assert "crashed" in answer_when(monkeypatch, None, line)


def test_a_reporter_writes_one_line_a_message() -> None:
    pipe = io.StringIO()
    reporter = LineReporter(pipe)
    reporter.progress(3, 1, 6)
    reporter.note("halved\nto 4")
    assert [json.loads(line) for line in pipe.getvalue().splitlines()] == [
        {"progress": {"done": 3, "failed": 1, "reading": 6}},
        {"note": "halved\nto 4"},
    ]
