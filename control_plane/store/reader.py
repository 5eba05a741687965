"""Everything that is read from the database."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache
from itertools import starmap
from typing import Any, TypeVar, Unpack

import sqlalchemy
from sqlalchemy import Select, bindparam, func, tuple_
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from control_plane.domain.errors import Conflict, NotFound
from control_plane.domain.ids import no_run
from control_plane.domain.observations import Gauges
from control_plane.domain.result import Timeline
from control_plane.domain.run import Run, RunDetail, Standing, State, TrialResult, listed_deleted
from control_plane.domain.spec import Spec
from control_plane.domain.stream_record import Slices
from control_plane.store import run_search
from control_plane.store.database import Database, refuse_lost_trials
from control_plane.store.mapping import (
    deleted_run_of,
    gauges_of,
    readable,
    run_of,
    stream_of,
    timeline_of,
    trial_stream_of,
    unpack_slices,
)
from control_plane.store.run_query import (
    MOST_COUNTED,
    Filters,
    RunListPage,
    RunOrder,
    cursor_after,
    run_query,
    runs_in_order,
    runs_of_page,
    seqs_of_page,
)
from control_plane.store.tables import (
    DELETED,
    DeletedRunRow,
    RunFacts,
    RunRow,
    RunSecret,
    RunStream,
    Secret,
    TrialRow,
    TrialStream,
)

Stored = TypeVar("Stored")
ByRun = dict[int, list[Stored]]
Lines = dict[str, list[Timeline]]
Blobs = dict[str, list[Slices]]


def details_of(
    session: Session, ids: Sequence[str], *, slices: bool, first: bool = False
) -> list[RunDetail]:
    """Return the details of runs in the order of `ids`.

    Of the `first` trial alone where timelines, gauges and slices of the others are not needed; then
    other clocks than the response time's have empty histograms, and gauges but of processor time
    and lags are empty. Raises NotFound for the first that does not exist.
    """
    known = {row.id: (row, facts) for row, facts in _rows(session, ids)}
    for run_id in ids:
        if run_id not in known:
            raise no_run(run_id)
    seqs = [row.seq for row, _ in known.values() if row.seq is not None]
    refuse_lost_trials(session, seqs)
    merged, trials = _streams(session, seqs, clocks=not first), _trials(session, seqs)
    lines, blobs = _seconds(session, seqs, slices=slices, first=first)
    details = []
    for run_id in ids:
        row, facts = known[run_id]
        seq = row.seq or 0
        summaries = [summary for summary, *_ in merged[seq]]
        run = run_of(row, facts, summaries, [document for document, _ in trials[seq]])
        streams = zip(run.streams, merged[seq], strict=True)
        details.append(
            RunDetail(
                run=run,
                streams={told.name: stream_of(told, *packed) for told, (_, *packed) in streams},
                timelines={name: tuple(timelines) for name, timelines in lines[seq].items()},
                gauges=tuple(
                    gauges_of(text, use=first) for _, text in trials[seq][: 1 if first else None]
                ),
                slices={name: tuple(parts) for name, parts in blobs[seq].items()},
            )
        )
    return details


_SEQS: Any = bindparam("seqs", expanding=True)

_ROWS = (
    sqlalchemy.select(RunRow, RunFacts)
    .join(RunFacts, col(RunFacts.run) == col(RunRow.seq))
    .where(col(RunRow.id).in_(bindparam("ids", expanding=True)), col(RunRow.state) != DELETED)
)


def _rows(session: Session, ids: Sequence[str]) -> list[tuple[RunRow, RunFacts]]:
    return [(row, facts) for row, facts in session.execute(_ROWS, {"ids": ids})]


@cache
def _stored(order: tuple[Any, ...], *columns: Any) -> Select[Any]:
    """Return the query of some columns of one table, with the run first: the same each time.

    To build a query takes as long as to ask it.
    """
    chosen = sqlalchemy.select(order[0], *columns)
    return chosen.where(order[0].in_(_SEQS)).order_by(*order)


def _streams(session: Session, seqs: Sequence[int], *, clocks: bool) -> ByRun[Any]:
    """Return summary and histograms of each stream as they are stored, in the order of the spec."""
    columns: tuple[Any, ...] = (RunStream.summary, RunStream.response)
    columns += (RunStream.service, RunStream.first_byte) if clocks else ()
    chosen = _stored((RunStream.run, RunStream.place), *columns)
    found: ByRun[Any] = defaultdict(list)
    for seq, *stored in session.connection().execute(chosen, {"seqs": seqs}):
        found[seq].append(stored)
    return found


def _trials(session: Session, seqs: Sequence[int]) -> ByRun[tuple[str, str]]:
    """Return the documents of each trial and of its gauges."""
    chosen = _stored((TrialRow.run, TrialRow.block), TrialRow.document, TrialRow.gauges)
    found: ByRun[tuple[str, str]] = defaultdict(list)
    for seq, document, gauges in session.connection().execute(chosen, {"seqs": seqs}):
        found[seq].append((document, gauges))
    return found


def _seconds(
    session: Session, seqs: Sequence[int], *, slices: bool, first: bool
) -> tuple[dict[int, Lines], dict[int, Blobs]]:
    """Return timelines and slices by run and stream, of trials whose timelines are kept."""
    order = (TrialStream.run, TrialStream.block, TrialStream.place)
    columns = (TrialStream.name, TrialStream.timeline, *((TrialStream.seconds,) if slices else ()))
    lines: dict[int, Lines] = defaultdict(lambda: defaultdict(list))
    blobs: dict[int, Blobs] = defaultdict(lambda: defaultdict(list))
    chosen = _stored(order, *columns)
    for seq, name, document, *packed in session.connection().execute(chosen, {"seqs": seqs}):
        if document is None or (first and lines[seq][str(name)]):
            continue
        lines[seq][str(name)].append(timeline_of(document))
        for blob in packed:
            blobs[seq][name].append(Slices.of(()) if blob is None else unpack_slices(blob))
    return lines, blobs


class Reader:
    """Reads runs. Each method sees one consistent state.

    Raises NotFound where a run does not exist, UnreadableRun where its rows cannot be read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def one_view(self) -> AbstractContextManager[None]:
        """Let all that is read inside see one consistent state."""
        return self._database.one_view()

    def is_over(self, run_id: str) -> bool:
        """Return whether a run is over."""
        with self._database.read() as session, readable(run_id):
            return State(find_row(session, run_id).state).terminal

    def run(self, run_id: str) -> Run:
        """Return the run with its trials and streams."""
        with self._database.read() as session, readable(run_id):
            return whole_run(session, find_row(session, run_id))

    def runs(
        self,
        *,
        limit: int,
        cursor: str | None = None,
        order: RunOrder | None = None,
        **filters: Unpack[Filters],
    ) -> RunListPage:
        """Return one page of the history, newest first unless another order is asked for.

        Raises InvalidInput for a limit outside of 1 to 200, a cursor that no page gave, or text
        that cannot be stored.
        """
        query = run_query(filters)
        with self._database.read() as session:
            connection = session.connection()
            seqs, total = seqs_of_page(connection, query, order or RunOrder(), limit, cursor)
            page, unreadable = runs_of_page(session, seqs[:limit])
        older = cursor_after(seqs[limit - 1]) if len(seqs) > limit else None
        more = total > MOST_COUNTED
        return RunListPage(tuple(page), older, total - more, tuple(unreadable), more)

    def chosen(self, ids: Sequence[str]) -> tuple[Run, ...]:
        """Return runs, and those of the arms of experiments, oldest first and without trials.

        Raises NotFound for an id of neither. Arms that were deleted are left out.
        """
        with self._database.read() as session, readable(*ids):
            seqs, missing = run_search.chosen_seqs(session, ids)
            if missing:
                find_row(session, missing[0])
            return runs_in_order(session, seqs)

    def newest_alike(
        self, spec: Spec, without: Collection[str], limit: int
    ) -> list[tuple[Run, bool]]:
        """Return some of the newest finished runs, those with the requests of a spec first.

        Each without trials, and with whether its requests are those; none of the ids `without`,
        and none that cannot be read.
        """
        wanted = run_search.requests_of(spec)
        with self._database.read() as session:
            but = {"ids": list(without)}
            rows = session.connection().execute(run_search.newest_query(), but).all()
            alike = {row.id: run_search.requests_in(row.spec) == wanted for row in rows}
            ordered = sorted(rows, key=lambda row: not alike[row.id])
            runs, _ = runs_of_page(session, [row.seq for row in ordered[:limit]])
        return [(run, alike[run.id]) for run in runs]

    def next_queued(self) -> str | None:
        """Return the id of the run that has waited longest; None when none waits."""
        waiting = select(RunRow.id).where(RunRow.state == State.QUEUED.value)
        with self._database.read() as session:
            return session.exec(waiting.order_by(_TURN, col(RunRow.seq)).limit(1)).first()

    def count_queued(self) -> int:
        """Return how many runs wait in the queue."""
        with self._database.read() as session:
            return count_queued(session)

    def count_by_state(self) -> dict[State, int]:
        """Return how many runs are in each state that any run is in."""
        counted = (
            sqlalchemy.select(col(RunRow.state), func.count())
            .where(col(RunRow.state) != DELETED)
            .group_by(col(RunRow.state))
        )
        with self._database.read() as session:
            counts = dict(iter(session.connection().execute(counted)))
            return {state: counts[state.value] for state in State if state.value in counts}

    def position(self, run_id: str) -> int | None:
        """Return the place in the queue, from 1; None for a run that does not wait."""
        with self._database.read() as session:
            row = session.exec(_queued().where(RunRow.id == run_id)).first()
            if row is None:
                return None
            first = tuple_(_TURN, col(RunRow.seq)) <= tuple_(row.turn or row.seq, row.seq)
            ahead = _queued().where(first).subquery()
            return session.exec(select(func.count()).select_from(ahead)).one()

    def trial_results(self, run_id: str) -> list[TrialResult]:
        """Return what the trials of a run left, as far as its merged result needs it."""
        with self._database.read() as session, readable(run_id):
            row = find_row(session, run_id)
            run, gauges = whole_run(session, row), _gauges(session, row)
            streams: dict[int, list[TrialStream]] = defaultdict(list)
            of_run = select(TrialStream).where(TrialStream.run == row.seq)
            for stream in session.exec(of_run.order_by(col(TrialStream.place))):
                streams[stream.block].append(stream)
            results = []
            for trial, seen in zip(run.trials, gauges, strict=True):
                pairs = zip(streams[trial.block], trial.streams, strict=True)
                results.append(TrialResult(trial, tuple(starmap(trial_stream_of, pairs)), seen))
            return results

    def detail(self, run_id: str, *, slices: bool = False) -> RunDetail:
        """Return the run with its histograms, timelines and gauges; its `slices` when asked for."""
        return self.details([run_id], slices=slices)[0]

    def details(
        self, run_ids: Sequence[str], *, slices: bool = False, first: bool = False
    ) -> list[RunDetail]:
        """Return what `detail` returns for each run, in their order; of `first` as `details_of`."""
        with self._database.read() as session, readable(*run_ids):
            return details_of(session, run_ids, slices=slices, first=first)

    def standing(self, ids: Sequence[str], baseline: str) -> Standing:
        """Return which runs of a comparison are there, and which were deleted.

        Raises NotFound for one that never was, and where none is left.
        """
        with self._database.read() as session:
            there = select(RunRow.id).where(col(RunRow.id).in_(ids), RunRow.state != DELETED)
            known = set(session.exec(there))
            rows = session.exec(select(DeletedRunRow).where(col(DeletedRunRow.id).in_(ids)))
            gone = {
                row.id: replace(deleted_run_of(row), was_baseline=row.id == baseline)
                for row in rows
            }
        for run_id in ids:
            if run_id not in known | gone.keys():
                raise no_run(run_id)
        left = tuple(run_id for run_id in ids if run_id in known)
        deleted = tuple(gone[run_id] for run_id in ids if run_id in gone)
        if not left:
            raise NotFound(f"Deleted, so nothing is left: {listed_deleted(deleted)}.")
        return Standing(left, baseline if baseline in left else left[0], deleted)

    def gauges(self, run_id: str) -> tuple[Gauges, ...]:
        """Return the gauges of a run, one for each trial."""
        with self._database.read() as session, readable(run_id):
            return _gauges(session, find_row(session, run_id))

    def secrets_of(self, run_id: str) -> dict[str, str]:
        """Return what placeholders in the spec of a run stand for: JSON by digest."""
        ours = select(Secret.digest, Secret.value).join(
            RunSecret, col(RunSecret.digest) == col(Secret.digest)
        )
        with self._database.read() as session:
            row = find_row(session, run_id)
            return dict(session.exec(ours.where(RunSecret.run == row.seq)).all())

    def revealed_secrets(self, secrets: Mapping[str, str | None]) -> dict[str, str]:
        """Return secrets by digest, those that are None as the database has them.

        Raises Conflict where it does not.
        """
        kept = [digest for digest, value in secrets.items() if value is None]
        with self._database.read() as session:
            known = {digest: row.value for digest in kept if (row := session.get(Secret, digest))}
        if len(known) < len(kept):
            raise Conflict("A secret of this spec was deleted with its run: type its value.")
        return {digest: value or known[digest] for digest, value in secrets.items()}

    def secret_holders(self, digests: Collection[str]) -> dict[str, str]:
        """Return the id of the newest run that has each secret; none for a digest without one."""
        asked_for = func.json_each(json.dumps(list(digests))).table_valued("value")
        columns: tuple[Any, ...] = (RunSecret.digest, RunRow.id)
        held = (
            sqlalchemy.select(*columns)
            .join(RunRow, col(RunRow.seq) == col(RunSecret.run))
            .where(col(RunSecret.digest).in_(sqlalchemy.select(asked_for.c.value)))
            .order_by(col(RunRow.seq))
        )
        with self._database.read() as session:
            return {row.digest: row.id for row in session.connection().execute(held)}


def find_row(session: Session, run_id: str) -> RunRow:
    """Return the row of a run. Raises NotFound."""
    there = select(RunRow).where(RunRow.id == run_id, RunRow.state != DELETED)
    row = session.exec(there).first()
    if row is None:
        if gone := session.get(DeletedRunRow, run_id):
            raise NotFound(f"Run {run_id} was deleted: {deleted_run_of(gone).label}.")
        raise no_run(run_id)
    return row


def count_queued(session: Session) -> int:
    """Return how many runs wait in the queue."""
    waiting = select(func.count()).select_from(RunRow)
    return session.exec(waiting.where(RunRow.state == State.QUEUED.value)).one()


def whole_run(session: Session, row: RunRow) -> Run:
    """Return the run of a row, with its trials and streams."""
    refuse_lost_trials(session, [row.seq or 0])
    trials = select(TrialRow.document).where(TrialRow.run == row.seq)
    streams = select(RunStream.summary).where(RunStream.run == row.seq)
    return run_of(
        row,
        session.get_one(RunFacts, row.seq),
        session.exec(streams.order_by(col(RunStream.place))).all(),
        session.exec(trials.order_by(col(TrialRow.block))).all(),
    )


_TURN = func.coalesce(RunRow.turn, RunRow.seq)


def _queued() -> SelectOfScalar[RunRow]:
    return select(RunRow).where(RunRow.state == State.QUEUED.value)


def _gauges(session: Session, row: RunRow) -> tuple[Gauges, ...]:
    refuse_lost_trials(session, [row.seq or 0])
    documents = select(TrialRow.gauges).where(TrialRow.run == row.seq)
    in_order = documents.order_by(col(TrialRow.block))
    return tuple(gauges_of(document) for document in session.exec(in_order))
