"""Which numbers the sequences of an application were drawn from."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "used_numbers",
        sa.Column("application", AutoString(), primary_key=True),
        sa.Column("low", AutoString(), nullable=False),
        sa.Column("high", AutoString(), nullable=False),
    )
