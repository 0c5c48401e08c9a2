"""Ends, or fails, at every point of a job at which it touches the disk or the database, one after the other.

    python -m tests.faults.sweep FOLDER

The libraries are loaded once; every attempt is a fork of this process, so that an attempt that ends by
`os._exit` takes nothing with it but its own memory. Prints what was found as JSON.
"""

import errno
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import event, update

from service.datasets.dataset import Finding
from service.jobs.database import Database, database_now
from service.jobs.job import JobState, Shard, ShardState, Stage
from service.jobs.leases import LeaseStore
from service.jobs.library import Library
from service.jobs.results import read_results
from service.jobs.store import JobStore
from service.jobs.submit import Desk, IngestWish, TranslationWish, retry, submit_ingest, submit_translation
from service.jobs.tables import shards
from service.settings import Settings
from service.storage import keys, object_store
from service.storage.object_store import ObjectStore, open_store
from tests.conftest import SilentQueue
from tests.workers.conftest import picture, zipped
from workers import child, shard_runner
from workers.context import Bench
from workers.reconciler import reconcile

ENDED = 77
FRAMES = 2
MOST_ROUNDS = 60


class ChildInside:
    """Stands where the child process stands, and works in this one: an end in its work ends us all."""

    def __init__(self) -> None:
        self._said: list[dict[str, Any]] = [{"ready": True}]

    def send(self, task: dict[str, Any]) -> None:
        self._said.append(child._answer(json.dumps(task), BENCHES[-1]))

    def messages(self, _timeout_seconds: float) -> Iterator[dict[str, Any]]:
        said, self._said = self._said, []
        return iter(said)

    def kill(self) -> None: ...


class Silent:
    """A reporter that nobody listens to."""

    def __getattr__(self, _name: str) -> Callable[..., None]:
        return lambda *_args, **_more: None


BENCHES: list[Bench] = []


@dataclass(frozen=True)
class House:
    """The whole service on one folder, in one process."""

    settings: Settings
    database: Database
    store: ObjectStore
    desk: Desk
    runner: shard_runner.ShardRunner

    @classmethod
    def at(cls, folder: Path) -> "House":
        settings = Settings(data_dir=folder, device="cpu", shard_seconds=1e-3)
        database = Database.of(settings)
        if not folder.exists():
            database.migrate()
        store, queue = open_store(settings), SilentQueue()
        leases = LeaseStore.of(database, settings)
        desk = Desk(JobStore(database), Library(database), leases, queue)
        BENCHES.append(Bench(store, settings, Silent()))
        runner = shard_runner.ShardRunner(
            settings, desk.jobs, desk.leases, desk.library, store, queue, worker="sweep"
        )
        return cls(settings, database, store, desk, runner)

    def run_next(self, job_id: str) -> bool:
        """One shard, if any waits."""
        waiting = [each.index for each in self.desk.jobs.shards(job_id) if each.state is ShardState.PENDING]
        if waiting:
            self.runner.run(job_id, waiting[0])
        return bool(waiting)

    def finish(self, job_id: str) -> None:
        """As time and the reconciler would: leases run out, what waits is done."""
        for _ in range(MOST_ROUNDS):
            with self.database.writing() as connection:
                late = {"lease_until": database_now() - 1, "not_before": 0.0}
                connection.execute(update(shards).where(shards.c.state == ShardState.RUNNING).values(**late))
                connection.execute(update(shards).values(not_before=0.0))
            reconcile(self.desk.leases, self.desk.queue)
            if self.desk.jobs.job(job_id).is_final:
                return
            self.run_next(job_id)

    def jobs(self) -> list[str]:
        """The oldest first."""
        return [job.id for job in self.desk.jobs.jobs(100, None)][::-1]


@dataclass(frozen=True)
class Operation:
    """`prepare` brings the house to where `do` begins. Both are given the house and find their job by age."""

    name: str
    prepare: Callable[[House], None]
    do: Callable[[House], None]


def newest(house: House) -> str:
    return house.jobs()[-1]


def ingested(house: House) -> None:
    members: dict[str, Any] = {"set/data.yaml": "train: images/train\nnames: [car]\n"}
    for number in range(FRAMES):
        members[f"set/images/train/{number}.jpg"] = picture(48 + number, 40, seed=number)
        members[f"set/labels/train/{number}.txt"] = "0 0.5 0.5 0.25 0.5\n"
    house.store.write(keys.upload("up-1"), zipped(members))
    house.desk.library.add_upload("up-1", "set.zip", 1, "0" * 64)
    house.finish(submit_ingest(house.desk, IngestWish("up-1")).id)


def submitted(house: House) -> None:
    ingested(house)
    submit(house)


def submit(house: House) -> None:
    dataset_id = house.desk.jobs.job(house.jobs()[0]).result_id
    submit_translation(house.desk, TranslationWish(str(dataset_id), "identity", quality_frames=0))


def run_shards(number: int) -> Callable[[House], None]:
    def prepare(house: House) -> None:
        submitted(house)
        for _ in range(number):
            house.run_next(newest(house))

    return prepare


def run_one(house: House) -> None:
    house.run_next(newest(house))


def cancelled(house: House) -> None:
    run_shards(2)(house)
    house.desk.jobs.cancel(newest(house))


def take_up(house: House) -> None:
    retry(house.desk, house.jobs()[1])


OPERATIONS = [
    Operation("submit", ingested, submit),
    Operation("plan", submitted, run_one),
    Operation("work", run_shards(1), run_one),
    Operation("publish", run_shards(1 + FRAMES), run_one),
    Operation("retry", cancelled, take_up),
]


class Trap:
    """Counts the calls that reach the disk or the database, and springs at one of them."""

    def __init__(self, number: int, spring: Callable[[str], None], only_disk: bool) -> None:
        self.calls, self._number, self._spring = 0, number, spring
        self._only_disk = only_disk

    def set(self, house: House) -> None:
        for module, name in (
            (os, "replace"),
            (os, "rename"),
            (os, "fsync"),
            (object_store, "sync_filesystem"),
        ):
            setattr(module, name, self._trapped(name, getattr(module, name)))
        if not self._only_disk:
            event.listen(house.database.engine, "commit", lambda _connection: self._call("commit"))
            event.listen(house.database.engine, "before_cursor_execute", self._execute)

    def _execute(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("SELECT"):  # to end at one is to end after the change before it
            self._call("execute")

    def _trapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            self._call(name)
            return function(*arguments, **more)

        return call

    def _call(self, name: str) -> None:
        self.calls += 1
        if self.calls == self._number:
            self._spring(name)


def end(_name: str) -> None:
    os._exit(ENDED)


def be_full(_name: str) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def in_a_fork(function: Callable[[], None]) -> int:
    """The exit status; what goes wrong there is told on stderr."""
    pid = os.fork()
    if pid == 0:
        try:
            function()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def sweep(operation: Operation, spring: Callable[[str], None], folder: Path, expected: bytes) -> int:
    """How many points there are; every one was tried, and the job ended as it should after each."""
    template, tried = folder / f"{operation.name}-template", folder / f"{operation.name}-tried"
    if not template.exists():
        assert in_a_fork(lambda: operation.prepare(House.at(template))) == 0, operation.name
    for number in count(1):
        shutil.rmtree(tried, ignore_errors=True)
        shutil.copytree(template, tried)
        status = in_a_fork(lambda: attempt(operation, spring, tried, number))  # noqa: B023 - at once
        assert in_a_fork(lambda: check(operation, tried, expected, spring is be_full)) == 0, (
            f"{operation.name}, {spring.__name__} at point {number}"
        )
        if status == 0:
            return number - 1
        assert status == ENDED, (operation.name, number)
    raise AssertionError


def attempt(operation: Operation, spring: Callable[[str], None], folder: Path, number: int) -> None:
    house = House.at(folder)
    trap = Trap(number, spring, only_disk=spring is be_full)
    trap.set(house)
    operation.do(house)
    if trap.calls >= number:
        os._exit(ENDED)  # it was sprung, and survived


def check(operation: Operation, folder: Path, expected: bytes, was_full: bool) -> None:
    house = House.at(folder)
    assert_before_or_after(house)
    if was_full:
        for shard in all_shards(house):
            assert (shard.attempts, shard.strikes) == (0, 0), "a full disk is nobody's fault"
    wanted = {"submit": 2, "retry": 3}.get(operation.name, 2)
    if len(house.jobs()) < wanted:
        operation.do(house)  # it had not happened, and can be done again
    assert len(house.jobs()) == wanted
    house.finish(newest(house))
    job = house.desk.jobs.job(newest(house))
    assert job.state is JobState.SUCCEEDED, (job.state, job.error)
    assert sourceless(house.store.read(keys.manifest(str(job.result_id)))) == expected
    assert_nothing_unexplained(house, str(job.result_id))


def assert_before_or_after(house: House) -> None:
    """No row speaks of what is not there."""
    for job_id in house.jobs():
        job, its = house.desk.jobs.job(job_id), house.desk.jobs.shards(job_id)
        assert its, "a job without a shard would wait for ever"
        dataset = house.desk.library.dataset(str(job.result_id))
        if dataset.job_id == job_id:
            is_ready = str(dataset.state) == "ready"
            assert is_ready == (job.state is JobState.SUCCEEDED)
            assert not is_ready or house.store.exists(keys.manifest(dataset.id))
        for shard in its:
            if shard.state is ShardState.DONE and shard.stage is Stage.WORK:
                found = list(read_results(house.store, shard.result_key))
                entries = [item for item in found if not isinstance(item, Finding)]
                assert len(entries) == shard.frames_done


def all_shards(house: House) -> list[Shard]:
    return [shard for job_id in house.jobs() for shard in house.desk.jobs.shards(job_id)]


def assert_nothing_unexplained(house: House, dataset_id: str) -> None:
    known = {"manifest.jsonl", "card.json", "data.yaml"}
    for number in range(FRAMES):
        known |= {f"images/train/{number}.jpg", f"labels/train/{number}.txt"}
    prefix = keys.dataset(dataset_id)
    assert {key.removeprefix(f"{prefix}/") for key in house.store.keys(prefix)} == known


def sourceless(manifest: bytes) -> bytes:
    """Without the id of the day dataset, which another ingest would have named otherwise."""
    lines = [json.loads(line) for line in manifest.split(b"\n")[:-1]]
    return json.dumps([{**line, "source": line["source"]["sha256"]} for line in lines]).encode()


def undisturbed(folder: Path) -> None:
    house = House.at(folder)
    submitted(house)
    house.finish(newest(house))
    result = str(house.desk.jobs.job(newest(house)).result_id)
    (folder / "expected").write_bytes(sourceless(house.store.read(keys.manifest(result))))


def main() -> None:
    folder = Path(sys.argv[1])
    shard_runner.ChildProcess = ChildInside  # type: ignore[assignment, misc]
    assert in_a_fork(lambda: undisturbed(folder / "undisturbed")) == 0
    expected = (folder / "undisturbed" / "expected").read_bytes()
    points = {
        spring.__name__: {each.name: sweep(each, spring, folder, expected) for each in OPERATIONS}
        for spring in (end, be_full)
    }
    print(json.dumps(points))


if __name__ == "__main__":
    main()
