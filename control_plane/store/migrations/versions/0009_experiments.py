"""Experiments, whose arms are runs."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "experiment",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("id", AutoString(), nullable=False),
        sa.Column("question", AutoString(), nullable=False),
        sa.Column("document", AutoString(), nullable=False),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_experiment_id", "experiment", ["id"], unique=True)
    op.create_table(
        "experiment_arm",
        sa.Column("experiment", sa.Integer(), primary_key=True),
        sa.Column("place", sa.Integer(), primary_key=True),
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["experiment"], ["experiment.seq"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["run"], ["run.seq"], ondelete="SET NULL"),
    )
    op.create_index("ix_experiment_arm_run", "experiment_arm", ["run"])
