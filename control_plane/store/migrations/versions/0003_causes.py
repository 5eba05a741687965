"""The causes of a run, found and ruled out."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("run_facts") as facts:
        facts.add_column(sa.Column("causes", AutoString()))
