"""Application and machine of runs, for lists; paths, names and commits among what is searched."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

revision = "0018"
down_revision = "0017"

_LISTED = [
    *("seq", "state", "strategy", "outcome", "objectives", "application", "machine"),
    *("configuration", "given_name", "created_at"),
]
_FILL = """
UPDATE run SET
    application = (
        SELECT CASE WHEN json_extract(spec, '$.target.url') IS NULL
            THEN coalesce(json_extract(spec, '$.target.application'), 'bundled') END
        FROM run_facts WHERE run = run.seq AND json_valid(spec)
    ),
    machine = coalesce(
        CASE WHEN json_valid(origin) THEN json_extract(origin, '$.machine') END,
        (
            SELECT json_extract(environment, '$.hostname')
            FROM run_facts WHERE run = run.seq AND json_valid(environment)
        )
    )
"""
_INDEX_TEXTS = """
INSERT INTO run_text (rowid, text)
SELECT seq, id || char(10) || title || char(10) || note || char(10) || configuration
    || char(10) || coalesce(given_name, '') || char(10) || coalesce(application, '')
    || char(10) || CASE WHEN json_valid(tags) THEN coalesce(
        (SELECT group_concat(value, char(10)) FROM json_each(tags)), '') ELSE '' END
    || char(10) || CASE WHEN json_valid(spec) THEN coalesce(
        (SELECT group_concat(DISTINCT json_extract(request.value, '$.path'))
        FROM json_each(spec, '$.workload.streams') AS stream,
            json_each(stream.value, '$.requests') AS request), '') ELSE '' END
FROM run JOIN run_facts ON run = seq WHERE state != 'deleted'
"""


def upgrade() -> None:
    op.add_column("run", sa.Column("application", AutoString(), nullable=True))
    op.add_column("run", sa.Column("machine", AutoString(), nullable=True))
    op.execute(_FILL)
    for column in ("application", "machine"):
        op.create_index(f"ix_run_{column}", "run", [column])
    op.create_index("ix_run_listed", "run", _LISTED)
    op.execute("DELETE FROM run_text")
    op.execute(_INDEX_TEXTS)
