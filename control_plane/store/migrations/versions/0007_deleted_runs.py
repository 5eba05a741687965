"""What is left of runs that were deleted."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "deleted_run",
        sa.Column("id", AutoString(), primary_key=True),
        sa.Column("title", AutoString(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=False),
    )
