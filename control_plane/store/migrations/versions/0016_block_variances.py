"""How much blocks of experiments varied, by machine, metric and kind of load."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    op.create_table(
        "block_variance",
        sa.Column("experiment", sa.Integer(), primary_key=True),
        sa.Column("metric", AutoString(), primary_key=True),
        sa.Column("kind", AutoString(), nullable=False),
        sa.Column("machine", AutoString(), nullable=False),
        sa.Column("variance", sa.Float(), nullable=False),
        sa.Column("df", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["experiment"], ["experiment.seq"], ondelete="CASCADE"),
    )
    op.create_index("ix_block_variance_machine", "block_variance", ["machine"])
