"""The name by which the configuration of a run was chosen."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("run", sa.Column("given_name", AutoString()))
    op.create_index("ix_run_given_name", "run", ["given_name"])
