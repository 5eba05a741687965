"""The numbers of a run's first stream, for lists in their order; words among what is searched."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_COLUMNS = (
    *("first_rate_per_s", "first_p50_s", "first_p95_s", "first_p99_s"),
    "first_error_share",
)
_PERCENTILE = """CASE
    WHEN json_extract(summary, '$.response_time_s.support.{name}') >= 10 AND (
        json_type(summary, '$.response_time_s.unanswered') = 'object'
        OR NOT json_extract(summary, '$.error_share') + json_extract(summary, '$.censored.count')
    ) THEN CAST(json_extract(summary, '$.response_time_s.{name}') AS REAL)
END"""
"""Null where too few samples lie beyond, and where older versions did not tell whether requests
without an answer leave it.
"""
_FILL = f"""
UPDATE run SET (first_rate_per_s, first_error_share, first_p50_s, first_p95_s, first_p99_s) = (
    SELECT CAST(json_extract(summary, '$.throughput_per_s') AS REAL),
        CAST(json_extract(summary, '$.error_share') AS REAL),
        {_PERCENTILE.format(name="p50")},
        {_PERCENTILE.format(name="p95")},
        {_PERCENTILE.format(name="p99")}
    FROM run_stream WHERE run = run.seq AND place = 0 AND json_valid(summary)
) WHERE state = 'finished'
"""
_INDEX_TEXTS = """
INSERT INTO run_text (rowid, text)
SELECT run, text || char(10) || coalesce((
    SELECT replace(group_concat(DISTINCT char(31, 31) || substr(value, 1, 2)), ',', '')
    FROM json_each('[' || replace(json_quote(
        replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(text,
        char(10), ' '), char(9), ' '), char(92), ' '), '"', ' '), '/', ' '), '-', ' '), '_', ' '),
        '.', ' '), ':', ' '), ',', ' ')
    ), ' ', '","') || ']')
), '')
FROM before_text
"""


def upgrade() -> None:
    for column in _COLUMNS:
        op.add_column("run", sa.Column(column, sa.Float(), nullable=True))
    op.execute(_FILL)
    for column in _COLUMNS:
        op.create_index(f"ix_run_{column}", "run", [column])
    op.execute("CREATE TEMP TABLE before_text AS SELECT rowid AS run, text FROM run_text")
    op.execute("DELETE FROM run_text")
    op.execute(_INDEX_TEXTS)
    op.execute("DROP TABLE before_text")
