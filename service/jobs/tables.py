"""The SQL tables. The migrations create them; a test holds both equal."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("filename", String(255), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("version", Integer, nullable=False),
    Column("job_id", String(40), nullable=False),
    Column("source", JSON, nullable=False),
    Column("format", String(40)),
    Column("categories", JSON, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("datasets_by_age", "created_at", "id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("version", Integer, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("dataset_id", String(40)),
    Column("result_id", String(40)),
    Column("parent_id", String(40)),
    Column("after_id", String(40)),  # the job that must have succeeded before this one may begin
    Column("error_code", String(60)),
    Column("error", Text),
    Column("outcome", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("work_started_at", Float),
    Column("finished_at", Float),
    Index("jobs_by_age", "created_at", "id"),
    Index("jobs_by_state", "state"),
    Index("jobs_by_predecessor", "after_id"),
)

shards = Table(
    "shards",
    metadata,
    Column("job_id", String(40), ForeignKey("jobs.id"), primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("stage", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("fence", Integer, nullable=False, default=0),
    Column("attempts", Integer, nullable=False, default=0),
    Column("strikes", Integer, nullable=False, default=0),
    Column("worker", String(120)),
    Column("lease_until", Float),
    Column("not_before", Float, nullable=False, default=0.0),
    Column("hinted_at", Float, nullable=False, default=0.0),
    Column("plan_key", String(255), nullable=False),
    Column("result_key", String(255), nullable=False),
    Column("start_byte", BigInteger, nullable=False, default=0),
    Column("stop_byte", BigInteger, nullable=False, default=0),
    Column("position", Integer, nullable=False, default=0),
    Column("frames_total", Integer, nullable=False, default=0),
    Column("frames_done", Integer, nullable=False, default=0),
    Column("frames_failed", Integer, nullable=False, default=0),
    Index("shards_by_state", "state", "lease_until"),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("job_id", String(40), ForeignKey("jobs.id"), nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String(40), nullable=False),
    Column("data", JSON, nullable=False),
    Index("events_by_job", "job_id", "id"),
)

generators = Table(
    "generators",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("card", JSON(none_as_null=True)),  # null: the version is reserved for a job that still runs
    Column("created_at", Float, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", String(200), primary_key=True),
    Column("path", String(200), primary_key=True),
    Column("body_sha256", String(64), nullable=False),
    Column("status", Integer),
    Column("answer", Text),
    Column("created_at", Float, nullable=False),
)

legal_moves = Table(
    "legal_moves",
    metadata,
    Column("machine", String(20), primary_key=True),
    Column("from_state", String(20), primary_key=True),
    Column("to_state", String(20), primary_key=True),
)
