"""Runs, their trials and streams, submissions, and the text that a search looks through."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("meta", sa.Column("instance", AutoString(), primary_key=True))
    op.create_table(
        "submission",
        sa.Column("key", AutoString(), primary_key=True),
        sa.Column("digest", AutoString(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
    )
    _create_run()
    _create_run_parts()
    _create_results()
    op.execute("CREATE VIRTUAL TABLE run_text USING fts5(text, tokenize='trigram')")


def _create_run() -> None:
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


def _create_run_parts() -> None:
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


def _create_results() -> None:
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
