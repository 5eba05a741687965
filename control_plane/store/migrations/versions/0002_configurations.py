"""Configurations that people added."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "configuration",
        sa.Column("name", AutoString(), primary_key=True),
        sa.Column("target", AutoString(), nullable=False),
    )
