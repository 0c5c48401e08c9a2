"""The process that does the work: reads tasks from stdin, answers in JSON lines on stdout.

It holds the models and the object store, and no connection to SQL or the broker. Killing it loses nothing but
time, so the parent may do so at any moment: to cancel, or because the machine already has.
"""

import gc
import json
import os
import sys
import threading
import time
import traceback
from queue import SimpleQueue
from typing import IO, Any

import structlog

from models.detection.detector_process import DetectorMissing, DetectorRefused
from models.errors import CheckpointRejected, GeneratorError, NotEnoughMemory
from models.training.errors import ImagesRejected, LossNotFinite, RecipeRejected
from service.errors import NightshiftError, NoSpaceLeft, Unavailable
from service.logs import log_uncaught, set_up_logs
from service.processes import die_with_parent
from service.redaction import Redaction
from service.settings import Settings
from service.storage.object_store import open_store
from service.storage.outages import outage
from workers.context import Bench, ShardTask
from workers.pipeline import run_stage
from workers.watched_store import WatchedStore

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


ALIVE_EVERY_SECONDS = 1.0


class LineReporter:
    """Writes progress as it happens; the parent decides how often SQL hears of it."""

    def __init__(self, answers: IO[str]) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self._alive_at = float("-inf")

    def progress(self, done: int, failed: int, reading: int) -> None:
        self.send(progress={"done": done, "failed": failed, "reading": reading})

    def note(self, text: str) -> None:
        self.send(note=text)

    def event(self, kind: str, data: dict[str, Any]) -> None:
        self.send(event={"kind": kind, "data": data})

    def alive(self) -> None:
        """It may be called for every line of a file, so it says it now and then only."""
        if time.monotonic() - self._alive_at >= ALIVE_EVERY_SECONDS:
            self._alive_at = time.monotonic()
            self.send(alive=True)

    def send(self, **message: Any) -> None:
        with self._lock:
            self._answers.write(json.dumps(message) + "\n")
            self._answers.flush()


def main() -> None:
    answers = _claim_stdout()
    die_with_parent()  # where the kernel cannot do that, the end of stdin tells
    settings = Settings()
    set_up_logs(settings)
    sys.excepthook = log_uncaught
    reporter = LineReporter(answers)
    bench = Bench(WatchedStore(open_store(settings), reporter.alive), settings, reporter)
    _load_libraries()
    reporter.send(ready=True)
    tasks = _tasks_from_stdin()
    hide = Redaction.of(settings)
    while (line := tasks.get()) is not None:
        reporter.send(**_without_secrets(_answer(line, bench), hide))


def _answer(line: str, bench: Bench) -> dict[str, Any]:
    try:
        task = ShardTask.from_json(json.loads(line))
        structlog.contextvars.bind_contextvars(job_id=task.job_id, shard=task.index)
        outcome = run_stage(task, bench)
        bench.store.sync()  # the row that will say "done" outlives a power cut, and so must what it speaks of
    except (NoSpaceLeft, Unavailable) as error:
        return {"delayed": outage(error)}
    except NightshiftError as error:
        return {"refused": {"code": error.code, "message": error.message, "cure": error.cure}}
    except GeneratorError as error:
        code = GENERATOR_CODES.get(type(error), "generator-error")
        return {"refused": {"code": code, "message": error.message, "cure": error.cure}}
    except Exception as error:  # the task shell: whatever it is, the parent must hear of it
        if (reason := outage(error)) is not None:
            log.warning("stage put off", reason=reason)
            return {"delayed": reason}
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


def _without_secrets(answer: dict[str, Any], hide: Redaction) -> dict[str, Any]:
    """Why a shard was not done stands in the job's events and errors; a library's words may hold anything."""
    if "outcome" in answer:
        return answer
    return {
        kind: hide(told) if isinstance(told, str) else {name: hide(text) for name, text in told.items()}
        for kind, told in answer.items()
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
