"""Jobs as the API sees them: made, read, cancelled, failed."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    String,
    and_,
    bindparam,
    func,
    insert,
    select,
    true,
    tuple_,
)

from service.errors import IllegalTransition, NotFound, StorageFull, TooManyJobs
from service.jobs.database import Database, database_now
from service.jobs.event_log import EventLog
from service.jobs.idempotency import note_made
from service.jobs.job import (
    ACTIVE_JOB_STATES,
    TRAINING_EVENT,
    WORK_VERSION,
    DatasetState,
    Job,
    JobKind,
    JobState,
    Progress,
    Shard,
    ShardState,
    Stage,
)
from service.jobs.moves import hold_job, move_dataset, move_job, record_event
from service.jobs.quotas import hold_quota, stored_bytes
from service.jobs.settling import insert_shards, settle_cancelled
from service.jobs.tables import LOCAL_TENANT, datasets, jobs, shards

JOB_COLUMNS = list(jobs.c)
SHARD_COLUMNS = [shards.c[name] for name in Shard.__dataclass_fields__]


def new_id(kind: str) -> str:
    """Not guessable, short enough to type: `ds-…`, `job-…`, `up-…`."""
    return f"{kind}-{secrets.token_hex(6)}"


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be, with its first shards, and with `result` the row of the dataset that it will make.

    A retry names its parent's `result_id` instead: it takes up that dataset. `is_planned`: the shards are
    there already, so the job runs from the start. `after_id`: the job that must have succeeded before.
    """

    id: str
    kind: JobKind
    spec: dict[str, Any]
    first_shards: Sequence[dict[str, Any]]
    dataset_id: str | None = None
    result: dict[str, Any] | None = None
    result_id: str | None = None
    parent_id: str | None = None
    after_id: str | None = None
    outcome: dict[str, Any] = field(default_factory=dict)
    is_planned: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """A job as clients are told of it; `follow_up_id`: the latest job that begins when it has succeeded."""

    job: Job
    progress: Progress
    follow_up_id: str | None


class JobStore(EventLog):
    """Of one tenant, whose jobs alone it knows; or of the machinery (None), which sees those of all.

    `most_active`: how many jobs of the tenant may be queued or running; `most_bytes`: what it may keep. 0 for
    any number.
    """

    def __init__(
        self, database: Database, tenant: str | None = None, most_active: int = 0, most_bytes: int = 0
    ) -> None:
        self.database = database
        self.tenant = tenant
        self._most_active = most_active
        self._most_bytes = most_bytes

    def create(
        self,
        kind: JobKind,
        spec: dict[str, Any],
        first_shards: Sequence[dict[str, Any]],
        *,
        job_id: str,
        **more: Any,
    ) -> None:
        """Add one job; `more` are further fields of a `NewJob`."""
        self.add([NewJob(job_id, kind, spec, first_shards, **more)])

    def add(self, new: Sequence[NewJob]) -> None:
        """Add jobs that belong together: all of them, or none. A request's answer is about the first.

        Raises:
            IllegalTransition: another retry has taken up the dataset.
            TooManyJobs: the tenant has as many under way as it may have.
            StorageFull: one makes a dataset, and the tenant keeps all that it may keep.
        """
        with self.database.writing() as connection:
            self._refuse_too_many(connection, len(new))
            if any(job.result is not None or job.result_id is not None for job in new):
                self._refuse_full(connection)
            for job in new:
                self._add(connection, job)
            note_made(connection, new[0].id)

    def follow_up(self, job_id: str) -> str | None:
        """The latest job that begins when this one has succeeded."""
        query = select(jobs.c.id).where(jobs.c.after_id == job_id, self._is_mine())
        with self.database.reading() as connection:
            return connection.scalar(query.order_by(jobs.c.created_at.desc(), jobs.c.id.desc()).limit(1))

    def job(self, job_id: str) -> Job:
        with self.database.reading() as connection:
            query = select(*JOB_COLUMNS).where(jobs.c.id == job_id, self._is_mine())
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("job", job_id)
        return as_job(row)

    def jobs(
        self,
        limit: int,
        after: tuple[float, str] | None,
        kind: JobKind | None = None,
        states: Collection[JobState] = (),
    ) -> list[Job]:
        """Newest first, in any state unless some are named; `after` is the `(created_at, id)` of the last one
        seen.
        """
        newest = (jobs.c.created_at.desc(), jobs.c.id.desc())
        query = select(*JOB_COLUMNS).where(self._is_mine()).order_by(*newest).limit(limit)
        if after is not None:
            query = query.where(tuple_(jobs.c.created_at, jobs.c.id) < tuple_(*after))
        if kind is not None:
            query = query.where(jobs.c.kind == kind)
        if states:
            query = query.where(jobs.c.state.in_(list(states)))
        with self.database.reading() as connection:
            return [as_job(row) for row in connection.execute(query).mappings()]

    def shards(self, job_id: str) -> list[Shard]:
        """In the order of their frames."""
        query = (
            select(*SHARD_COLUMNS)
            .where(shards.c.job_id == job_id)
            .order_by(shards.c.position, shards.c.index)
        )
        with self.database.reading() as connection:
            return [as_shard(row) for row in connection.execute(query).mappings()]

    def newest_shards(self, job_id: str, limit: int) -> list[Shard]:
        """Shards of work with finished frames: those at work first, then those that were done here, the later
        ones of the plan before the earlier ones."""
        is_running, is_own = shards.c.state == ShardState.RUNNING, _is_own(job_id)
        query = (
            select(*SHARD_COLUMNS)
            .where(
                shards.c.job_id == job_id,
                shards.c.stage == Stage.WORK,
                shards.c.state.in_([ShardState.RUNNING, ShardState.DONE]),
                shards.c.frames_done > 0,
            )
            .order_by(is_running.desc(), is_own.desc(), shards.c.position.desc())
            .limit(limit)
        )
        with self.database.reading() as connection:
            return [as_shard(row) for row in connection.execute(query).mappings()]

    def look(self, job_id: str) -> Look:
        """All that is told of a job, in one statement: clients ask for nothing else so often."""
        asked = {"job_id": job_id, "tenant": self.tenant, "own_keys": f"jobs/{job_id}/%"}
        with self.database.reading() as connection:
            row = connection.execute(_LOOK, asked).mappings().first()
        if row is None:
            raise NotFound("job", job_id)
        job = as_job({column.name: row[column.name] for column in JOB_COLUMNS})
        total, done, failed, done_here = (int(row[name]) for name in _SUMS)
        progress = _with_rate(job, total, done, failed, done_here, float(row["now"]))
        if job.kind is JobKind.TRAINING:
            progress = self._as_the_trainer_sees_it(job, progress)
        return Look(job, progress, row["follow_up_id"])

    def progress(self, job: Job) -> Progress:
        own = _is_own(job.id)
        live = (shards.c.job_id == job.id, shards.c.stage == Stage.WORK, shards.c.state != ShardState.SPLIT)
        query = select(
            func.coalesce(func.sum(shards.c.frames_total), 0),
            func.coalesce(func.sum(shards.c.frames_done), 0),
            func.coalesce(func.sum(shards.c.frames_failed), 0),
            func.coalesce(func.sum(shards.c.frames_done).filter(own), 0),
            database_now(),
        ).where(*live)
        with self.database.reading() as connection:
            total, done, failed, done_here, now = connection.execute(query).one()
        progress = _with_rate(job, int(total), int(done), int(failed), int(done_here), float(now))
        return self._as_the_trainer_sees_it(job, progress) if job.kind is JobKind.TRAINING else progress

    def _as_the_trainer_sees_it(self, job: Job, progress: Progress) -> Progress:
        """A training may have begun in the middle, so that only the trainer knows its rate."""
        last = self.last_event(job.id, TRAINING_EVENT)
        if last is None or job.is_final:
            return replace(progress, images_per_second=None, seconds_left=None)
        facts = {name: last.data[name] for name in ("images_per_second", "seconds_left")}
        return replace(progress, **facts)

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; asking again changes nothing.

        Raises:
            IllegalTransition: the job has already ended otherwise.
        """
        self.job(job_id)
        with self.database.writing() as connection:
            hold_job(connection, job_id)
            if move_job(connection, job_id, ACTIVE_JOB_STATES, JobState.CANCELLING):
                settle_cancelled(connection, job_id)
        job = self.job(job_id)
        if job.state not in (JobState.CANCELLING, JobState.CANCELLED):
            raise IllegalTransition(f"Job {job_id}", job.state, JobState.CANCELLED)
        return job

    def fail(self, job_id: str, code: str, message: str) -> bool:
        with self.database.writing() as connection:
            hold_job(connection, job_id)
            return move_job(
                connection, job_id, ACTIVE_JOB_STATES, JobState.FAILED, error_code=code, error=message
            )

    def _add(self, connection: Connection, new: NewJob) -> None:
        state = JobState.RUNNING if new.is_planned else JobState.QUEUED
        tenant = self.tenant or _inherited_tenant(connection, new)
        result_id = new.result_id
        if new.result is not None:
            self._create_dataset(connection, {**new.result, "tenant": tenant}, new.id)
            result_id = new.result["id"]
        elif result_id is not None:
            self._take_up_dataset(connection, result_id, new.id)
        connection.execute(
            insert(jobs).values(
                id=new.id, tenant=tenant, kind=new.kind, state=state, version=1, work_version=WORK_VERSION,
                spec=new.spec, dataset_id=new.dataset_id, result_id=result_id, parent_id=new.parent_id,
                after_id=new.after_id, outcome=new.outcome, created_at=database_now(),
                started_at=database_now() if new.is_planned else None,
            )
        )  # fmt: skip
        insert_shards(connection, new.first_shards)
        record_event(connection, new.id, "state", state=state)

    def _refuse_too_many(self, connection: Connection, adding: int) -> None:
        """Counted in the transaction that adds them: requests sent at once cannot all find room."""
        if self.tenant is None or self._most_active == 0:
            return
        hold_quota(connection, self.tenant, "jobs")
        is_active = jobs.c.state.in_(list(ACTIVE_JOB_STATES))
        active = connection.scalar(select(func.count()).where(self._is_mine(), is_active))
        if int(active or 0) + adding > self._most_active:
            raise TooManyJobs(self._most_active)

    def _refuse_full(self, connection: Connection) -> None:
        """How large a dataset becomes is known when it is there: one may go beyond the quota, the next one
        is refused."""
        if self.tenant is None or self._most_bytes == 0:
            return
        used = stored_bytes(connection, self.tenant)
        if used >= self._most_bytes:
            raise StorageFull(self._most_bytes, used)

    def _is_mine(self) -> ColumnElement[bool]:
        return true() if self.tenant is None else jobs.c.tenant == self.tenant

    def _take_up_dataset(self, connection: Connection, dataset_id: str, job_id: str) -> None:
        if not move_dataset(
            connection, dataset_id, DatasetState.REJECTED, DatasetState.PENDING, job_id=job_id
        ):
            raise IllegalTransition(
                f"Dataset {dataset_id}", "taken up by another retry", DatasetState.PENDING
            )

    def _create_dataset(self, connection: Connection, row: dict[str, Any], job_id: str) -> None:
        connection.execute(
            insert(datasets).values(
                state=DatasetState.PENDING, version=1, job_id=job_id, categories=[], counts={},
                created_at=database_now(), **row,
            )
        )  # fmt: skip


def _inherited_tenant(connection: Connection, new: NewJob) -> str:
    """A job that the machinery makes belongs to whoever the job or dataset that it comes from belongs to."""
    for column, value in (
        (jobs.c, new.parent_id), (jobs.c, new.after_id), (datasets.c, new.dataset_id),
    ):  # fmt: skip
        found = None if value is None else connection.scalar(select(column.tenant).where(column.id == value))
        if found is not None:
            return str(found)
    return LOCAL_TENANT


def _is_own(job_id: str) -> ColumnElement[bool]:
    """Of a shard: it was not taken over from a parent."""
    return shards.c.result_key.startswith(f"jobs/{job_id}/")


def as_job(row: Mapping[Any, Any]) -> Job:
    return Job(**{**row, "kind": JobKind(row["kind"]), "state": JobState(row["state"])})


def as_shard(row: RowMapping) -> Shard:
    return Shard(**{**row, "stage": Stage(row["stage"]), "state": ShardState(row["state"])})


def _with_rate(job: Job, total: int, done: int, failed: int, done_here: int, now: float) -> Progress:
    rate = None
    if job.work_started_at is not None and done_here > 0:
        elapsed = (job.finished_at or now) - job.work_started_at
        rate = done_here / max(elapsed, 1e-3)
    left = (total - done - failed) / rate if rate and not job.is_final else None
    return Progress(total, done, failed, rate, left)


def _look() -> Select[Any]:
    """Put together once; only the id and the tenant (null: any) are new at each look."""
    tenant = bindparam("tenant", type_=String)
    is_mine = tenant.is_(None) | (jobs.c.tenant == tenant)
    later = jobs.alias()
    follow_up = (
        select(later.c.id)
        .where(later.c.after_id == jobs.c.id, later.c.tenant == jobs.c.tenant)
        .order_by(later.c.created_at.desc(), later.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    live = and_(
        shards.c.job_id == jobs.c.id, shards.c.stage == Stage.WORK, shards.c.state != ShardState.SPLIT
    )
    own = shards.c.result_key.like(bindparam("own_keys"))  # not those taken over from a parent
    sums = (
        func.sum(shards.c.frames_total),
        func.sum(shards.c.frames_done),
        func.sum(shards.c.frames_failed),
        func.sum(shards.c.frames_done).filter(own),
    )
    return (
        select(
            *JOB_COLUMNS,
            follow_up.label("follow_up_id"),
            *(func.coalesce(each, 0).label(name) for name, each in zip(_SUMS, sums, strict=True)),
            database_now().label("now"),
        )
        .select_from(jobs.outerjoin(shards, live))
        .where(jobs.c.id == bindparam("job_id"), is_mine)
        .group_by(jobs.c.id)
    )


_SUMS = ("frames_total", "frames_done", "frames_failed", "frames_done_here")
_LOOK = _look()
