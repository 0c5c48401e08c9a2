"""How much there is to do and how long it has waited: a few sums for those who watch and those who scale.

Each is one query over what is under way; what ended long ago costs nothing. Only the jobs themselves are all
counted, by kind and state: there are thousands of jobs where there are millions of shards.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Select, case, func, literal, or_, select

from service.jobs.database import Database, database_now
from service.jobs.job import ACTIVE_JOB_STATES, QUEUES, JobKind, JobState, ShardState, Stage
from service.jobs.tables import jobs, shards, webhook_deliveries


@dataclass(frozen=True, slots=True)
class Shards:
    """Of the jobs of one kind that are under way, those in one state."""

    kind: JobKind
    state: ShardState
    count: int
    frames_total: int
    frames_done: int
    frames_failed: int


@dataclass(frozen=True, slots=True)
class Figures:
    """`oldest_seconds`: for how long the shard that waits longest in each queue could have been worked on."""

    jobs: Mapping[tuple[JobKind, JobState], int]
    shards: tuple[Shards, ...]
    oldest_seconds: Mapping[str, float]
    images_per_second: Mapping[JobKind, float]
    deliveries_due: int


def look(database: Database) -> Figures:
    counted = select(jobs.c.kind, jobs.c.state, func.count()).group_by(jobs.c.kind, jobs.c.state)
    active = jobs.c.state.in_(list(ACTIVE_JOB_STATES))
    under_way = (
        select(
            jobs.c.kind, shards.c.state, func.count(), func.sum(shards.c.frames_total),
            func.sum(shards.c.frames_done), func.sum(shards.c.frames_failed),
        )
        .join(shards, shards.c.job_id == jobs.c.id)
        .where(active, shards.c.state != ShardState.SPLIT)
        .group_by(jobs.c.kind, shards.c.state)
    )  # fmt: skip
    due = select(func.count()).where(
        webhook_deliveries.c.state == "pending", webhook_deliveries.c.due_at <= database_now()
    )
    with database.reading() as connection:
        found = connection.execute(counted).all()
        summed = connection.execute(under_way).all()
        oldest = {(kind, stage): age for kind, stage, age in connection.execute(_oldest())}
        rates = connection.execute(_rates()).all()
        deliveries_due = int(connection.scalar(due) or 0)
    return Figures(
        jobs={(JobKind(kind), JobState(state)): count for kind, state, count in found},
        shards=tuple(
            Shards(JobKind(kind), ShardState(state), *(int(each) for each in sums))
            for kind, state, *sums in summed
        ),
        oldest_seconds={
            queue: max((max(0.0, float(oldest.get(each, 0.0))) for each in work), default=0.0)
            for queue, work in QUEUES.items()
        },
        images_per_second={JobKind(kind): float(rate) for kind, rate in rates},
        deliveries_due=deliveries_due,
    )


def _oldest() -> Select[str, str, float]:
    """By kind and stage: the seconds for which the oldest pending shard has been free to be claimed. One that
    is to wait, after a failure or for another job, is not free."""
    earlier = jobs.alias()
    free_since = case(
        (earlier.c.finished_at > shards.c.not_before, earlier.c.finished_at), else_=shards.c.not_before
    )
    return (
        select(jobs.c.kind, shards.c.stage, database_now() - func.min(free_since))
        .join(shards, shards.c.job_id == jobs.c.id)
        .outerjoin(earlier, earlier.c.id == jobs.c.after_id)
        .where(
            jobs.c.state.in_(list(ACTIVE_JOB_STATES)),
            shards.c.state == ShardState.PENDING,
            shards.c.not_before <= database_now(),
            or_(jobs.c.after_id.is_(None), earlier.c.state == JobState.SUCCEEDED),
        )
        .group_by(jobs.c.kind, shards.c.stage)
    )


def _rates() -> Select[str, float]:
    """By kind: frames a second of the jobs that are at work, each since its work began."""
    worked = (
        select(
            jobs.c.id, jobs.c.kind, jobs.c.work_started_at.label("since"),
            func.sum(shards.c.frames_done).label("done"),
        )
        .join(shards, shards.c.job_id == jobs.c.id)
        .where(
            jobs.c.state == JobState.RUNNING,
            jobs.c.work_started_at.is_not(None),
            shards.c.stage == Stage.WORK,
            shards.c.state != ShardState.SPLIT,
            shards.c.result_key.startswith(literal("jobs/") + jobs.c.id + "/"),  # not those of a parent
        )
        .group_by(jobs.c.id, jobs.c.kind, jobs.c.work_started_at)
        .subquery()
    )  # fmt: skip
    elapsed = case((database_now() - worked.c.since < 1.0, 1.0), else_=database_now() - worked.c.since)
    return select(worked.c.kind, func.sum(worked.c.done / elapsed)).group_by(worked.c.kind)
