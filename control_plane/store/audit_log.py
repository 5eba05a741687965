"""Who started, cancelled and deleted what. What a transaction does is written down in it."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy import delete
from sqlmodel import Session, col, select

from control_plane.domain.api_documents import moment
from control_plane.domain.spec_json import Document
from control_plane.store.database import Database, read_each
from control_plane.store.tables import AuditRow

Action = Literal[
    "started",
    "cancelled",
    "paused",
    "resumed",
    "deleted",
    "restored",
    "imported",
    "pinned",
    "unpinned",
    "shared",
    "revoked",
    "marked",
]

_KINDS = {"run", "experiment", "comparison", "peer", "trend"}
KEPT_ENTRIES = 10_000
"""How many entries are kept; the oldest go."""


@dataclass(frozen=True)
class Actor:
    """Who does something: the name of the login, and the address that it came from."""

    name: str
    peer: str = ""


COMMAND_LINE = Actor("command line")
ACTOR: ContextVar[Actor] = ContextVar("ACTOR")
"""Who does what happens now; a request sets it for itself and for the threads that it uses."""


@dataclass(frozen=True)
class AuditEntry:
    """One deed. `subject` is the id of a run, an experiment for all of its runs, or a `peer`.

    Of a comparison it is the query of its page; the deed then is that a link to it was made or
    ended. Of a trend it is the digest of its spec, and a step of it was marked.
    """

    at: datetime
    actor: Actor
    action: str
    kind: str
    subject: str
    title: str

    def document(self) -> Document:
        """Return it as the API sends it."""
        return {
            "at": moment(self.at),
            "who": self.actor.name,
            "from": self.actor.peer,
            "action": self.action,
            self.kind: self.subject,
            "title": self.title,
        }


def record(
    session: Session, action: Action, subject: str, title: str, *, experiment: bool = False
) -> None:
    """Write down what the actor does, in the transaction of the session."""
    record_each(session, action, [(subject, title)], "experiment" if experiment else "run")


def record_each(
    session: Session, action: Action, subjects: Sequence[tuple[str, str]], kind: str = "run"
) -> None:
    """Write down what the actor does to several; each is an id with its title."""
    actor, now = ACTOR.get(COMMAND_LINE), datetime.now(UTC)
    rows = [
        AuditRow(
            at=now,
            name=actor.name,
            peer=actor.peer,
            action=action,
            kind=kind,
            subject=subject,
            title=title,
        )
        for subject, title in subjects
    ]
    session.add_all(rows)
    session.flush()
    newest = max((row.seq or 0 for row in rows), default=0)
    session.exec(delete(AuditRow).where(col(AuditRow.seq) <= newest - KEPT_ENTRIES))


class AuditLog:
    """Lists and writes what was done. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def audit(self, limit: int) -> list[AuditEntry]:
        """Return the last deeds, newest first."""
        with self._database.read() as session:
            query = select(AuditRow).order_by(col(AuditRow.seq).desc()).limit(limit)
            return read_each(session, query, "entry of the log of actions", _entry_of)

    def record_action(
        self, action: Action, subject: str, title: str, *, experiment: bool = False
    ) -> None:
        """Write down what the actor did to a run or an experiment in more than one transaction."""
        with self._database.write() as session:
            record(session, action, subject, title, experiment=experiment)


def _entry_of(row: AuditRow) -> AuditEntry:
    if row.kind not in _KINDS:
        raise ValueError(f"{row.kind} is no kind")
    actor = Actor(row.name, row.peer)
    return AuditEntry(row.at, actor, row.action, row.kind, row.subject, row.title)
