"""What earlier experiments had said of noise when an experiment ended."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("experiment", sa.Column("noise", AutoString(), nullable=True))
