"""A plan is cut so that every line lies in exactly one shard; a task survives its way to the child."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.jobs.job import JobKind, ShardPlan, Stage
from service.storage.object_store import ObjectStore
from workers.context import PlanCutter, ShardTask

LINES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=12).map(str.encode), max_size=40
)


def shard_task(**changes: object) -> ShardTask:
    values = {
        "job_id": "job-1",
        "kind": JobKind.TRANSLATION,
        "stage": Stage.WORK,
        "spec": {"seed": 3, "generator": {"name": "identity"}},
        "dataset_id": "ds-1",
        "result_id": None,
        "job_outcome": {"frames_total": 4},
        "plan_key": "jobs/job-1/plan.jsonl",
        "result_key": "jobs/job-1/shards/000001.jsonl",
        "start_byte": 0,
        "stop_byte": 0,
    }
    return ShardTask(**{**values, **changes})  # type: ignore[arg-type]


@settings(deadline=None)
@given(lines=LINES, frames_per_shard=st.integers(-1, 50))
def test_every_line_lies_in_exactly_one_part_in_order(lines: list[bytes], frames_per_shard: int) -> None:
    cutter = PlanCutter()
    plan = b"".join(cutter.add(line) for line in lines)
    parts = cutter.cut(frames_per_shard)
    assert len(cutter) == len(lines)
    assert plan == b"".join(line + b"\n" for line in lines)
    read = [plan[part.start_byte : part.stop_byte].split(b"\n")[:-1] for part in parts]
    assert [line for part in read for line in part] == lines
    assert [len(part) for part in read] == [part.frames_total for part in parts]
    assert [part.position for part in parts] == list(range(0, len(lines), max(1, frames_per_shard)))
    assert all(part.frames_total == max(1, frames_per_shard) for part in parts[:-1])


def test_an_empty_plan_has_no_parts() -> None:
    assert PlanCutter().cut(10) == []


def test_a_line_is_as_long_as_its_bytes_not_its_letters() -> None:
    cutter = PlanCutter()
    for text in ("ä", "日本", "a"):
        cutter.add(text.encode())
    assert cutter.cut(2) == [ShardPlan(0, 10, 0, 2), ShardPlan(10, 12, 2, 1)]


def test_a_shard_reads_its_own_lines_of_the_plan(store: ObjectStore) -> None:
    cutter = PlanCutter()
    # A line end of Unicode may stand in a line as it is: only \n ends one.
    lines = ["first", "second\u2028 still\x85\x0c second", "third", "fourth"]
    store.write("jobs/job-1/plan.jsonl", b"".join(cutter.add(line.encode()) for line in lines))
    read = [
        shard_task(start_byte=part.start_byte, stop_byte=part.stop_byte).lines(store)
        for part in cutter.cut(2)
    ]
    assert [[line.decode() for line in part] for part in read] == [lines[:2], lines[2:]]


@pytest.mark.parametrize("parts", [(), ("jobs/job-1/shards/000001.jsonl", "jobs/job-0/shards/000002.jsonl")])
def test_a_task_is_the_same_after_its_way_through_json(parts: tuple[str, ...]) -> None:
    task = shard_task(parts=parts)
    assert ShardTask.from_json(json.loads(json.dumps(task.to_json()))) == task
