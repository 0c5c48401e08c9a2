"""Uploads, datasets, jobs, shards, events, generators, keys, and the triggers that refuse illegal moves.

Written out in full: what a migration makes must not change when the code does.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

MOVES = {
    "job": {
        "queued": ("running", "cancelling", "failed"),
        "running": ("publishing", "cancelling", "failed"),
        "publishing": ("succeeded", "cancelling", "failed"),
        "cancelling": ("cancelled",),
    },
    "shard": {"pending": ("running",), "running": ("done", "pending", "split")},
    "dataset": {"pending": ("ready", "rejected"), "rejected": ("pending",)},
}
MACHINES = {"job": "jobs", "shard": "shards", "dataset": "datasets"}


def upgrade() -> None:
    create_tables()
    for machine, table in MACHINES.items():
        create_trigger(machine, table)


def create_tables() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("job_id", sa.String(40), nullable=False),
        sa.Column("source", sa.JSON, nullable=False),
        sa.Column("format", sa.String(40)),
        sa.Column("categories", sa.JSON, nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_index("datasets_by_age", "datasets", ["created_at", "id"])
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("dataset_id", sa.String(40)),
        sa.Column("result_id", sa.String(40)),
        sa.Column("parent_id", sa.String(40)),
        sa.Column("error_code", sa.String(60)),
        sa.Column("error", sa.Text),
        sa.Column("outcome", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("started_at", sa.Float),
        sa.Column("work_started_at", sa.Float),
        sa.Column("finished_at", sa.Float),
    )
    op.create_index("jobs_by_age", "jobs", ["created_at", "id"])
    op.create_index("jobs_by_state", "jobs", ["state"])
    op.create_table(
        "shards",
        sa.Column("job_id", sa.String(40), sa.ForeignKey("jobs.id"), primary_key=True),
        sa.Column("index", sa.Integer, primary_key=True),
        sa.Column("stage", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("fence", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("strikes", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(120)),
        sa.Column("lease_until", sa.Float),
        sa.Column("not_before", sa.Float, nullable=False),
        sa.Column("hinted_at", sa.Float, nullable=False),
        sa.Column("plan_key", sa.String(255), nullable=False),
        sa.Column("result_key", sa.String(255), nullable=False),
        sa.Column("start_byte", sa.BigInteger, nullable=False),
        sa.Column("stop_byte", sa.BigInteger, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("frames_total", sa.Integer, nullable=False),
        sa.Column("frames_done", sa.Integer, nullable=False),
        sa.Column("frames_failed", sa.Integer, nullable=False),
    )
    op.create_index("shards_by_state", "shards", ["state", "lease_until"])
    op.create_table(
        "events",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("job_id", sa.String(40), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
    )
    op.create_index("events_by_job", "events", ["job_id", "id"])
    op.create_table(
        "generators",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("card", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("path", sa.String(200), primary_key=True),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("answer", sa.Text),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    moves = op.create_table(
        "legal_moves",
        sa.Column("machine", sa.String(20), primary_key=True),
        sa.Column("from_state", sa.String(20), primary_key=True),
        sa.Column("to_state", sa.String(20), primary_key=True),
    )
    op.bulk_insert(
        moves,
        [
            {"machine": machine, "from_state": before, "to_state": after}
            for machine, states in MOVES.items()
            for before, following in states.items()
            for after in following
        ],
    )


def create_trigger(machine: str, table: str) -> None:
    """The database itself refuses a move that `legal_moves` does not hold."""
    is_legal = (
        f"SELECT 1 FROM legal_moves WHERE machine = '{machine}' "  # noqa: S608 - constants of this file  # nosec B608
        "AND from_state = OLD.state AND to_state = NEW.state"
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER {table}_moves BEFORE UPDATE OF state ON {table} "
            f"WHEN OLD.state <> NEW.state AND NOT EXISTS ({is_legal}) "
            f"BEGIN SELECT RAISE(ABORT, 'illegal move of a {machine}'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION {table}_moves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF OLD.state <> NEW.state AND NOT EXISTS ({is_legal}) THEN "
        f"RAISE EXCEPTION 'illegal move of a {machine}: % to %', OLD.state, NEW.state; END IF; "
        "RETURN NEW; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_moves BEFORE UPDATE OF state ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_moves()"
    )


def downgrade() -> None:
    dependent = ("events", "shards", "jobs", "datasets")
    for table in (*dependent, "uploads", "generators", "idempotency_keys", "legal_moves"):
        op.drop_table(table)
