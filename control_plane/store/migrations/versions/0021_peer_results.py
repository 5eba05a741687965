"""Results of other tools, and the histogram of each of their streams."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    op.create_table(
        "peer_result",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("id", AutoString(), nullable=False),
        sa.Column("title", AutoString(), nullable=False),
        sa.Column("imported_at", UTCDateTime(), nullable=False),
        sa.Column("file_name", AutoString(), nullable=False),
        sa.Column("sha256", AutoString(), nullable=False),
        sa.Column("size_bytes", sa.Integer(), nullable=False),
        sa.Column("read_as", AutoString(), nullable=False),
        sa.Column("report", AutoString(), nullable=False),
    )
    op.create_index("ix_peer_result_id", "peer_result", ["id"], unique=True)
    op.create_index("ix_peer_result_sha256", "peer_result", ["sha256"])
    op.create_table(
        "peer_samples",
        sa.Column("result", sa.Integer(), primary_key=True),
        sa.Column("place", sa.Integer(), primary_key=True),
        sa.Column("samples", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["result"], ["peer_result.seq"], ondelete="CASCADE"),
    )
