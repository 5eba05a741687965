"""Objectives of runs with their outcome, and the key with which an experiment was handed in."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("run", sa.Column("objectives", AutoString(), nullable=True))
    op.add_column("run_facts", sa.Column("objectives", AutoString(), nullable=True))
    with op.batch_alter_table("experiment") as experiment:
        experiment.add_column(sa.Column("submission", AutoString(), nullable=True))
        experiment.create_foreign_key(
            "fk_experiment_submission", "submission", ["submission"], ["key"]
        )
    op.create_index("ix_experiment_submission", "experiment", ["submission"])
