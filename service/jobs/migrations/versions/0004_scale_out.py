"""Tenants and their keys, uploads that come in pieces, webhooks, and which workers may do a job."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

LOCAL = "local"


# That a dataset may be deleted once it is there, or was rejected.
DELETIONS = [
    {"machine": "dataset", "from_state": state, "to_state": "deleted"} for state in ("ready", "rejected")
]


def upgrade() -> None:
    _add_tenants()
    op.bulk_insert(_legal_moves(), DELETIONS)
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("secret_sha256", sa.String(64), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("revoked_at", sa.Float),
        sa.Column("last_used_at", sa.Float),
    )
    op.create_index("api_keys_by_tenant", "api_keys", ["tenant", "created_at", "id"])
    op.create_table(
        "server_secrets",
        sa.Column("name", sa.String(40), primary_key=True),
        sa.Column("value", sa.String(200), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "incoming_uploads",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("filename", sa.String(255), nullable=False),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("offset_bytes", sa.BigInteger, nullable=False),
        sa.Column("expected_sha256", sa.String(64)),
        sa.Column("staging", sa.JSON, nullable=False),
        sa.Column("lock_owner", sa.String(80)),
        sa.Column("locked_until", sa.Float),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_index("incoming_uploads_by_tenant", "incoming_uploads", ["tenant", "state"])
    op.create_index("incoming_uploads_by_end", "incoming_uploads", ["state", "expires_at"])
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("tenant", sa.String(40), nullable=False),
        sa.Column("url", sa.String(2000), nullable=False),
        sa.Column("secret", sa.String(200), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_index("webhooks_by_tenant", "webhooks", ["tenant", "created_at", "id"])
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("webhook_id", sa.String(40), sa.ForeignKey("webhooks.id"), nullable=False),
        sa.Column("job_id", sa.String(40), sa.ForeignKey("jobs.id"), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Float, nullable=False),
        sa.Column("last_answer", sa.Text),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("finished_at", sa.Float),
    )
    op.create_index("webhook_deliveries_due", "webhook_deliveries", ["state", "due_at"])
    op.create_index("webhook_deliveries_by_webhook", "webhook_deliveries", ["webhook_id", "created_at", "id"])
    op.add_column("jobs", sa.Column("work_version", sa.Integer, nullable=False, server_default="1"))


def downgrade() -> None:
    moves = _legal_moves()
    op.execute(moves.delete().where(moves.c.to_state == "deleted"))
    op.drop_column("jobs", "work_version")
    for table in ("webhook_deliveries", "webhooks", "incoming_uploads", "server_secrets", "api_keys"):
        op.drop_table(table)
    _drop_tenants()


def _legal_moves() -> "sa.TableClause":
    names = ("machine", "from_state", "to_state")
    return sa.table("legal_moves", *(sa.column(name, sa.String) for name in names))


def _add_tenants() -> None:
    # Never as a batch: on SQLite that makes a table anew, and the triggers on its moves would be lost.
    for table in ("uploads", "datasets", "jobs"):
        op.add_column(table, sa.Column("tenant", sa.String(40), nullable=False, server_default=LOCAL))
        op.create_index(f"{table}_by_tenant", table, ["tenant", "created_at", "id"])
    op.drop_index("datasets_by_age", "datasets")
    op.drop_index("jobs_by_age", "jobs")
    op.add_column("generators", sa.Column("tenant", sa.String(40)))
    _remake_idempotency_keys(sa.Column("tenant", sa.String(40), primary_key=True))


def _drop_tenants() -> None:
    _remake_idempotency_keys()
    op.drop_column("generators", "tenant")
    op.create_index("jobs_by_age", "jobs", ["created_at", "id"])
    op.create_index("datasets_by_age", "datasets", ["created_at", "id"])
    for table in ("uploads", "datasets", "jobs"):
        op.drop_index(f"{table}_by_tenant", table)
        op.drop_column(table, "tenant")


def _remake_idempotency_keys(*more: "sa.Column[str]") -> None:
    """What it holds is forgotten after a day anyway."""
    op.drop_table("idempotency_keys")
    op.create_table(
        "idempotency_keys",
        *more,
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("path", sa.String(200), primary_key=True),
        sa.Column("body_sha256", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("answer", sa.Text),
        sa.Column("created_at", sa.Float, nullable=False),
    )
