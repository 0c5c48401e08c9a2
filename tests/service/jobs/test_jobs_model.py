"""The real stores beside a pure model of sixty lines: whatever happens, in whatever order, both agree."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import update

from service.errors import IllegalTransition
from service.jobs.database import Database, database_now
from service.jobs.job import JobKind, Shard, ShardPlan, Stage
from service.jobs.leases import LeaseStore
from service.jobs.store import JobStore
from service.jobs.tables import shards

SIZES = (3, 2, 4)
ATTEMPTS, LOSSES = 2, 3


@dataclass
class ModelShard:
    stage: str
    total: int = 0
    state: str = "pending"
    fence: int = 0
    failed: int = 0
    attempts: int = 0
    losses: int = 0


@dataclass
class Model:
    """What should be true, in the plainest words."""

    budget: float
    job: str = "queued"
    shards: list[ModelShard] = field(default_factory=lambda: [ModelShard("plan")])

    @property
    def is_active(self) -> bool:
        return self.job in ("queued", "running", "publishing")

    def claim(self, index: int) -> bool:
        shard = self.shards[index]
        if not self.is_active or shard.state != "pending":
            return False
        shard.state, shard.fence = "running", shard.fence + 1
        self.job = "running" if self.job == "queued" else self.job
        return True

    def holds(self, index: int, fence: int) -> bool:
        return self.shards[index].state == "running" and self.shards[index].fence == fence

    def give_back(self, index: int) -> None:
        self.shards[index].state = "pending"
        self.settle()

    def crash(self, index: int) -> None:
        shard = self.shards[index]
        shard.state, shard.attempts = "pending", shard.attempts + 1
        if shard.attempts >= ATTEMPTS and self.is_active:
            self.job = "failed"

    def lose(self, index: int) -> None:
        shard = self.shards[index]
        shard.state, shard.losses = "pending", shard.losses + 1
        if shard.losses >= LOSSES and self.is_active:
            self.job = "failed"

    def finish(self, index: int, failed: int) -> None:
        shard = self.shards[index]
        shard.state, shard.failed = "done", failed
        if shard.stage == "plan":
            self.shards += [ModelShard("work", size) for size in SIZES]
        if shard.stage == "publish" and self.job == "publishing":
            self.job = "succeeded"
        self.settle()

    def cancel(self) -> bool:
        if self.is_active:
            self.job = "cancelling"
            self.settle()
        return self.job in ("cancelling", "cancelled")

    def settle(self) -> None:
        if self.job == "cancelling" and all(shard.state != "running" for shard in self.shards):
            self.job = "cancelled"
        if self.job != "running":
            return
        work = [shard for shard in self.shards if shard.stage == "work"]
        if sum(shard.failed for shard in work) > self.budget * sum(shard.total for shard in work):
            self.job = "failed"
        elif all(shard.state == "done" for shard in self.shards):
            self.job = "publishing"
            self.shards.append(ModelShard("publish"))


class JobsAgreeWithTheModel(RuleBasedStateMachine):
    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.jobs = JobStore(self.database)
        self.leases = LeaseStore(self.database, lease_seconds=60, attempts=ATTEMPTS, losses=LOSSES)
        self.claims: list[Shard] = []

    @initialize(budget=st.sampled_from([0.0, 0.3, 1.0]))
    def submit(self, budget: float) -> None:
        self.model = Model(budget)
        first = {
            "job_id": "job-1",
            "index": 0,
            "stage": Stage.PLAN,
            "plan_key": "jobs/job-1/plan.jsonl",
            "result_key": "r",
        }
        self.jobs.create(JobKind.TRANSLATION, {"error_budget": budget}, [first], job_id="job-1")

    @rule(pick=st.integers(0, 99))
    def claim(self, pick: int) -> None:
        index = pick % len(self.model.shards)
        shard = self.leases.claim("job-1", index, "worker")
        assert (shard is not None) == self.model.claim(index)
        if shard is not None:
            self.claims.append(shard)

    def some_claim(self, pick: int) -> Shard | None:
        """Old claims too: a worker that was away comes back with a fence that is history."""
        return self.claims[pick % len(self.claims)] if self.claims else None

    @rule(pick=st.integers(0, 99), share_failed=st.sampled_from([0.0, 0.0, 0.5, 1.0]))
    def finish(self, pick: int, share_failed: float) -> None:
        shard = self.some_claim(pick)
        if shard is None:
            return
        is_held = self.model.holds(shard.index, shard.fence)
        failed = round(shard.frames_total * share_failed)
        if shard.stage is Stage.PLAN:
            parts = [ShardPlan(0, 0, sum(SIZES[:number]), size) for number, size in enumerate(SIZES)]
            done = self.leases.finish_plan(shard, parts, {})
        elif shard.stage is Stage.WORK:
            done = self.leases.finish_work(shard, shard.frames_total - failed, failed, [])
        else:
            done = self.leases.finish_publish(shard, {}, None)
        if shard.stage is not Stage.PUBLISH:
            assert done == is_held
        if is_held:
            self.model.finish(shard.index, failed if shard.stage is Stage.WORK else 0)

    @rule(pick=st.integers(0, 99))
    def release(self, pick: int) -> None:
        shard = self.some_claim(pick)
        if shard is None:
            return
        is_held = self.model.holds(shard.index, shard.fence)
        self.leases.release(shard, "test")
        if is_held:
            self.model.give_back(shard.index)

    @rule(pick=st.integers(0, 99), is_loss=st.booleans())
    def fail_or_be_killed(self, pick: int, is_loss: bool) -> None:
        """What is whole is lost when it is killed; images are found by splitting, which is not tried here."""
        shard = self.some_claim(pick)
        if shard is None or (is_loss and shard.stage is Stage.WORK):
            return
        is_held = self.model.holds(shard.index, shard.fence)
        (self.leases.lose if is_loss else self.leases.retry)(shard, "test")
        if is_held:
            (self.model.lose if is_loss else self.model.crash)(shard.index)
        with self.database.writing() as connection:
            connection.execute(update(shards).values(not_before=0.0))

    @rule(pick=st.integers(0, 99))
    def fall_silent(self, pick: int) -> None:
        index = pick % len(self.model.shards)
        with self.database.writing() as connection:
            expired = update(shards).where(shards.c.index == index, shards.c.state == "running")
            connection.execute(expired.values(lease_until=database_now() - 1))
        taken = self.leases.take_back_expired()
        assert taken == ([("job-1", index)] if self.model.shards[index].state == "running" else [])
        if taken and self.model.shards[index].stage == "work":
            self.model.shards[index].state = "pending"
        elif taken:
            self.model.lose(index)

    @rule()
    def cancel(self) -> None:
        try:
            self.jobs.cancel("job-1")
            assert self.model.cancel()
        except IllegalTransition:
            assert not self.model.cancel()

    @rule()
    def reconcile(self) -> None:
        for job_id in self.leases.unsettled_jobs():
            self.leases.settle_job(job_id)
        self.model.settle()

    @invariant()
    def agree(self) -> None:
        if not hasattr(self, "model"):
            return
        assert str(self.jobs.job("job-1").state) == self.model.job
        real = {
            shard.index: (str(shard.stage), str(shard.state), shard.fence, shard.attempts, shard.losses)
            for shard in self.jobs.shards("job-1")
        }
        assert real == {
            index: (shard.stage, shard.state, shard.fence, shard.attempts, shard.losses)
            for index, shard in enumerate(self.model.shards)
        }


def test_jobs_agree_with_the_model(empty_database: Callable[[], Database]) -> None:
    run_state_machine_as_test(
        lambda: JobsAgreeWithTheModel(empty_database()),
        settings=settings(
            max_examples=20, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
