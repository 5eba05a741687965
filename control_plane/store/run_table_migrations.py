"""Revisions of the tables of runs, their results, secrets and searched text."""

import json
import secrets

import sqlalchemy as sa
from alembic.operations import Operations
from pydantic_core import from_json, to_json
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from control_plane.domain.secrets import hide, hide_cut, hide_spec, secret_texts
from control_plane.domain.spec_json import stored_spec


def create_first_tables(op: Operations) -> None:
    """Create runs with their trials, submissions, and the text that a search looks through."""
    op.create_table("meta", sa.Column("instance", AutoString(), primary_key=True))
    op.create_table(
        "submission",
        sa.Column("key", AutoString(), primary_key=True),
        sa.Column("digest", AutoString(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
    )
    _create_run(op)
    _create_run_parts(op)
    _create_results(op)
    op.execute("CREATE VIRTUAL TABLE run_text USING fts5(text, tokenize='trigram')")


def _create_run(op: Operations) -> None:
    op.create_table(
        "run",
        sa.Column("seq", sa.Integer(), primary_key=True),
        sa.Column("id", AutoString(), nullable=False),
        sa.Column("title", AutoString(), nullable=False),
        sa.Column("tags", AutoString(), nullable=False),
        sa.Column("note", AutoString(), nullable=False),
        sa.Column("state", AutoString(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("reason", AutoString()),
        sa.Column("created_at", UTCDateTime(), nullable=False),
        sa.Column("started_at", UTCDateTime()),
        sa.Column("finished_at", UTCDateTime()),
        sa.Column("strategy", AutoString(), nullable=False),
        sa.Column("configuration", AutoString(), nullable=False),
        sa.Column("outcome", AutoString()),
        sa.Column("rate_per_s", sa.Float()),
        sa.Column("submission", AutoString(), sa.ForeignKey("submission.key")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_run_id", "run", ["id"], unique=True)
    for column in ("state", "strategy", "configuration", "outcome", "submission"):
        op.create_index(f"ix_run_{column}", "run", [column])
    op.create_index("ix_run_kind", "run", ["strategy", "configuration", "state", "outcome"])


def _create_run_parts(op: Operations) -> None:
    op.create_table(
        "run_facts",
        _run_key(),
        sa.Column("spec", AutoString(), nullable=False),
        sa.Column("command", AutoString()),
        sa.Column("environment", AutoString()),
        sa.Column("validity", AutoString()),
        sa.Column("log", AutoString(), nullable=False),
    )
    op.create_table(
        "run_tag",
        sa.Column("tag", AutoString(), primary_key=True),
        _run_key(),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_run_tag_run", "run_tag", ["run"])


def _create_results(op: Operations) -> None:
    op.create_table(
        "run_stream",
        _run_key(),
        sa.Column("place", sa.Integer(), primary_key=True),
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("summary", AutoString(), nullable=False),
        sa.Column("service", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "trial",
        _run_key(),
        sa.Column("block", sa.Integer(), primary_key=True),
        sa.Column("document", AutoString(), nullable=False),
        sa.Column("gauges", AutoString(), nullable=False),
    )
    op.create_table(
        "trial_stream",
        _run_key(),
        sa.Column("block", sa.Integer(), primary_key=True),
        sa.Column("place", sa.Integer(), primary_key=True),
        sa.Column("name", AutoString(), nullable=False),
        sa.Column("timeline", AutoString()),
        sa.Column("service", sa.LargeBinary(), nullable=False),
        sa.Column("response", sa.LargeBinary(), nullable=False),
        sa.Column("seconds", sa.LargeBinary()),
    )


def _run_key() -> sa.Column[int]:
    return sa.Column(
        "run", sa.Integer(), sa.ForeignKey("run.seq", ondelete="CASCADE"), primary_key=True
    )


def add_causes(op: Operations) -> None:
    """Add the causes of a run, found and ruled out."""
    with op.batch_alter_table("run_facts") as facts:
        facts.add_column(sa.Column("causes", AutoString()))


def add_given_name(op: Operations) -> None:
    """Add the name by which the configuration of a run was chosen."""
    op.add_column("run", sa.Column("given_name", AutoString()))
    op.create_index("ix_run_given_name", "run", ["given_name"])


# This revision uses what the product has for secrets, which it must agree with: another digest or
# placeholder would never be found again, and what counts as secret now is to be out of old files,
# too. So a later revision that changes the shape of specs has to leave those of 0005 readable.

_HIDDEN_TEXTS = ("request", "location", "head", "body", "detail")


def keep_secrets_apart(op: Operations) -> None:
    """Move secret values out of specs, and out of what runs keep as text."""
    op.add_column("meta", sa.Column("secret_key", AutoString()))
    op.create_table(
        "secret",
        sa.Column("digest", AutoString(), primary_key=True),
        sa.Column("value", AutoString(), nullable=False),
    )
    op.create_table(
        "run_secret",
        sa.Column("run", sa.Integer(), sa.ForeignKey("run.seq", ondelete="CASCADE"),
                  primary_key=True),
        sa.Column("digest", AutoString(), sa.ForeignKey("secret.digest"), primary_key=True),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_index("ix_run_secret_digest", "run_secret", ["digest"])
    _move_values(op)


def _move_values(op: Operations) -> None:
    key = secrets.token_bytes(32)
    connection = op.get_bind()
    connection.exec_driver_sql("UPDATE meta SET secret_key = ?", (key.hex(),))
    for run, spec, log in connection.exec_driver_sql("SELECT run, spec, log FROM run_facts").all():
        hidden = hide_spec(from_json(spec), key)
        if not hidden.digests:
            continue
        for digest, value in hidden.values.items():
            insert = "INSERT OR IGNORE INTO secret (digest, value) VALUES (?, ?)"
            connection.exec_driver_sql(insert, (digest, value))
            insert = "INSERT INTO run_secret (run, digest) VALUES (?, ?)"
            connection.exec_driver_sql(insert, (run, digest))
        document = to_json(hidden.document).decode()
        requests = (request for _, request in stored_spec(document).requests())
        texts = secret_texts(requests, hidden.values)
        change = "UPDATE run_facts SET spec = ?, log = ? WHERE run = ?"
        lines = json.dumps([hide(line, texts) for line in json.loads(log)])
        connection.exec_driver_sql(change, (document, lines, run))
        _hide_in_trials(connection, run, texts)


def _hide_in_trials(connection: sa.Connection, run: int, texts: dict[str, str]) -> None:
    """Hide them in what servers printed and responded; names and numbers stay as they are."""
    found = "SELECT block, document FROM trial WHERE run = ?"
    for block, text in connection.exec_driver_sql(found, (run,)).all():
        document = from_json(text)
        target = document.get("target") or {}
        if log := target.get("log"):
            target["log"] = [hide(line, texts) for line in log]
        for failed in document.get("failures") or ():
            failed |= {
                name: hide_cut(failed[name], texts) for name in _HIDDEN_TEXTS if failed.get(name)
            }
        change = "UPDATE trial SET document = ? WHERE run = ? AND block = ?"
        connection.exec_driver_sql(change, (to_json(document).decode(), run, block))


def create_deleted_runs(op: Operations) -> None:
    """Create what is left of runs that were deleted."""
    op.create_table(
        "deleted_run",
        sa.Column("id", AutoString(), primary_key=True),
        sa.Column("title", AutoString(), nullable=False),
        sa.Column("deleted_at", UTCDateTime(), nullable=False),
    )


def add_first_byte(op: Operations) -> None:
    """Add histograms of the time to first byte, beside those of the other clocks."""
    for table in ("run_stream", "trial_stream"):
        op.add_column(table, sa.Column("first_byte", sa.LargeBinary(), nullable=True))


def add_origin(op: Operations) -> None:
    """Add where an imported run comes from."""
    op.add_column("run", sa.Column("origin", AutoString(), nullable=True))


def keep_state_of_deleted_runs(op: Operations) -> None:
    """Let deleted runs be put back."""
    op.add_column("deleted_run", sa.Column("state", AutoString(), nullable=True))
    op.create_index("ix_deleted_run_deleted_at", "deleted_run", ["deleted_at"])


_LISTED = [
    *("seq", "state", "strategy", "outcome", "objectives", "application", "machine"),
    *("configuration", "given_name", "created_at"),
]
_FILL_LISTED = """
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
_INDEX_PATHS = """
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


def list_applications_and_machines(op: Operations) -> None:
    """Add application and machine of runs; search paths, names and commits, too."""
    op.add_column("run", sa.Column("application", AutoString(), nullable=True))
    op.add_column("run", sa.Column("machine", AutoString(), nullable=True))
    op.execute(_FILL_LISTED)
    for column in ("application", "machine"):
        op.create_index(f"ix_run_{column}", "run", [column])
    op.create_index("ix_run_listed", "run", _LISTED)
    op.execute("DELETE FROM run_text")
    op.execute(_INDEX_PATHS)


_SORTED_BY = (
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
_FILL_SORTED = f"""
UPDATE run SET (first_rate_per_s, first_error_share, first_p50_s, first_p95_s, first_p99_s) = (
    SELECT CAST(json_extract(summary, '$.throughput_per_s') AS REAL),
        CAST(json_extract(summary, '$.error_share') AS REAL),
        {_PERCENTILE.format(name="p50")},
        {_PERCENTILE.format(name="p95")},
        {_PERCENTILE.format(name="p99")}
    FROM run_stream WHERE run = run.seq AND place = 0 AND json_valid(summary)
) WHERE state = 'finished'
"""
_INDEX_WORDS = """
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


def sort_by_numbers(op: Operations) -> None:
    """Add the numbers of a run's first stream, for lists in their order; search words, too."""
    for column in _SORTED_BY:
        op.add_column("run", sa.Column(column, sa.Float(), nullable=True))
    op.execute(_FILL_SORTED)
    for column in _SORTED_BY:
        op.create_index(f"ix_run_{column}", "run", [column])
    op.execute("CREATE TEMP TABLE before_text AS SELECT rowid AS run, text FROM run_text")
    op.execute("DELETE FROM run_text")
    op.execute(_INDEX_WORDS)
    op.execute("DROP TABLE before_text")


def filter_by_number(op: Operations) -> None:
    """Let an index by a number hold what runs are filtered by, as that of the history does."""
    for column in _SORTED_BY:
        op.drop_index(f"ix_run_{column}", "run")
        op.create_index(f"ix_run_{column}", "run", [column, *_LISTED])


_INDEX_COMMITS = """
UPDATE run_text SET text = text || (
    SELECT char(10) || digits || char(31, 31) || substr(digits, 1, 2)
    FROM measured_commit WHERE run = run_text.rowid
) WHERE rowid IN (SELECT run FROM measured_commit)
"""
_MEASURED_COMMITS = """
CREATE TEMP TABLE measured_commit AS
SELECT seq AS run, json_extract(environment, CASE application
    WHEN 'bundled' THEN '$.commit' ELSE '$.application_commit' END) AS digits
FROM run JOIN run_facts ON run = seq WHERE json_valid(environment) AND digits IS NOT NULL
"""


def search_commits(op: Operations) -> None:
    """Let the search find the commit of what a run measured; by its subject it was found before."""
    op.execute(_MEASURED_COMMITS)
    op.execute("CREATE UNIQUE INDEX temp.ix_measured_commit ON measured_commit (run)")
    op.execute(_INDEX_COMMITS)
    op.execute("DROP TABLE measured_commit")
