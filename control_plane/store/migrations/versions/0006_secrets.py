"""Secret values apart from the specs that they belong to, and out of what runs keep as text."""

import json
import secrets

import sqlalchemy as sa
from alembic import op
from pydantic_core import from_json, to_json
from sqlmodel.sql.sqltypes import AutoString

from control_plane.domain.secrets import hide, hide_cut, hide_spec, secret_texts
from control_plane.domain.spec_json import stored_spec

revision = "0006"
down_revision = "0005"

# This revision uses what the product has for secrets, which it must agree with: another digest or
# placeholder would never be found again, and what counts as secret now is to be out of old files,
# too. So a later revision that changes the shape of specs has to leave those of 0005 readable.

_TEXTS = ("request", "location", "head", "body", "detail")


def upgrade() -> None:
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
    _move_values()


def _move_values() -> None:
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
        _hide_in_trials(run, texts)


def _hide_in_trials(run: int, texts: dict[str, str]) -> None:
    """Hide them in what servers printed and responded; names and numbers stay as they are."""
    connection = op.get_bind()
    found = "SELECT block, document FROM trial WHERE run = ?"
    for block, text in connection.exec_driver_sql(found, (run,)).all():
        document = from_json(text)
        target = document.get("target") or {}
        if log := target.get("log"):
            target["log"] = [hide(line, texts) for line in log]
        for failed in document.get("failures") or ():
            failed |= {name: hide_cut(failed[name], texts) for name in _TEXTS if failed.get(name)}
        change = "UPDATE trial SET document = ? WHERE run = ? AND block = ?"
        connection.exec_driver_sql(change, (to_json(document).decode(), run, block))
