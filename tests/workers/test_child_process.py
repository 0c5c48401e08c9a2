"""The real child: it says it is ready, answers, and its end is seen as what it was."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from service.storage import keys
from workers.child_process import ChildDied, ChildProcess

PATIENCE_SECONDS = 60.0
TASK = {
    "job_id": "job-1", "kind": "translation", "stage": "plan", "dataset_id": "ds-nowhere",
    "result_id": None, "spec": {"selection": {}, "preview": 0}, "job_outcome": {}, "plan_key": "plan",
    "result_key": "result", "start_byte": 0, "stop_byte": 0, "parts": [],
}  # fmt: skip


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChildProcess]:
    monkeypatch.setenv("NIGHTSHIFT_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NIGHTSHIFT_DEVICE", "cpu")
    child = ChildProcess()
    yield child
    child.kill()


def next_message(child: ChildProcess) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for message in child.messages(1.0):
            return message
    raise AssertionError("the child says nothing")


def death_of(child: ChildProcess) -> ChildDied:
    with pytest.raises(ChildDied) as death:
        next_message(child)
    return death.value


def test_a_child_gets_ready_refuses_what_it_cannot_do_and_ends_with_its_parent(child: ChildProcess) -> None:
    assert next_message(child) == {"ready": True}
    assert list(child.messages(0.01)) == [], "it waits for a task"
    for _ in range(2):  # a refusal is an answer: the child goes on
        child.send(TASK)
        refused = next_message(child)["refused"]
        assert refused["code"] == "not-found"
        assert keys.manifest("ds-nowhere") in refused["message"]
    child._tasks.close()  # as the kernel does when the parent is gone
    assert death_of(child).status == 0


@pytest.mark.parametrize(
    "end",
    [lambda child: os.kill(child.pid, signal.SIGKILL), lambda child: os.killpg(child.pid, signal.SIGKILL)],
)
def test_a_child_that_was_killed_is_seen_to_have_died_by_the_signal(
    child: ChildProcess, end: Callable[[ChildProcess], None]
) -> None:
    child.send(TASK)
    end(child)
    death = death_of(child)
    assert death.status == -signal.SIGKILL
    assert str(death) == "ended by signal 9"
    with pytest.raises(ChildDied, match="signal 9"):
        child.send(TASK)


def test_killing_leaves_no_process_behind(child: ChildProcess) -> None:
    child.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


def test_the_status_of_an_end_is_put_in_words() -> None:
    assert str(ChildDied(-11)) == "ended by signal 11"
    assert str(ChildDied(3)) == "ended with status 3"
