"""The digest of the spec of each run, by which trends find it, and what is kept of their steps."""

from contextlib import suppress

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from control_plane.domain.spec_json import spec_digest, stored_spec

revision = "0023"
down_revision = "0022"

# As in 0006 this is the product's own: a run from before belongs to the trend of those after it.

_KEY = ("spec", "stream", "metric", "baseline")


def upgrade() -> None:
    op.add_column("run", sa.Column("spec_digest", AutoString(), nullable=True))
    op.create_table(
        "step_mark",
        sa.Column("id", AutoString(), primary_key=True),
        *(sa.Column(name, AutoString(), nullable=False) for name in _KEY),
        sa.Column("found", sa.Integer(), nullable=True),
        sa.Column("place", sa.Integer(), nullable=True),
        sa.Column("note", AutoString(), nullable=False),
        sa.Column("made_by", AutoString(), nullable=False),
        sa.Column("changed_at", UTCDateTime(), nullable=False),
        sa.Column("told_at", UTCDateTime(), nullable=True),
    )
    op.create_index("ix_step_mark_of", "step_mark", _KEY)
    _fill()
    op.create_index("ix_run_spec", "run", ["spec_digest", "state", "outcome", "machine"])


def _fill() -> None:
    """Spare those of elsewhere, which belong to no trend, and what cannot be read."""
    connection = op.get_bind()
    ours = "SELECT seq, spec FROM run JOIN run_facts ON run = seq WHERE origin IS NULL"
    digests = []
    for seq, text in connection.exec_driver_sql(ours):
        with suppress(ValueError, TypeError, LookupError, RecursionError):
            digests.append((spec_digest(stored_spec(text)), seq))
    if digests:
        connection.exec_driver_sql("UPDATE run SET spec_digest = ? WHERE seq = ?", digests)
