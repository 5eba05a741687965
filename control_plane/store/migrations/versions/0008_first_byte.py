"""Histograms of the time to first byte, beside those of the other clocks."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    for table in ("run_stream", "trial_stream"):
        op.add_column(table, sa.Column("first_byte", sa.LargeBinary(), nullable=True))
