"""The process that does the work: reads tasks from stdin, answers in JSON lines on stdout.

It holds the models and the object store, and no connection to SQL or the broker. Killing it loses nothing but
time, so the parent may do so at any moment: to cancel, or because the machine already has.
"""

import gc
import json
import os
import sys
import threading
import traceback
from queue import SimpleQueue
from typing import IO, Any

import structlog

from models.detection.detector_process import DetectorMissing, DetectorRefused
from models.errors import CheckpointRejected, GeneratorError, NotEnoughMemory
from models.training.errors import ImagesRejected, LossNotFinite, RecipeRejected
from service.errors import NightshiftError
from service.logs import set_up_logs
from service.processes import die_with_parent
from service.settings import Settings
from service.storage.object_store import open_store
from workers.context import Bench, ShardTask
from workers.pipeline import run_stage

log = structlog.get_logger(__name__)
GENERATOR_CODES: dict[type[GeneratorError], str] = {
    CheckpointRejected: "checkpoint-rejected",
    NotEnoughMemory: "not-enough-memory",
    RecipeRejected: "recipe-rejected",
    ImagesRejected: "images-rejected",
    LossNotFinite: "loss-not-finite",
    DetectorMissing: "detector-missing",
    DetectorRefused: "detector-refused",
}


class LineReporter:
    """Writes progress as it happens; the parent decides how often SQL hears of it."""

    def __init__(self, answers: IO[str]) -> None:
        self._answers = answers
        self._lock = threading.Lock()

    def progress(self, done: int, failed: int, reading: int) -> None:
        self.send(progress={"done": done, "failed": failed, "reading": reading})

    def note(self, text: str) -> None:
        self.send(note=text)

    def event(self, kind: str, data: dict[str, Any]) -> None:
        self.send(event={"kind": kind, "data": data})

    def send(self, **message: Any) -> None:
        with self._lock:
            self._answers.write(json.dumps(message) + "\n")
            self._answers.flush()


def main() -> None:
    answers = _claim_stdout()
    die_with_parent()  # where the kernel cannot do that, the end of stdin tells
    settings = Settings()
    set_up_logs(settings.log_level)
    reporter = LineReporter(answers)
    bench = Bench(open_store(settings), settings, reporter)
    _load_libraries()
    reporter.send(ready=True)
    tasks = _tasks_from_stdin()
    while (line := tasks.get()) is not None:
        reporter.send(**_answer(line, bench))


def _answer(line: str, bench: Bench) -> dict[str, Any]:
    try:
        task = ShardTask.from_json(json.loads(line))
        outcome = run_stage(task, bench)
    except NightshiftError as error:
        return {"refused": {"code": error.code, "message": error.message, "cure": error.cure}}
    except GeneratorError as error:
        code = GENERATOR_CODES.get(type(error), "generator-error")
        return {"refused": {"code": code, "message": error.message, "cure": error.cure}}
    except Exception as error:  # the task shell: whatever it is, the parent must hear of it
        log.error("stage failed", error=repr(error), traceback=traceback.format_exc())
        return {"crashed": f"{type(error).__name__}: {error}"}
    return {
        "outcome": {
            "parts": [part_to_json(part) for part in outcome.parts],
            "frames_done": outcome.frames_done,
            "frames_failed": outcome.frames_failed,
            "facts": outcome.facts,
            "dataset": outcome.dataset,
            "generators": outcome.generators,
        }
    }


def part_to_json(part: Any) -> list[int]:
    return [part.start_byte, part.stop_byte, part.position, part.frames_total]


def _claim_stdout() -> IO[str]:
    """Keep the answers' pipe for ourselves: whatever a library prints goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _load_libraries() -> None:
    """The slow imports come before the first claim, not inside a lease."""
    import torch  # noqa: PLC0415

    torch.set_grad_enabled(False)
    gc.freeze()  # what the libraries have made stays: the collector need not look at it with every frame


def _tasks_from_stdin() -> "SimpleQueue[str | None]":
    tasks: SimpleQueue[str | None] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            tasks.put(line)
        os._exit(0)  # the parent is gone: whatever runs is nobody's any more

    threading.Thread(target=read, daemon=True, name="stdin").start()
    return tasks


if __name__ == "__main__":
    main()
