"""Runs and experiments that are kept under a name, as baselines."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.create_table(
        "pin",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("application", AutoString(), nullable=False),
        sa.Column("workload", AutoString(), nullable=False),
        sa.Column("run", sa.Integer(), sa.ForeignKey("run.seq", ondelete="CASCADE")),
        sa.Column("experiment", sa.Integer(), sa.ForeignKey("experiment.seq", ondelete="CASCADE")),
        sa.Column("pinned_at", sa.DateTime(), nullable=False),
    )
    op.create_index("ix_pin_name", "pin", ["application", "workload", "name"], unique=True)
    for column in ("run", "experiment"):
        op.create_index(f"ix_pin_{column}", "pin", [column])
