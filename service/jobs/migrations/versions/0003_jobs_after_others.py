"""A job can wait for another: a detector is trained on what a translation makes."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # Never as a batch: on SQLite that makes the table anew, and the trigger on its moves would be lost.
    op.add_column("jobs", sa.Column("after_id", sa.String(40)))
    op.create_index("jobs_by_predecessor", "jobs", ["after_id"])


def downgrade() -> None:
    op.drop_index("jobs_by_predecessor", "jobs")
    op.drop_column("jobs", "after_id")
