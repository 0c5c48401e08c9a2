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
# Who owns what is made on a machine of one user; a cluster names its tenants as it likes.
LOCAL_TENANT = "local"

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(40), nullable=False, server_default=LOCAL_TENANT),
    Column("filename", String(255), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Index("uploads_by_tenant", "tenant", "created_at", "id"),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(40), nullable=False, server_default=LOCAL_TENANT),
    Column("name", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("version", Integer, nullable=False),
    Column("job_id", String(40), nullable=False),
    Column("source", JSON, nullable=False),
    Column("format", String(40)),
    Column("categories", JSON, nullable=False),
    Column("counts", JSON, nullable=False),
    Column("size_bytes", BigInteger, nullable=False, server_default="0"),  # of its objects, once it is ready
    Column("created_at", Float, nullable=False),
    Index("datasets_by_tenant", "tenant", "created_at", "id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(40), nullable=False, server_default=LOCAL_TENANT),
    Column("kind", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("version", Integer, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("dataset_id", String(40)),
    Column("result_id", String(40)),
    Column("parent_id", String(40)),
    Column("work_version", Integer, nullable=False, server_default="1"),  # workers older than it refuse
    Column("after_id", String(40)),  # the job that must have succeeded before this one may begin
    Column("error_code", String(60)),
    Column("error", Text),
    Column("outcome", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("work_started_at", Float),
    Column("finished_at", Float),
    Index("jobs_by_tenant", "tenant", "created_at", "id"),
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
    Column("losses", Integer, nullable=False, server_default="0"),
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
    Column("tenant", String(40)),  # null: everyone may use it
    Column("card", JSON(none_as_null=True)),  # null: the version is reserved for a job that still runs
    Column("created_at", Float, nullable=False),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("tenant", String(40), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("path", String(200), primary_key=True),
    Column("body_sha256", String(64), nullable=False),
    Column("claim", String(40), nullable=False, server_default=""),  # of the request that may make something
    Column("made_id", String(40)),  # what it has made
    Column("status", Integer),
    Column("answer", Text),
    Column("created_at", Float, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(40), nullable=False),
    Column("name", String(200), nullable=False),
    Column("secret_sha256", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("last_used_at", Float),
    Index("api_keys_by_tenant", "tenant", "created_at", "id"),
)

# What all servers of one installation must share and nobody chooses, such as the key that signs cursors.
server_secrets = Table(
    "server_secrets",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
)

# Uploads that come in pieces (tus); one that is complete becomes a row of `uploads` under the same id.
incoming_uploads = Table(
    "incoming_uploads",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(40), nullable=False),
    Column("filename", String(255), nullable=False),
    Column("metadata", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("offset_bytes", BigInteger, nullable=False),
    Column("expected_sha256", String(64)),
    Column("staging", JSON, nullable=False),
    Column("lock_owner", String(80)),
    Column("locked_until", Float),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Index("incoming_uploads_by_tenant", "tenant", "state"),
    Index("incoming_uploads_by_end", "state", "expires_at"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(40), nullable=False),
    Column("url", String(2000), nullable=False),
    Column("secret", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
    Index("webhooks_by_tenant", "tenant", "created_at", "id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("webhook_id", String(40), ForeignKey("webhooks.id"), nullable=False),
    Column("job_id", String(40), ForeignKey("jobs.id"), nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Float, nullable=False),
    Column("last_answer", Text),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    Index("webhook_deliveries_due", "state", "due_at"),
    Index("webhook_deliveries_by_webhook", "webhook_id", "created_at", "id"),
)

legal_moves = Table(
    "legal_moves",
    metadata,
    Column("machine", String(20), primary_key=True),
    Column("from_state", String(20), primary_key=True),
    Column("to_state", String(20), primary_key=True),
)
