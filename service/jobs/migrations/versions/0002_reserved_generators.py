"""A version of a generator can be reserved for the job that makes it: its card comes later."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("generators") as table:
        table.alter_column("card", existing_type=sa.JSON(), nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM generators WHERE card IS NULL")
    with op.batch_alter_table("generators") as table:
        table.alter_column("card", existing_type=sa.JSON(), nullable=False)
