"""The sentence of an experiment that finished, for lists."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.add_column("experiment", sa.Column("sentence", AutoString(), nullable=True))
