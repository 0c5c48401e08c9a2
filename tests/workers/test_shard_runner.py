"""The parent claims, watches and records; whatever becomes of its child, no frame is lost."""

import errno
import itertools
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from service.catalogue import BUNDLED
from service.datasets.dataset import Finding, Severity
from service.jobs.database import Database, database_now
from service.jobs.job import JobKind, JobState, Shard, ShardPlan, ShardState, Stage
from service.jobs.leases import Lease, LeaseStore
from service.jobs.results import read_results
from service.jobs.submit import Desk, IngestWish, TranslationWish, submit_ingest, submit_translation
from service.jobs.tables import jobs, shards
from service.settings import Settings
from service.storage import keys
from service.storage.object_store import ObjectStore
from workers import child
from workers.child_process import ChildDied, ChildProcess, ChildStalled, Silence
from workers.context import Outcome, PlanCutter, ShardTask
from workers.shard_runner import ShardRunner

Turn = dict[str, Any] | ChildDied | None
Behaviour = Callable[[ShardTask], Iterator[Turn]]
JOB = "job-a"
FRAMES = 8
KILLED, CRASHED = ChildDied(-9), ChildDied(-11)


class StandInChild:
    """A child whose words are scripted: a turn is a message, silence (None) or its death."""

    def __init__(self, nursery: "Nursery") -> None:
        self._nursery = nursery
        self._turns: Iterator[Turn] = iter([None, {"ready": True}])
        self.tasks: list[ShardTask] = []
        self.is_killed = False
        self.is_dead = False

    def send(self, task: dict[str, Any]) -> None:
        assert not self.is_killed
        if self.is_dead:
            raise KILLED
        self.tasks.append(ShardTask.from_json(json.loads(json.dumps(task))))
        self._turns = self._nursery.behaviour(self.tasks[-1])

    def messages(self, timeout_seconds: float) -> Iterator[dict[str, Any]]:
        assert timeout_seconds > 0
        assert not self.is_killed
        turn = next(self._turns)
        if isinstance(turn, ChildDied):
            self.is_dead = True
            raise turn
        if turn is not None:
            yield turn

    def kill(self) -> None:
        self.is_killed = True


class Nursery:
    """Where children come from."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.children: list[StandInChild] = []
        self.behaviour: Behaviour = self.finishing
        self.stillborn = 0

    def __call__(self) -> StandInChild:
        newborn = StandInChild(self)
        if self.stillborn:
            self.stillborn -= 1
            newborn._turns = iter([ChildDied(1)])
        self.children.append(newborn)
        return newborn

    @property
    def tasks(self) -> list[ShardTask]:
        return [task for each in self.children for task in each.tasks]

    def finishing(self, task: ShardTask) -> Iterator[Turn]:
        """What a child does with nothing in its way."""
        if task.stage is Stage.PLAN:
            yield answer(parts=planned(self.store, 4), facts={"frames_total": FRAMES})
        elif task.stage is Stage.PUBLISH:
            yield answer(dataset={"counts": {"frames": FRAMES}}, facts={"published": True})
        else:
            lines = task.lines(self.store)
            for number in range(len(lines)):
                yield progress(number, 0, min(len(lines), number + 2))
            yield answer(frames_done=len(lines))


def progress(done: int, failed: int, reading: int) -> Turn:
    return {"progress": {"done": done, "failed": failed, "reading": reading}}


def answer(**values: Any) -> Turn:
    """As `workers.child` words it."""
    outcome = Outcome(**values)
    parts = [child.part_to_json(part) for part in outcome.parts]
    return {"outcome": {**{n: getattr(outcome, n) for n in Outcome.__slots__}, "parts": parts}}


def planned(store: ObjectStore, frames_per_shard: int) -> list[ShardPlan]:
    """Write a plan of lines of unequal length, and cut it."""
    cutter = PlanCutter()
    lines = [
        json.dumps({"image": f"images/train/{name}.jpg", "frame": {"split": "train", "id": name}})
        for name in (f"é{'x' * (number % 5)}{number}" for number in range(FRAMES))
    ]
    store.write(keys.plan(JOB), b"".join(cutter.add(line.encode()) for line in lines))
    return cutter.cut(frames_per_shard)


@pytest.fixture
def nursery(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Nursery:
    nursery = Nursery(store)
    monkeypatch.setattr("workers.shard_runner.ChildProcess", nursery)
    return nursery


def runner_of(
    desk: Desk, store: ObjectStore, settings: Settings, leases: LeaseStore | None = None
) -> ShardRunner:
    return ShardRunner(
        settings, desk.jobs, leases or desk.leases, desk.library, store, desk.queue, worker="tester:1"
    )  # fmt: skip


@pytest.fixture
def runner(desk: Desk, store: ObjectStore, settings: Settings, nursery: Nursery) -> ShardRunner:
    return runner_of(desk, store, settings)


@pytest.fixture
def job(desk: Desk) -> str:
    """A translation that waits to be planned."""
    first = {
        "job_id": JOB, "index": 0, "stage": Stage.PLAN,
        "plan_key": keys.plan(JOB), "result_key": keys.shard_result(JOB, 0),
    }  # fmt: skip
    result = {"id": "ds-a", "name": "night", "source": {}, "format": None}
    spec = {"error_budget": 1.0, "seed": 3}
    desk.jobs.create(JobKind.TRANSLATION, spec, [first], job_id=JOB, result=result, dataset_id="ds-day")
    return JOB


@pytest.fixture
def work(desk: Desk, store: ObjectStore, job: str) -> str:
    """The same job, planned: two shards of four frames, 1 and 2."""
    plan = desk.leases.claim(job, 0, "planner")
    assert plan is not None
    assert desk.leases.finish_plan(plan, planned(store, 4), {"frames_total": FRAMES})
    return job


def shard(desk: Desk, index: int) -> Shard:
    return next(each for each in desk.jobs.shards(JOB) if each.index == index)


def without_waiting(database: Database) -> None:
    """A retry waits a little; not in tests."""
    with database.writing() as connection:
        connection.execute(update(shards).values(not_before=0.0))


def expire(database: Database, index: int) -> None:
    with database.writing() as connection:
        connection.execute(
            update(shards).where(shards.c.index == index).values(lease_until=database_now() - 1)
        )


def run_all(desk: Desk, runner: ShardRunner, job_id: str = JOB) -> None:
    """Work as long as something waits, as the doorbell would have it."""
    for _ in range(100):
        waiting = [each.index for each in desk.jobs.shards(job_id) if each.state is ShardState.PENDING]
        if not waiting or desk.jobs.job(job_id).is_final:
            return
        runner.run(job_id, waiting[0])
    raise AssertionError("the job never ends")


def saying(*turns: Turn) -> Behaviour:
    """A child that says this to every task."""
    return lambda _: iter(turns)


def forever_silent() -> Iterator[Turn]:
    return itertools.repeat(None)


def test_a_job_is_planned_worked_on_and_published(
    desk: Desk, runner: ShardRunner, nursery: Nursery, job: str
) -> None:
    run_all(desk, runner)
    assert desk.jobs.job(job).state is JobState.SUCCEEDED
    assert desk.jobs.job(job).outcome == {"frames_total": FRAMES, "published": True}
    assert desk.library.ready_dataset("ds-a").counts == {"frames": FRAMES}
    assert [task.stage for task in nursery.tasks] == [Stage.PLAN, Stage.WORK, Stage.WORK, Stage.PUBLISH]
    assert len(nursery.children) == 1, "one child does it all"
    assert desk.queue.hints == [(job, 1), (job, 2), (job, 3)]  # type: ignore[attr-defined]


def test_the_child_is_told_all_it_needs(desk: Desk, runner: ShardRunner, nursery: Nursery, work: str) -> None:
    runner.run(work, 2)
    [task] = nursery.tasks
    claimed = shard(desk, 2)
    assert (task.job_id, task.kind, task.stage) == (JOB, JobKind.TRANSLATION, Stage.WORK)
    assert (task.dataset_id, task.result_id) == ("ds-day", "ds-a")
    assert (task.start_byte, task.stop_byte) == (claimed.start_byte, claimed.stop_byte)
    assert (task.plan_key, task.result_key) == (keys.plan(JOB), keys.shard_result(JOB, 2))
    assert task.spec["seed"] == 3
    assert task.job_outcome == {"frames_total": FRAMES}


def test_publishing_gets_the_results_in_the_order_of_their_frames(
    runner: ShardRunner, nursery: Nursery, work: str
) -> None:
    for index in (2, 1, 3):
        runner.run(work, index)
    assert nursery.tasks[-1].parts == (keys.shard_result(JOB, 1), keys.shard_result(JOB, 2))


def test_the_child_is_ready_before_anything_is_claimed(
    desk: Desk, runner: ShardRunner, nursery: Nursery, work: str
) -> None:
    runner.start()
    runner.start()
    assert len(nursery.children) == 1
    assert shard(desk, 1).state is ShardState.PENDING


def test_a_hint_that_comes_twice_does_nothing(
    desk: Desk, runner: ShardRunner, nursery: Nursery, work: str
) -> None:
    runner.run(work, 1)
    runner.run(work, 1)
    runner.run(work, 99)
    assert len(nursery.tasks) == 1
    assert shard(desk, 1).fence == 1


def test_counts_and_notes_are_recorded(desk: Desk, runner: ShardRunner, nursery: Nursery, work: str) -> None:
    def behaviour(task: ShardTask) -> Iterator[Turn]:
        yield {"note": "out of memory at batch 8: halved to 4"}
        yield answer(frames_done=3, frames_failed=1)

    nursery.behaviour = behaviour
    runner.run(work, 1)
    done = shard(desk, 1)
    assert (done.state, done.frames_done, done.frames_failed) == (ShardState.DONE, 3, 1)
    assert desk.jobs.job(work).outcome["notes"] == ["out of memory at batch 8: halved to 4"]


def test_progress_is_reported_with_every_heartbeat(
    desk: Desk, store: ObjectStore, settings: Settings, nursery: Nursery, work: str
) -> None:
    seen = []

    def behaviour(task: ShardTask) -> Iterator[Turn]:
        for done in range(3):
            yield progress(done, 1, 4)
            now = desk.jobs.progress(desk.jobs.job(work))
            seen.append((now.frames_done, now.frames_failed))
        yield answer(frames_done=3, frames_failed=1)

    nursery.behaviour = behaviour
    runner_of(desk, store, settings.model_copy(update={"heartbeat_seconds": 1e-9})).run(work, 1)
    assert seen == [(0, 1), (1, 1), (2, 1)]


def test_a_slow_shard_keeps_its_lease(
    desk: Desk, store: ObjectStore, settings: Settings, database: Database, nursery: Nursery, work: str
) -> None:
    def behaviour(task: ShardTask) -> Iterator[Turn]:
        for _ in range(3):
            expire(database, 1)  # time passes
            yield None
            assert desk.leases.take_back_expired() == []
        yield answer(frames_done=4)

    nursery.behaviour = behaviour
    runner_of(desk, store, settings.model_copy(update={"heartbeat_seconds": 1e-9})).run(work, 1)
    assert shard(desk, 1).state is ShardState.DONE


class CountingLeases(LeaseStore):
    """Leases that count how often they are renewed."""

    renewals = 0

    def renew(self, shard: Shard, frames_done: int, frames_failed: int) -> Lease:
        self.renewals += 1
        return super().renew(shard, frames_done, frames_failed)


class SteppingClock:
    """A clock on which a second passes from one look to the next."""

    def __init__(self) -> None:
        self._seconds = itertools.count()

    def monotonic(self) -> float:
        return float(next(self._seconds))


def test_the_database_is_written_to_no_more_often_than_the_heart_beats(
    desk: Desk,
    store: ObjectStore,
    settings: Settings,
    nursery: Nursery,
    work: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.shard_runner.time", SteppingClock())
    nursery.behaviour = saying(*[progress(0, 0, 1)] * 12, answer(frames_done=4))
    leases = CountingLeases(desk.leases.database, lease_seconds=30.0, attempts=3)
    patient = settings.model_copy(update={"heartbeat_seconds": 2.5})
    runner_of(desk, store, patient, leases).run(work, 1)
    assert leases.renewals == 12 // 3


@pytest.mark.parametrize("stage", ["plan", "work"])
def test_a_refusal_fails_the_job_with_its_code_and_words(
    desk: Desk, runner: ShardRunner, nursery: Nursery, request: pytest.FixtureRequest, stage: str
) -> None:
    job_id = request.getfixturevalue("job" if stage == "plan" else "work")

    def behaviour(task: ShardTask) -> Iterator[Turn]:
        yield {"refused": {"code": "empty-dataset", "message": "Nothing is left.", "cure": "Add images."}}

    nursery.behaviour = behaviour
    runner.run(job_id, 0 if stage == "plan" else 1)
    failed = desk.jobs.job(job_id)
    assert (failed.state, failed.error_code) == (JobState.FAILED, "empty-dataset")
    assert failed.error == "Nothing is left. Add images."
    assert str(desk.library.dataset("ds-a").state) == "rejected"
    runner.run(job_id, 2)
    assert len(nursery.tasks) == 1, "nothing more of it is worked on"


def test_a_crash_is_tried_again_by_the_same_child(
    desk: Desk, runner: ShardRunner, database: Database, nursery: Nursery, work: str
) -> None:
    def behaviour(task: ShardTask) -> Iterator[Turn]:
        if len(nursery.tasks) == 1:
            yield {"crashed": "ZeroDivisionError: division by zero"}
        yield from nursery.finishing(task)

    nursery.behaviour = behaviour
    runner.run(work, 1)
    waiting = shard(desk, 1)
    assert (waiting.state, waiting.attempts, waiting.strikes) == (ShardState.PENDING, 1, 0)
    assert desk.jobs.job(work).state is JobState.RUNNING
    without_waiting(database)
    run_all(desk, runner)
    assert desk.jobs.job(work).state is JobState.SUCCEEDED
    assert len(nursery.children) == 1


@pytest.mark.parametrize("turn", [{"crashed": "OSError: disk full"}, CRASHED], ids=["told", "seen"])
def test_a_plan_that_fails_each_time_fails_the_job(
    desk: Desk, runner: ShardRunner, database: Database, nursery: Nursery, job: str, turn: Turn
) -> None:
    nursery.behaviour = saying(turn)
    for attempt in range(1, 4):
        runner.run(job, 0)
        assert shard(desk, 0).attempts == attempt
        without_waiting(database)
    failed = desk.jobs.job(job)
    assert (failed.state, failed.error_code) == (JobState.FAILED, "internal-error")
    assert ("disk full" if isinstance(turn, dict) else "signal 11") in (failed.error or "")


@pytest.mark.parametrize("stage", [Stage.PLAN, Stage.PUBLISH])
def test_kills_in_a_row_fail_no_job_that_can_be_done(
    desk: Desk, runner: ShardRunner, database: Database, nursery: Nursery, job: str, stage: Stage
) -> None:
    kills = 2 * desk.leases.attempts

    def behaviour(task: ShardTask) -> Iterator[Turn]:
        if task.stage is stage and len([each for each in nursery.tasks if each.stage is stage]) <= kills:
            yield KILLED
        yield from nursery.finishing(task)

    nursery.behaviour = behaviour
    while not desk.jobs.job(job).is_final:
        index = next(each.index for each in desk.jobs.shards(job) if each.state is ShardState.PENDING)
        runner.run(job, index)
        without_waiting(database)
    struck = next(each for each in desk.jobs.shards(job) if each.stage is stage)
    assert (struck.state, struck.attempts, struck.losses) == (ShardState.DONE, 0, kills)
    assert desk.jobs.job(job).state is JobState.SUCCEEDED


def test_a_plan_that_is_killed_each_time_fails_the_job_in_the_end(
    desk: Desk, runner: ShardRunner, database: Database, nursery: Nursery, job: str
) -> None:
    nursery.behaviour = saying(KILLED)
    for loss in range(1, desk.leases.losses + 1):
        assert desk.jobs.job(job).state in (JobState.QUEUED, JobState.RUNNING)
        runner.run(job, 0)
        assert (shard(desk, 0).attempts, shard(desk, 0).losses) == (0, loss)
        without_waiting(database)
    failed = desk.jobs.job(job)
    assert (failed.state, failed.error_code) == (JobState.FAILED, "worker-lost")
    assert "signal 9" in (failed.error or "")
    assert "memory" in (failed.error or "")


@pytest.mark.parametrize("stage", [Stage.PLAN, Stage.PUBLISH])
def test_a_death_outside_the_work_on_images_blames_none(
    desk: Desk, runner: ShardRunner, database: Database, nursery: Nursery, job: str, stage: Stage
) -> None:
    def behaviour(task: ShardTask) -> Iterator[Turn]:
        if task.stage is stage and len([each for each in nursery.tasks if each.stage is stage]) == 1:
            yield KILLED
        yield from nursery.finishing(task)

    nursery.behaviour = behaviour
    for index in range(4 if stage is Stage.PUBLISH else 1):
        runner.run(job, index)
    struck = next(each for each in desk.jobs.shards(job) if each.stage is stage)
    assert (struck.state, struck.attempts, struck.strikes) == (ShardState.PENDING, 0, 0)
    assert struck.losses == 1
    without_waiting(database)
    run_all(desk, runner)
    assert desk.jobs.job(job).state is JobState.SUCCEEDED
    assert len(nursery.children) == 2


def test_cancelling_kills_the_child_and_gives_the_shard_back(
    desk: Desk, runner: ShardRunner, nursery: Nursery, work: str
) -> None:
    def behaviour(task: ShardTask) -> Iterator[Turn]:
        yield progress(1, 0, 3)
        desk.jobs.cancel(work)
        yield from forever_silent()

    nursery.behaviour = behaviour
    runner.run(work, 1)
    assert nursery.children[0].is_killed
    assert shard(desk, 1).state is ShardState.PENDING
    assert desk.jobs.job(work).state is JobState.CANCELLED


def test_a_job_that_failed_elsewhere_stops_the_child(
    desk: Desk, runner: ShardRunner, nursery: Nursery, work: str
) -> None:
    def behaviour(task: ShardTask) -> Iterator[Turn]:
        desk.jobs.fail(work, "error-budget", "Too many images failed.")
        yield from forever_silent()

    nursery.behaviour = behaviour
    runner.run(work, 1)
    assert nursery.children[0].is_killed
    assert desk.jobs.job(work).error_code == "error-budget"


@pytest.mark.parametrize("speaks_late", [False, True])
def test_a_shard_that_was_lost_is_dropped_and_nothing_recorded(
    desk: Desk, runner: ShardRunner, database: Database, nursery: Nursery, work: str, speaks_late: bool
) -> None:
    others: list[Shard | None] = []

    def behaviour(task: ShardTask) -> Iterator[Turn]:
        yield progress(1, 0, 3)
        expire(database, 1)
        desk.leases.take_back_expired()
        others.append(desk.leases.claim(work, 1, "another worker"))
        if speaks_late:
            yield answer(frames_done=4)
        yield from forever_silent()

    nursery.behaviour = behaviour
    runner.run(work, 1)
    [other] = others
    assert other is not None
    assert desk.leases.look(other) is Lease.HELD
    assert shard(desk, 1) == other, "not a number was changed"
    assert nursery.children[0].is_killed is not speaks_late, "a child that has answered has nothing to drop"


def test_a_stopped_worker_gives_its_shard_back_and_takes_no_other(
    desk: Desk, runner: ShardRunner, nursery: Nursery, work: str
) -> None:
    def behaviour(task: ShardTask) -> Iterator[Turn]:
        yield progress(1, 0, 3)
        runner.stop()
        yield from forever_silent()

    nursery.behaviour = behaviour
    runner.run(work, 1)
    given = shard(desk, 1)
    assert (given.state, given.attempts, given.strikes) == (ShardState.PENDING, 0, 0)
    assert nursery.children[0].is_killed
    runner.run(work, 2)
    assert len(nursery.tasks) == 1


def test_closing_kills_the_child_once(runner: ShardRunner, nursery: Nursery) -> None:
    runner.start()
    runner.close()
    runner.close()
    assert [each.is_killed for each in nursery.children] == [True]


@pytest.mark.parametrize(
    ("said", "lengths"),
    [
        ([], [1, 7]),
        ([progress(0, 0, 3)], [1, 1, 1, 5]),
        ([progress(1, 0, 3), progress(2, 0, 4)], [2, 1, 1, 4]),
        ([progress(1, 1, 4)], [2, 1, 1, 4]),
        ([progress(3, 0, 3)], [3, 1, 4]),
        ([progress(0, 0, 8)], [1] * 8),
        ([progress(6, 1, 8)], [7, 1]),
        ([progress(8, 0, 8)], [7, 1]),
        ([progress(2, 0, 99)], [2, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_a_death_cuts_the_shard_around_the_frames_in_flight(
    desk: Desk,
    store: ObjectStore,
    runner: ShardRunner,
    nursery: Nursery,
    job: str,
    said: list[Turn],
    lengths: list[int],
) -> None:
    # The shard begins after another one's bytes: ranges are of the plan, not of the shard.
    whole = planned(store, FRAMES)[0]
    before = b"the lines of another shard\n" * 3
    store.write(keys.plan(JOB), before + store.read(keys.plan(JOB)))
    own = ShardPlan(len(before), len(before) + whole.stop_byte, 3, FRAMES)
    plan = desk.leases.claim(job, 0, "planner")
    assert plan is not None
    desk.leases.finish_plan(plan, [ShardPlan(0, len(before), 0, 3), own], {})
    lines = store.read_range(keys.plan(JOB), own.start_byte, own.stop_byte).splitlines()

    nursery.behaviour = saying(*said, KILLED)
    runner.run(job, 2)

    assert shard(desk, 2).state is ShardState.SPLIT
    parts = [each for each in desk.jobs.shards(job) if each.index > 2]
    assert [part.frames_total for part in parts] == lengths
    assert [part.position for part in parts] == [3 + sum(lengths[:n]) for n in range(len(lengths))]
    read = [store.read_range(part.plan_key, part.start_byte, part.stop_byte).splitlines() for part in parts]
    assert [len(each) for each in read] == lengths
    assert list(itertools.chain(*read)) == lines, "each line once, in order"
    assert {(part.state, part.strikes) for part in parts} == {(ShardState.PENDING, 0)}
    assert len({part.result_key for part in parts} | {shard(desk, 2).result_key}) == len(parts) + 1
    assert desk.jobs.progress(desk.jobs.job(job)).frames_total == FRAMES + 3


def test_after_a_death_a_new_child_works_on(
    desk: Desk, runner: ShardRunner, nursery: Nursery, work: str
) -> None:
    nursery.behaviour = saying(KILLED)
    runner.run(work, 1)
    nursery.behaviour = nursery.finishing
    runner.run(work, 2)
    assert len(nursery.children) == 2
    assert nursery.children[0].is_killed, "its pipes are closed"
    assert shard(desk, 2).state is ShardState.DONE


def deadly(nursery: Nursery, images: set[int], ahead: int) -> Behaviour:
    """A child that dies as soon as one of these images is in flight, `ahead` of the finished ones."""

    def behaviour(task: ShardTask) -> Iterator[Turn]:
        if task.stage is not Stage.WORK:
            yield from nursery.finishing(task)
            return
        lines = task.lines(nursery.store)
        for done in range(len(lines)):
            reading = min(len(lines), done + 1 + ahead)
            yield progress(done, 0, reading)
            if any(f"{number}.jpg".encode() in line for number in images for line in lines[:reading]):
                yield KILLED
        yield answer(frames_done=len(lines))

    return behaviour


@pytest.mark.parametrize(
    ("images", "ahead"),
    [({0}, 0), ({3}, 2), ({3}, 10), ({4}, 10), ({7}, 2), ({0, 7}, 2), ({2, 3}, 0), (set(range(FRAMES)), 1)],
)
def test_only_the_images_that_kill_are_left_out_and_every_other_is_done_once(
    desk: Desk,
    store: ObjectStore,
    runner: ShardRunner,
    nursery: Nursery,
    job: str,
    images: set[int],
    ahead: int,
) -> None:
    nursery.behaviour = deadly(nursery, images, ahead)
    run_all(desk, runner)
    assert desk.jobs.job(job).state is JobState.SUCCEEDED
    finished: Counter[bytes] = Counter()
    quarantined: list[Finding] = []
    for part in desk.jobs.shards(job):
        if part.stage is not Stage.WORK or part.state is not ShardState.DONE:
            continue
        lines = store.read_range(part.plan_key, part.start_byte, part.stop_byte).splitlines()
        finished.update(lines)
        if part.frames_failed:
            assert (part.frames_failed, part.strikes, len(lines)) == (1, 3, 1)
            quarantined += [
                item for item in read_results(store, part.result_key) if isinstance(item, Finding)
            ]
        else:
            assert part.frames_done == len(lines)
    everything = store.read(keys.plan(JOB)).splitlines()
    assert finished == Counter(everything)
    assert [(each.code, each.severity) for each in quarantined] == [("decoder-crash", Severity.ERROR)] * len(
        images
    )
    assert [each.path for each in quarantined] == [json.loads(everything[n])["image"] for n in sorted(images)]


def test_an_image_is_left_out_after_as_many_strikes_as_the_settings_say(
    desk: Desk, store: ObjectStore, settings: Settings, nursery: Nursery, job: str
) -> None:
    nursery.behaviour = deadly(nursery, {5}, ahead=0)
    run_all(desk, runner_of(desk, store, settings.model_copy(update={"strikes": 4})))
    [struck] = [each for each in desk.jobs.shards(job) if each.strikes]
    assert struck.strikes == 4
    [finding] = read_results(store, struck.result_key)
    assert isinstance(finding, Finding)
    assert "4 times" in finding.message
    tries = [
        task for task in nursery.tasks if task.start_byte == struck.start_byte and task.stage is Stage.WORK
    ]
    assert len([task for task in tries if task.result_key == struck.result_key]) == 4


def test_nothing_is_kept_of_an_image_that_is_left_out(
    desk: Desk, store: ObjectStore, runner: ShardRunner, nursery: Nursery, job: str
) -> None:
    """It was stored before its process ended: whoever trains on the folder would find it there."""
    names = {
        name: [
            keys.dataset("ds-a", keys.image("train", name, ".jpg")),
            keys.dataset("ds-a", keys.label("train", name)),
        ]
        for name in ("éxxx3", "éx1")
    }

    def behaviour(task: ShardTask) -> Iterator[Turn]:
        for key in itertools.chain(*names.values()) if task.stage is Stage.WORK else ():
            store.write(key, b"night")
        yield from deadly(nursery, {3}, ahead=0)(task)

    nursery.behaviour = behaviour
    while not any(each.strikes == 3 for each in desk.jobs.shards(job)):
        waiting = [each for each in desk.jobs.shards(job) if each.state is ShardState.PENDING]
        runner.run(job, min(waiting, key=lambda each: (-each.strikes, each.position)).index)
    struck = next(each for each in desk.jobs.shards(job) if each.strikes == 3)
    assert set(store.keys("datasets/ds-a")) == {*names["éxxx3"], *names["éx1"]}
    runner.run(job, struck.index)
    assert set(store.keys("datasets/ds-a")) == set(names["éx1"])


def test_an_image_is_left_out_only_once_that_is_written_down(
    desk: Desk,
    store: ObjectStore,
    settings: Settings,
    database: Database,
    nursery: Nursery,
    job: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nursery.behaviour = deadly(nursery, {0}, ahead=0)
    runner = runner_of(desk, store, settings.model_copy(update={"strikes": 1}))
    for index in (0, 1, 3):
        runner.run(job, index)
    struck = next(each for each in desk.jobs.shards(job) if each.strikes)
    with monkeypatch.context() as full:
        full.setattr(store, "writing", disk_full)
        runner.run(job, struck.index)
    waiting = shard(desk, struck.index)
    assert (waiting.state, waiting.attempts, waiting.strikes) == (ShardState.PENDING, 0, 1)
    without_waiting(database)
    run_all(desk, runner)
    assert desk.jobs.job(job).state is JobState.SUCCEEDED
    assert store.exists(struck.result_key)


def disk_full(_key: str) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_quarantined_images_count_against_the_error_budget(
    desk: Desk, store: ObjectStore, settings: Settings, nursery: Nursery, job: str
) -> None:
    with desk.leases.database.writing() as connection:
        connection.execute(update(jobs).values(spec={"error_budget": 0.1}))
    nursery.behaviour = deadly(nursery, {5}, ahead=0)
    run_all(desk, runner_of(desk, store, settings))
    assert desk.jobs.job(job).error_code == "error-budget"


def test_a_child_that_died_while_idle_is_replaced_and_no_image_blamed(
    desk: Desk, runner: ShardRunner, nursery: Nursery, work: str
) -> None:
    runner.run(work, 1)
    nursery.children[0].is_dead = True
    for _ in range(3):
        runner.run(work, 2)
    done = shard(desk, 2)
    assert (done.state, done.strikes, done.attempts) == (ShardState.DONE, 0, 0)
    assert not [each for each in desk.jobs.shards(work) if each.state is ShardState.SPLIT]
    assert len(nursery.children) == 2


def test_a_child_that_cannot_start_costs_no_shard(
    desk: Desk, runner: ShardRunner, nursery: Nursery, work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.shard_runner.START_AGAIN_AFTER_SECONDS", (1e-3,))
    nursery.stillborn = 2
    for _ in range(2):
        runner.run(work, 1)
        assert shard(desk, 1).fence == 0, "it was not even claimed"
    run_all(desk, runner)
    assert desk.jobs.job(work).state is JobState.SUCCEEDED
    assert {each.strikes for each in desk.jobs.shards(work)} == {0}


class ShakyLeases(LeaseStore):
    """Leases in a database that is away for a moment."""

    is_away = False

    def look(self, shard: Shard) -> Lease:
        if self.is_away:
            raise OperationalError("SELECT", {}, Exception("the server closed the connection"))
        return super().look(shard)


def test_a_child_left_alone_by_a_database_error_does_not_answer_for_the_next_shard(
    desk: Desk, store: ObjectStore, settings: Settings, database: Database, nursery: Nursery, work: str
) -> None:
    leases = ShakyLeases(database, lease_seconds=30.0, attempts=3)
    runner = runner_of(replace(desk, leases=leases), store, settings)

    def behaviour(task: ShardTask) -> Iterator[Turn]:
        leases.is_away = len(nursery.tasks) == 1
        yield progress(0, 0, 1)
        yield from nursery.finishing(task)

    nursery.behaviour = behaviour
    with pytest.raises(OperationalError):
        runner.run(work, 1)
    assert nursery.children[0].is_killed
    runner.run(work, 2)
    assert shard(desk, 2).state is ShardState.DONE
    assert [len(each.tasks) for each in nursery.children] == [1, 1]
    expire(database, 1)
    desk.leases.take_back_expired()
    run_all(desk, runner)
    assert desk.jobs.job(work).state is JobState.SUCCEEDED


@pytest.fixture
def fast_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second passes with every look at the clock."""
    monkeypatch.setattr("workers.child_process.time", SteppingClock())


@pytest.mark.usefixtures("fast_clock")
def test_a_child_that_hangs_is_ended_and_its_death_counts_as_any_other(
    desk: Desk, store: ObjectStore, settings: Settings, nursery: Nursery, work: str
) -> None:
    impatient = settings.model_copy(update={"stall_seconds": 5.0})
    nursery.behaviour = lambda _: itertools.chain([progress(1, 0, 3)], forever_silent())
    runner_of(desk, store, impatient).run(work, 1)
    assert nursery.children[0].is_killed
    assert shard(desk, 1).state is ShardState.SPLIT
    parts = [each for each in desk.jobs.shards(work) if each.index > 2]
    assert [part.frames_total for part in parts] == [1, 1, 1, 1], "what was in flight is alone now"

    alone = parts[1]
    runner_of(desk, store, impatient).run(work, alone.index)
    assert shard(desk, alone.index).strikes == 1


@pytest.mark.usefixtures("fast_clock")
@pytest.mark.parametrize("word", [{"alive": True}, {"note": "slow"}, progress(1, 0, 3)])
def test_a_child_that_speaks_now_and_then_may_take_as_long_as_it_likes(
    desk: Desk, store: ObjectStore, settings: Settings, nursery: Nursery, work: str, word: Turn
) -> None:
    nursery.behaviour = saying(*[None, None, None, word] * 20, answer(frames_done=4))
    runner_of(desk, store, settings.model_copy(update={"stall_seconds": 5.0})).run(work, 1)
    assert shard(desk, 1).state is ShardState.DONE
    assert len(nursery.children) == 1


@pytest.mark.slow
def test_a_real_child_that_is_frozen_is_ended(
    desk: Desk, store: ObjectStore, settings: Settings, work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_DATA_DIR", str(settings.data_dir))
    runner = runner_of(desk, store, settings.model_copy(update={"poll_seconds": 0.05}))
    runner.start()
    child = runner._the_child()
    assert isinstance(child, ChildProcess)
    os.kill(child.pid, signal.SIGSTOP)
    runner._settings = runner._settings.model_copy(update={"stall_seconds": 0.5})  # it has started by now
    runner.run(work, 1)
    assert shard(desk, 1).state is ShardState.SPLIT
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)


@pytest.mark.usefixtures("fast_clock")
def test_a_plan_that_hangs_is_tried_again(
    desk: Desk, store: ObjectStore, settings: Settings, nursery: Nursery, job: str
) -> None:
    nursery.behaviour = lambda _: forever_silent()
    runner_of(desk, store, settings.model_copy(update={"stall_seconds": 5.0})).run(job, 0)
    waiting = shard(desk, 0)
    assert (waiting.state, waiting.attempts) == (ShardState.PENDING, 1)
    assert "nothing was heard of it" in desk.jobs.events(job)[-1].data["reason"]


def test_a_worker_that_slept_itself_does_not_blame_its_child(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("workers.child_process.time", SimpleNamespace(monotonic=lambda: now[0]))
    silence = Silence(limit_seconds=60.0, at_most=1.0)
    for _ in range(50):
        now[0] += 3600.0  # the machine was suspended, fifty times
        silence.look(heard=False)
    now[0] += 1.0
    silence.look(heard=True)
    for _ in range(60):
        now[0] += 1.0
        silence.look(heard=False)
    now[0] += 1.0
    with pytest.raises(ChildStalled, match="61 s"):
        silence.look(heard=False)


def test_a_worker_whose_child_never_starts_says_so_in_the_job_and_does_not_spin(
    desk: Desk, runner: ShardRunner, nursery: Nursery, work: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(runner._stopping, "wait", waits.append)
    nursery.stillborn = 7
    for _ in range(7):
        runner.run(work, 1)
    told = [each.data for each in desk.jobs.events(work) if each.kind == "worker-unfit"]
    assert [(each["tries"], each["worker"]) for each in told] == [(3, "tester:1"), (6, "tester:1")]
    assert "ended with status 1" in told[0]["reason"]
    assert waits == sorted(waits)
    assert sum(waits) > 60
    assert shard(desk, 1).fence == 0
    run_all(desk, runner)
    assert desk.jobs.job(work).state is JobState.SUCCEEDED


def test_a_store_that_is_full_or_away_puts_a_shard_off_for_as_long_as_it_takes(
    desk: Desk, runner: ShardRunner, nursery: Nursery, database: Database, work: str
) -> None:
    nursery.behaviour = saying({"delayed": "the store or a disk is full"})
    for _ in range(20):
        runner.run(work, 1)
        waiting = shard(desk, 1)
        assert (waiting.state, waiting.attempts, waiting.strikes) == (ShardState.PENDING, 0, 0)
        assert desk.leases.claim(work, 1, "too early") is None
        without_waiting(database)
    assert desk.jobs.events(work)[-1].data["reason"] == "the store or a disk is full"
    nursery.behaviour = nursery.finishing
    run_all(desk, runner)
    assert desk.jobs.job(work).state is JobState.SUCCEEDED


def test_an_imported_generator_is_added_to_the_library(
    desk: Desk, runner: ShardRunner, nursery: Nursery
) -> None:
    version = desk.library.reserve_generators(["my-night"])
    card = replace(BUNDLED[0], name="my-night", version=version, architecture="cyclegan", is_bundled=False)
    only = {
        "job_id": "job-i", "index": 0, "stage": Stage.PUBLISH,
        "plan_key": keys.plan("job-i"), "result_key": keys.shard_result("job-i", 0),
    }  # fmt: skip
    desk.jobs.create(JobKind.GENERATOR_IMPORT, {}, [only], job_id="job-i")
    nursery.behaviour = saying(answer(generators=[card.to_json()], facts={"generator": card.reference}))
    runner.run("job-i", 0)
    assert desk.jobs.job("job-i").state is JobState.SUCCEEDED
    assert desk.library.generator("my-night") == card


def event(kind: str, **data: Any) -> Turn:
    return {"event": {"kind": kind, "data": data}}


@pytest.fixture
def long_work(desk: Desk, store: ObjectStore) -> str:
    """A training that is planned: its one shard is 1."""
    first = {
        "job_id": JOB, "index": 0, "stage": Stage.PLAN,
        "plan_key": keys.plan(JOB), "result_key": keys.shard_result(JOB, 0),
    }  # fmt: skip
    desk.jobs.create(JobKind.TRAINING, {}, [first], job_id=JOB)
    plan = desk.leases.claim(JOB, 0, "planner")
    assert plan is not None
    assert desk.leases.finish_plan(plan, planned(store, FRAMES), {})
    return JOB


def test_what_happens_in_a_training_becomes_events_at_once(
    desk: Desk, runner: ShardRunner, nursery: Nursery, long_work: str
) -> None:
    told: list[list[str]] = []

    def behaviour(task: ShardTask) -> Iterator[Turn]:
        yield event("sample", step=5)
        told.append([each.kind for each in desk.jobs.events(JOB)])
        yield answer(frames_done=FRAMES)

    nursery.behaviour = behaviour
    runner.run(long_work, 1)
    assert "sample" in told[0]
    assert desk.jobs.last_event(JOB, "sample").data == {"step": 5}  # type: ignore[union-attr]


def test_a_training_whose_child_dies_is_not_cut_but_taken_up_again(
    desk: Desk, runner: ShardRunner, nursery: Nursery, database: Database, long_work: str
) -> None:
    desk.leases.losses = 2
    deaths = iter([CRASHED, CRASHED, CRASHED, KILLED, KILLED, KILLED])

    def behaviour(task: ShardTask) -> Iterator[Turn]:
        yield event("checkpoint", step=len(nursery.children))
        death = next(deaths, None)
        yield answer(frames_done=FRAMES) if death is None else death

    nursery.behaviour = behaviour
    for _ in range(7):
        without_waiting(database)
        runner.run(long_work, 1)
    # each checkpoint forgives the deaths before it: more of them than attempts are no failure
    assert (shard(desk, 1).state, shard(desk, 1).frames_done) == (ShardState.DONE, FRAMES)
    assert [each.index for each in desk.jobs.shards(JOB) if each.stage is Stage.WORK] == [1]


@pytest.mark.parametrize(("death", "code"), [(CRASHED, "internal-error"), (KILLED, "worker-lost")])
def test_a_training_that_dies_without_getting_anywhere_fails(
    desk: Desk,
    runner: ShardRunner,
    nursery: Nursery,
    database: Database,
    long_work: str,
    death: ChildDied,
    code: str,
) -> None:
    for _ in range(desk.leases.attempts if death is CRASHED else desk.leases.losses):
        without_waiting(database)
        nursery.behaviour = lambda _: iter([death])
        runner.run(long_work, 1)
    job = desk.jobs.job(JOB)
    assert (job.state, job.error_code) == (JobState.FAILED, code)
    assert f"signal {-death.status}" in str(job.error)


def test_real_stages_speak_the_parents_language(
    desk: Desk, store: ObjectStore, settings: Settings, nursery: Nursery, workshop: Any, kit: Any
) -> None:
    """An ingest through parent, protocol and stages; only the pipe between them is left out."""
    nursery.behaviour = lambda task: iter([child._answer(json.dumps(task.to_json()), workshop.bench)])
    upload = kit.upload("bdd100k")
    upload["bdd100k/images/100k/train/frame-1.jpg"] = b"no picture"
    desk.library.add_upload(workshop.upload(upload), "day.zip", 1, "0" * 64)
    runner = runner_of(desk, store, settings)
    ingest = submit_ingest(desk, IngestWish("up-1"))
    run_all(desk, runner, ingest.id)
    day = desk.library.ready_dataset(str(ingest.result_id))
    assert day.counts["frames"] == 4
    night = submit_translation(desk, TranslationWish(day.id, "camera-night"))
    run_all(desk, runner, night.id)
    assert desk.library.ready_dataset(str(night.result_id)).counts["timeofday"] == {"night": 4}

    refused = submit_translation(desk, TranslationWish(day.id, "identity"))
    store.delete(keys.manifest(day.id))
    run_all(desk, runner, refused.id)
    assert desk.jobs.job(refused.id).error_code == "not-found"
