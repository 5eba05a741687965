"""Deletion of runs: at once out of every list, for good after a week, and put back until then."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, text, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from control_plane.domain.errors import Conflict, NotFound
from control_plane.domain.run import DeletedRun, State
from control_plane.store.audit_log import record_each
from control_plane.store.database import Database
from control_plane.store.mapping import deleted_run_of
from control_plane.store.pinned_baselines import refuse_pinned
from control_plane.store.run_search import index_runs
from control_plane.store.tables import (
    DELETED,
    DeletedRunRow,
    RunRow,
    RunSecret,
    RunTag,
    Secret,
)
from control_plane.store.writer import find_rows

KEPT_DAYS = 7
"""How long a deleted run can be put back."""

_UNINDEX_DELETED = text(
    "DELETE FROM run_text WHERE rowid IN (SELECT seq FROM run WHERE state = 'deleted')"
)


class Deletions:
    """Deletes runs, and puts them back. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def delete(self, run_ids: Sequence[str]) -> datetime:
        """Take runs out of every list, all or none; return the moment, which puts them back.

        The secrets that they alone have go at once and for good. Ids and titles stay for
        comparisons that name them. Raises NotFound, and Conflict while one is not over or pinned.
        """
        now = datetime.now(UTC)
        with self._database.write() as session:
            rows = _terminal_rows(session, run_ids)
            refuse_pinned(session, rows)
            seqs = [row.seq for row in rows]
            session.exec(delete(DeletedRunRow).where(col(DeletedRunRow.id).in_(run_ids)))
            session.add_all(
                DeletedRunRow(id=row.id, title=row.title, deleted_at=now, state=row.state)
                for row in rows
            )
            record_each(session, "deleted", [(row.id, row.title) for row in rows])
            gone = update(RunRow).where(col(RunRow.seq).in_(seqs))
            session.exec(gone.values(state=DELETED, epoch=RunRow.epoch + 1))
            session.connection().execute(_UNINDEX_DELETED)
            session.exec(delete(RunTag).where(col(RunTag.run).in_(seqs)))
            session.exec(delete(RunSecret).where(col(RunSecret.run).in_(seqs)))
            unused = col(Secret.digest).not_in(select(RunSecret.digest))
            secrets = session.exec(delete(Secret).where(unused)).rowcount
            _purge(session, now)
        if secrets:
            self._database.empty_log()
        return now

    def deleted_at(self, moment: datetime) -> int:
        """Return how many runs were deleted at that moment, and can be put back."""
        with self._database.read() as session:
            return len(session.exec(_left(moment)).all())

    def tombstone(self, run_id: str) -> DeletedRun | None:
        """Return what is left of a run that was deleted; None of one that was not."""
        with self._database.read() as session:
            row = session.get(DeletedRunRow, run_id)
            return None if row is None else deleted_run_of(row)

    def put_back(self, moment: datetime) -> int:
        """Put back the runs that were deleted at that moment; return how many.

        Raises NotFound where none is left.
        """
        with self._database.write() as session:
            return put_back_rows(session, session.exec(_left(moment)).all())

    def put_back_run(self, run_id: str) -> None:
        """Put back a run that was deleted. Raises NotFound where that cannot be any more."""
        with self._database.write() as session:
            row = session.get(DeletedRunRow, run_id)
            put_back_rows(session, [row] if row is not None and row.state else [])

    def purge(self) -> None:
        """Remove for good what was deleted a week ago."""
        with self._database.write() as session:
            _purge(session, datetime.now(UTC))


def _terminal_rows(session: Session, run_ids: Sequence[str]) -> list[RunRow]:
    """Return the rows of runs. Raises NotFound, and Conflict for one that is not over."""
    rows = find_rows(session, run_ids)
    for row in rows:
        if not State(row.state).terminal:
            raise Conflict(f"Run {row.id} is {row.state}: cancel it before you delete it.")
    return rows


def put_back_rows(session: Session, gone: Sequence[DeletedRunRow]) -> int:
    """Put back the runs of which these are left; return how many. Raises NotFound for none."""
    if not gone:
        raise NotFound("Nothing of it can be put back any more.")
    states = {tombstone.id: tombstone.state or "" for tombstone in gone}
    rows = session.exec(select(RunRow).where(col(RunRow.id).in_(states))).all()
    session.exec(delete(DeletedRunRow).where(col(DeletedRunRow.id).in_(states)))
    for row in rows:
        row.state, row.epoch = states[row.id], row.epoch + 1
    index_runs(session, rows)
    record_each(session, "restored", [(row.id, row.title) for row in rows])
    return len(rows)


def _left(moment: datetime) -> SelectOfScalar[DeletedRunRow]:
    return select(DeletedRunRow).where(
        DeletedRunRow.deleted_at == moment, col(DeletedRunRow.state).is_not(None)
    )


def _purge(session: Session, now: datetime) -> None:
    old = col(DeletedRunRow.deleted_at) < now - timedelta(days=KEPT_DAYS)
    ids = select(DeletedRunRow.id).where(old, col(DeletedRunRow.state).is_not(None))
    session.exec(delete(RunRow).where(col(RunRow.state) == DELETED, col(RunRow.id).in_(ids)))
    session.exec(update(DeletedRunRow).where(old).values(state=None))
