"""What a request with a key has made, how often a shard's worker was lost, and what a dataset takes up."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # Never as a batch: on SQLite that makes a table anew, and the triggers on its moves would be lost.
    op.add_column("idempotency_keys", sa.Column("claim", sa.String(40), nullable=False, server_default=""))
    op.add_column("idempotency_keys", sa.Column("made_id", sa.String(40)))
    op.add_column("shards", sa.Column("losses", sa.Integer, nullable=False, server_default="0"))
    op.add_column("datasets", sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("datasets", "size_bytes")
    op.drop_column("shards", "losses")
    op.drop_column("idempotency_keys", "made_id")
    op.drop_column("idempotency_keys", "claim")
