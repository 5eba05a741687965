"""Everything that the pages draw of some runs, in four queries however many they are."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar

from sqlalchemy import select
from sqlmodel import Session, col

from control_plane.domain.identity import no_run
from control_plane.domain.result import Gauges, Timeline
from control_plane.domain.run import RunDetail, StreamResult
from control_plane.domain.slices import Slices
from control_plane.store.packing import unpack_slices
from control_plane.store.rows import gauges_of, run_of, stream_of, timeline_of
from control_plane.store.tables import RunFacts, RunRow, RunStream, TrialRow, TrialStream

Value = TypeVar("Value")
ByRun = dict[int, list[Value]]
Lines = dict[str, list[Timeline]]
Blobs = dict[str, list[Slices]]


def details_of(session: Session, ids: Sequence[str], *, slices: bool) -> list[RunDetail]:
    """In the order of `ids`. Raises NotFound for the first that does not exist."""
    known = {row.id: (row, facts) for row, facts in _rows(session, ids)}
    for run_id in ids:
        if run_id not in known:
            raise no_run(run_id)
    seqs = [row.seq for row, _ in known.values() if row.seq is not None]
    merged, trials = _streams(session, seqs), _trials(session, seqs)
    lines, blobs = _seconds(session, seqs, slices=slices)
    found = []
    for run_id in ids:
        row, facts = known[run_id]
        seq = row.seq or 0
        summaries = [summary for summary, _ in merged[seq]]
        documents = [document for document, _ in trials[seq]]
        found.append(
            RunDetail(
                run=run_of(row, facts, summaries, documents),
                streams={result.summary.name: result for _, result in merged[seq]},
                timelines={name: tuple(ones) for name, ones in lines[seq].items()},
                gauges=tuple(gauges for _, gauges in trials[seq]),
                slices={name: tuple(ones) for name, ones in blobs[seq].items()},
            )
        )
    return found


def _rows(session: Session, ids: Sequence[str]) -> list[tuple[RunRow, RunFacts]]:
    together = select(RunRow, RunFacts).join(RunFacts, col(RunFacts.run) == col(RunRow.seq))
    rows = session.execute(together.where(col(RunRow.id).in_(ids)))
    return [(row, facts) for row, facts in rows]


def _streams(session: Session, seqs: Sequence[int]) -> ByRun[tuple[str, StreamResult]]:
    """Summaries as they are stored, and what they are parts of, in the order of the spec."""
    chosen = select(RunStream).where(col(RunStream.run).in_(seqs))
    found: ByRun[tuple[str, StreamResult]] = defaultdict(list)
    for row in session.scalars(chosen.order_by(col(RunStream.run), col(RunStream.place))):
        found[row.run].append((row.summary, stream_of(row)))
    return found


def _trials(session: Session, seqs: Sequence[int]) -> ByRun[tuple[str, Gauges]]:
    columns: tuple[Any, ...] = (TrialRow.run, TrialRow.document, TrialRow.gauges)
    chosen = select(*columns).where(col(TrialRow.run).in_(seqs))
    found: ByRun[tuple[str, Gauges]] = defaultdict(list)
    for seq, document, gauges in session.connection().execute(
        chosen.order_by(*columns[:1], col(TrialRow.block))
    ):
        found[seq].append((document, gauges_of(gauges)))
    return found


def _seconds(
    session: Session, seqs: Sequence[int], *, slices: bool
) -> tuple[dict[int, Lines], dict[int, Blobs]]:
    """By run and stream, one for each trial whose timeline is kept."""
    blob = (TrialStream.seconds,) if slices else ()
    columns: tuple[Any, ...] = (TrialStream.run, TrialStream.name, TrialStream.timeline, *blob)
    kept = select(*columns).where(
        col(TrialStream.run).in_(seqs), col(TrialStream.timeline).is_not(None)
    )
    order = (col(TrialStream.run), col(TrialStream.block), col(TrialStream.place))
    lines: dict[int, Lines] = defaultdict(lambda: defaultdict(list))
    blobs: dict[int, Blobs] = defaultdict(lambda: defaultdict(list))
    for seq, name, document, *packed in session.connection().execute(kept.order_by(*order)):
        lines[seq][name].append(timeline_of(document))
        for one in packed:
            blobs[seq][name].append(Slices.of(()) if one is None else unpack_slices(one))
    return lines, blobs
