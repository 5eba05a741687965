"""Deleted runs that can be put back."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("deleted_run", sa.Column("state", AutoString(), nullable=True))
    op.create_index("ix_deleted_run_deleted_at", "deleted_run", ["deleted_at"])
