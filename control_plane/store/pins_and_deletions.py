"""Pinned baselines, which are kept from deletion, and deletion: for good after a week."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import sqlalchemy
from sqlalchemy import delete, or_, text, update
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from control_plane.domain.errors import Conflict, FieldError, NotFound, refuse
from control_plane.domain.limits import TEXT_LENGTHS, bounded_text
from control_plane.domain.run import DeletedRun, Pin, State, pinned_for
from control_plane.domain.spec import Spec
from control_plane.store.audit_log import record, record_each
from control_plane.store.database import Database, json_values, read_each, rows_among
from control_plane.store.mapping import deleted_run_of, readable, refuse_blobs
from control_plane.store.reader import find_row, whole_run
from control_plane.store.run_search import index_runs
from control_plane.store.tables import (
    DELETED,
    DeletedRunRow,
    ExperimentArmRow,
    ExperimentRow,
    PinRow,
    RunRow,
    RunSecret,
    RunTag,
    Secret,
    StepMarkRow,
)
from control_plane.store.writer import find_rows


class Pins:
    """Pins runs and experiments, and lists what is pinned. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pin(self, subject_id: str, name: str) -> Pin:
        """Keep a run, or an experiment with its arms, as a baseline for what is like it.

        Pinned before, it gets the new name. Raises NotFound, InvalidInput for a name that another
        has for the same application and workload, and Conflict for what has no valid result.
        """
        name = name.strip()
        refuse(bounded_text("name", name, TEXT_LENGTHS.pin_name, empty=False))
        with self._database.write() as session, readable(subject_id):
            experiment = _experiment_row(session, subject_id)
            run = _baseline(session, experiment) if experiment else find_row(session, subject_id)
            _refuse_resultless(run)
            application, workload = pinned_for(whole_run(session, run).spec)
            session.exec(delete(PinRow).where(_is_of(run, experiment)))
            refuse(_taken(session, name, application, workload))
            row = PinRow(
                name=name,
                application=application,
                workload=workload,
                run=None if experiment else run.seq,
                experiment=experiment.seq if experiment else None,
                pinned_at=datetime.now(UTC),
            )
            session.add(row)
            record(session, "pinned", subject_id, name, experiment=experiment is not None)
            return _pin(row, run, experiment.id if experiment else None)

    def unpin(self, subject_id: str) -> Pin:
        """Let a run or an experiment be like any other; return its pin. Raises NotFound."""
        with self._database.write() as session:
            rows = session.exec(select(PinRow)).all()
            pins = [(row, pin) for row in rows for pin in _read(session, row)]
            found = [(row, pin) for row, pin in pins if pin.subject_id == subject_id]
            if not found:
                raise NotFound(f"Nothing with the id {subject_id[:20]!r} is pinned.")
            ((row, pin),) = found
            session.delete(row)
            of_experiment = pin.experiment_id is not None
            record(session, "unpinned", subject_id, pin.name, experiment=of_experiment)
            return pin

    def pins(self, spec: Spec | None = None) -> list[Pin]:
        """Return what is pinned, the last first; with a spec, what is a baseline for its runs."""
        with self._database.read() as session:
            return read_pins(session, spec)

    def pin_of(self, subject_id: str) -> Pin | None:
        """Return the pin of a run or an experiment; None where it has none of its own."""
        return next((pin for pin in self.pins() if pin.subject_id == subject_id), None)

    def pinned(self, run_ids: Sequence[str]) -> dict[str, str]:
        """Return the names under which these runs, or their experiments, are pinned, by id."""
        with self._database.read() as session:
            names = pin_names(session)
            pinned = rows_among(RunRow.seq, RunRow.id, RunRow.seq)
            rows = session.connection().execute(pinned, {"values": json_values(names)})
            seqs: dict[str, int] = dict(iter(rows))
        return {run_id: names[seqs[run_id]] for run_id in run_ids if run_id in seqs}


def read_pins(session: Session, spec: Spec | None = None) -> list[Pin]:
    """Return what is pinned, the last first; with a spec, what is a baseline for its runs."""
    chosen = select(PinRow).order_by(col(PinRow.seq).desc())
    if spec is not None:
        application, workload = pinned_for(spec)
        chosen = chosen.where(PinRow.application == application, PinRow.workload == workload)
    found = read_each(session, chosen, "pin", lambda row: [*_read(session, row)])
    return [pin for pins in found for pin in pins]


def pin_names(session: Session) -> dict[int, str]:
    """Return the names under which runs, or experiments that they are arms of, are pinned."""
    return dict(iter(session.connection().execute(_pin_names_query())))


@cache
def _pin_names_query() -> sqlalchemy.Select[Any]:
    run: Any = sqlalchemy.func.coalesce(col(PinRow.run), col(ExperimentArmRow.run))
    arm = col(ExperimentArmRow.experiment) == col(PinRow.experiment)
    columns: tuple[Any, ...] = (run, PinRow.name)
    return sqlalchemy.select(*columns).outerjoin(ExperimentArmRow, arm)


def refuse_pinned(session: Session, rows: Sequence[RunRow]) -> None:
    """Raise Conflict where one of these runs is pinned."""
    names = pin_names(session)
    for row in rows:
        if name := names.get(row.seq or 0):
            raise Conflict(f"Run {row.id} is pinned as {name!r}: unpin it before you delete it.")


def _experiment_row(session: Session, subject_id: str) -> ExperimentRow | None:
    return session.exec(select(ExperimentRow).where(ExperimentRow.id == subject_id)).first()


def _baseline(session: Session, experiment: ExperimentRow) -> RunRow:
    """Return the run of the first arm. Raises Conflict where it was deleted."""
    first = (
        select(RunRow)
        .join(ExperimentArmRow, col(ExperimentArmRow.run) == col(RunRow.seq))
        .where(col(ExperimentArmRow.experiment) == experiment.seq)
        .where(col(ExperimentArmRow.place) == 0, RunRow.state != DELETED)
    )
    if (row := session.exec(first).first()) is None:
        raise Conflict(f"The baseline of experiment {experiment.id} was deleted.")
    return row


def _refuse_resultless(run: RunRow) -> None:
    if run.state != State.FINISHED.value:
        raise Conflict(f"Run {run.id} is {run.state}: only one that finished can be a baseline.")
    if run.outcome == "invalid":
        raise Conflict(f"Run {run.id} is invalid: its numbers can be no baseline.")


def _is_of(run: RunRow, experiment: ExperimentRow | None) -> sqlalchemy.ColumnElement[bool]:
    if experiment:
        return col(PinRow.experiment) == experiment.seq
    return col(PinRow.run) == run.seq


def _named(name: str, application: str, workload: str) -> list[sqlalchemy.ColumnElement[bool]]:
    """Return the conditions of the pin that has this name for an application and workload."""
    columns = {PinRow.name: name, PinRow.application: application, PinRow.workload: workload}
    return [col(column) == value for column, value in columns.items()]


def _taken(session: Session, name: str, application: str, workload: str) -> Iterator[FieldError]:
    same = select(PinRow).where(*_named(name, application, workload))
    if row := session.exec(same).first():
        what = next((pin.title for pin in _read(session, row)), "another")
        yield FieldError(
            "name",
            f"{name!r} is pinned already for this application and workload ({what}): "
            "choose another name, or unpin it.",
        )


def _read(session: Session, row: PinRow) -> Iterator[Pin]:
    """Yield the pin of a row, unless the database lost what was pinned."""
    place = (col(ExperimentArmRow.experiment) == row.experiment) & (ExperimentArmRow.place == 0)
    of_experiment = select(ExperimentArmRow.run).where(place)
    chosen = or_(col(RunRow.seq) == row.run, col(RunRow.seq).in_(of_experiment))
    run = session.exec(select(RunRow).where(chosen, RunRow.state != DELETED)).first()
    if run is not None:
        refuse_blobs(run.id, run.title)
        experiment = session.get(ExperimentRow, row.experiment) if row.experiment else None
        yield _pin(row, run, experiment.id if experiment else None)


def _pin(row: PinRow, run: RunRow, experiment_id: str | None) -> Pin:
    return Pin(
        name=row.name,
        application=row.application,
        workload=row.workload,
        run_id=run.id,
        experiment_id=experiment_id,
        title=run.title,
        measured_at=run.finished_at or run.created_at,
        pinned_at=row.pinned_at,
    )


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

    def marked_steps_before(self, run_ids: Sequence[str]) -> list[str]:
        """Return those of these runs that a step of a trend stands before, marked by somebody."""
        placed = rows_among(RunRow.id, RunRow.id).join(
            StepMarkRow, (col(StepMarkRow.place) == col(RunRow.seq)) & (StepMarkRow.made_by != "")
        )
        with self._database.read() as session:
            found = session.connection().execute(placed, {"values": json_values(run_ids)})
            return sorted({row.id for row in found})

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
