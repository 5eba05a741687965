"""Experiments that pause: blocks, sessions, turns in the queue, and send lags of trials."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0010"
down_revision = "0009"

_BLOCKS_OF_BEFORE = """
INSERT INTO experiment_block (experiment, number, "row", session, outcome)
SELECT arm.experiment, trial.block, trial.block, 1, CASE WHEN count(*) >= (
    SELECT count(*) FROM experiment_arm AS other JOIN run ON run.seq = other.run
    WHERE other.experiment = arm.experiment AND run.state != 'failed'
) THEN 'complete' ELSE 'begun' END
FROM experiment_arm AS arm JOIN trial ON trial.run = arm.run
GROUP BY arm.experiment, trial.block
"""


def upgrade() -> None:
    op.create_table(
        "experiment_block",
        sa.Column("experiment", sa.Integer(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("session", sa.Integer(), nullable=False),
        sa.Column("outcome", AutoString(), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiment.seq"], ondelete="CASCADE"),
    )
    sessions = sa.Column("sessions", sa.Integer(), nullable=False, server_default="0")
    op.add_column("experiment", sessions)
    op.add_column("run", sa.Column("turn", sa.Float(), nullable=True))
    op.add_column("trial_stream", sa.Column("send_lag", sa.LargeBinary(), nullable=True))
    op.execute(_BLOCKS_OF_BEFORE)
    op.execute(
        "UPDATE experiment SET sessions = 1 WHERE seq IN (SELECT experiment FROM experiment_block)"
    )
