"""Import of bundles: files that anybody may have written, so nothing in them is believed.

The rows of a bundle are copied into an empty database of the bundle's schema, which is then brought
up to date and read as our own are. Only what can be read there, and shown, is taken over.
"""

import json
import math
import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import NoReturn

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.errors import Conflict, InvalidInput, LooplabError
from control_plane.domain.experiment import refuse_odd, spare_blocks
from control_plane.domain.ids import is_id
from control_plane.domain.result import OUTCOMES, SecondColumns, Summary
from control_plane.domain.run import Origin, RunDetail, State
from control_plane.domain.units import number_of
from control_plane.store.audit_log import record
from control_plane.store.bundles import (
    MAX_BUNDLE_RUNS,
    OF_EXPERIMENTS,
    OF_RUNS,
    Bundle,
    StoredRow,
    bundle_of,
    came_by_link,
    digest_of,
    is_same_run,
    refuse_other_files,
    rows_of,
    unpack_bundle,
)
from control_plane.store.database import Database, engine
from control_plane.store.mapping import origin_text
from control_plane.store.pins_and_deletions import put_back_rows
from control_plane.store.reader import details_of
from control_plane.store.run_search import INDEX_TEXTS, refuse_unstorable
from control_plane.store.stored_experiments import whole_experiment
from control_plane.store.stored_tool_results import checked_tool_results, take_over_tool_results
from control_plane.store.tables import DeletedRunRow, ExperimentRow, RunRow
from control_plane.store.writer import checked_note, checked_tags, checked_title, keep_listed

_LONGEST = 4_000
_HELD = """
SELECT id FROM experiment UNION ALL
SELECT id FROM run WHERE seq NOT IN (SELECT run FROM experiment_arm WHERE run IS NOT NULL)
"""
_DOCUMENTS = (
    "SELECT spec, environment, validity, causes, objectives FROM run_facts WHERE run = ?",
    "SELECT summary FROM run_stream WHERE run = ?",
    "SELECT document, gauges FROM trial WHERE run = ?",
    "SELECT timeline FROM trial_stream WHERE run = ?",
)
_DAMAGED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
    sqlite3.Error,
    DBAPIError,
    LooplabError,
)
"""What reading rows may raise that are not as we write them."""


@dataclass(frozen=True)
class ImportedBundle:
    """What became of a file: ids that are new here, and how many of its results were here already.

    `peers` are results of other tools, of a file that is none of ours new or not. `holds`: all
    experiments of a bundle, and all runs that are no arm of them.
    """

    runs: tuple[str, ...]
    experiments: tuple[str, ...]
    known: int
    sha256: str
    peers: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()


Readable = Callable[[RunDetail], object]
"""Fails on a run that cannot be shown."""


class Bundles:
    """Writes runs and experiments to bundles, and takes them over from others'."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def export_bundle(self, file: Path, ids: Sequence[str]) -> Bundle:
        """Write runs and experiments to a new file, as `write_bundle` does of a database."""
        with self._database.read():
            return bundle_of(self._database.held_uri(), file, ids)

    def import_bundle(self, file: Path, readable: Readable) -> ImportedBundle:
        """Take over what a bundle holds, all or nothing; ids stay, and each run is marked.

        What is here already with the same content stays as it is. Raises Conflict where it has
        another content here, and InvalidInput for what is no bundle, is damaged or is newer.
        """
        if self._database.lies_at(file):
            raise InvalidInput("This is the database itself, and no bundle.")
        refuse_other_files(file)
        sha256, like = digest_of(file), self._database.held_uri()
        with tempfile.TemporaryDirectory(prefix="looplab-import-") as folder:
            staged = Path(folder) / "bundle.db"
            with _as_damaged():
                unpack_bundle(file, staged, like)
            with _session(staged) as bundle:
                _check(bundle, readable)
                with self._database.write() as ours:
                    taken = _take_over(bundle.connection(), ours, sha256)
                    peers, known = take_over_tool_results(bundle, ours)
                    return replace(taken, peers=peers, known=taken.known + known)


@contextmanager
def _session(staged: Path) -> Iterator[Session]:
    made = engine(staged, begin="BEGIN", connections=1)
    try:
        with Session(made) as session:
            yield session
    finally:
        made.dispose()


@contextmanager
def _as_damaged(what: str = "The bundle") -> Iterator[None]:
    """Turn whatever reading rows raises into one readable line."""
    try:
        yield
    except InvalidInput:
        raise
    except _DAMAGED as error:
        raise InvalidInput(f"{what} is damaged, so nothing was imported.") from error


def _check(session: Session, readable: Readable) -> None:
    """Raise InvalidInput for the first run that is not as we write them."""
    with _as_damaged():
        broken = session.connection().exec_driver_sql("PRAGMA foreign_key_check").first()
        rows = session.exec(select(RunRow).order_by(col(RunRow.seq))).all()
    with _as_damaged("A result of another tool in the bundle"):
        results = len(rows) + checked_tool_results(session)
    if broken or not 0 < results <= MAX_BUNDLE_RUNS:
        raise InvalidInput("The bundle is damaged, or holds no result: nothing was imported.")
    for row in rows:
        with _as_damaged(f"Run {row.id[:20]} of the bundle"):
            _check_row(row)
            _refuse_no_numbers(session, row)
            (detail,) = details_of(session, [row.id], slices=True)
            _check_detail(detail)
            readable(detail)
            is_listed, row.spec_digest = detail.run.state is State.FINISHED, None
            keep_listed(session, row, detail.run.streams if is_listed else ())
            session.flush()
        session.expunge_all()
    with _as_damaged("An experiment of the bundle"):
        experiments = session.exec(select(ExperimentRow)).all()
        _refuse_unless(len(experiments) <= MAX_BUNDLE_RUNS)
        for experiment in experiments:
            _check_experiment(session, experiment)


def _check_experiment(session: Session, row: ExperimentRow) -> None:
    """Raise for what could not have been handed in, or has more trials than its blocks."""
    _refuse_unless(is_id(row.id) and isinstance(row.document, str) and row.sessions >= 0)
    for document in (row.document, row.noise or "{}"):
        json.loads(document, parse_constant=_no_number, parse_float=_finite)
    for text in (row.question, row.sentence or ""):
        refuse_unstorable("text", text)
        _refuse_unless(len(text) <= _LONGEST)
    experiment = whole_experiment(session, row)
    row.headline, design = None, experiment.design
    row.slug, row.confirms = design.slug, design.confirms
    session.flush()
    try:
        refuse_odd(experiment)
    except InvalidInput as error:
        raise InvalidInput(f"Experiment {row.id} of the bundle: {error}") from None
    chosen = "SELECT count(*) FROM trial JOIN experiment_arm USING (run) WHERE experiment = ?"
    trials = session.connection().exec_driver_sql(f"{chosen} GROUP BY place", (row.seq,)).scalars()
    aside, blocks = len(experiment.spoiled), experiment.design.blocks
    _refuse_unless(aside <= spare_blocks(blocks))
    _refuse_unless(max(trials, default=0) <= blocks + aside)
    arms = [arm.run_id for arm in experiment.arms if arm.run_id]
    _refuse_unless(len(set(arms)) == len(arms))


def _check_row(row: RunRow) -> None:
    _refuse_unless(is_id(row.id) and State(row.state).terminal)
    _refuse_unless(row.outcome is None or row.outcome in OUTCOMES)
    _refuse_unless(row.strategy in STRATEGIES)
    checked_title(row.title)
    checked_note(row.note)
    tags = json.loads(row.tags)
    _refuse_unless(isinstance(tags, list) and all(isinstance(tag, str) for tag in tags))
    checked_tags(tags)
    for text in (row.configuration, row.given_name or "", row.reason or ""):
        refuse_unstorable("text", text)
        _refuse_unless(len(text) <= _LONGEST)
    _refuse_unless(row.rate_per_s is None or 0 <= row.rate_per_s < math.inf)


def _refuse_no_numbers(session: Session, row: RunRow) -> None:
    """Raise ValueError for NaN and infinities in any JSON of a run: readers take them."""
    for query in _DOCUMENTS:
        found = session.connection().exec_driver_sql(query, (row.seq,))
        for document in chain.from_iterable(found):
            if document is not None:
                json.loads(document, parse_constant=_no_number, parse_float=_finite)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number.")


def _finite(written: str) -> float:
    value = float(written)
    _refuse_unless(math.isfinite(value))
    return value


def _check_detail(detail: RunDetail) -> None:
    run = detail.run
    _refuse_unless((run.state is State.FINISHED) == (run.validity is not None))
    for summary in (*run.streams, *(part for trial in run.trials for part in trial.streams)):
        _check_summary(summary)
    for stream in detail.streams.values():
        for histogram in (stream.service, stream.response, stream.first_byte):
            _refuse_unless(histogram is None or histogram.is_sound)
    for timeline in (part for parts in detail.timelines.values() for part in parts):
        _check_columns(timeline)
        if timeline.warmup is not None:
            _check_columns(timeline.warmup)
    for gauges in detail.gauges:
        for series in (*gauges.processes, *gauges.workers):
            _refuse_unless(len(set(map(len, _columns(series)))) <= 1)


def _check_summary(summary: Summary) -> None:
    numbers = [
        *(summary.requests, summary.completed, summary.intended, summary.sent, summary.not_sent),
        *(summary.duration_s, summary.throughput_per_s, summary.bytes_sent, summary.bytes_received),
        *(summary.error_share or 0, summary.peak_memory_bytes or 0, *summary.errors.values()),
    ]
    for times in (summary.service_time_s, summary.response_time_s, summary.first_byte_time_s):
        if times is not None:
            known = (times.min, times.mean, times.max, times.p50, times.p99, times.p999)
            numbers += [value for value in known if value is not None]
    _refuse_unless(all(value >= 0 for value in numbers))


def _check_columns(columns: SecondColumns) -> None:
    lengths = {len(column) for column in _columns(columns) if column}
    _refuse_unless(len(lengths) <= 1)


def _columns(value: object) -> list[tuple[object, ...]]:
    return [column for column in vars(value).values() if isinstance(column, tuple)]


def _refuse_unless(sound: bool) -> None:  # noqa: FBT001 # reads as what is asked
    if not sound:
        raise ValueError("A value is not as Looplab writes it.")


def _take_over(bundle: Connection, session: Session, sha256: str) -> ImportedBundle:
    ours = session.connection()
    seqs: dict[int, int] = {}
    new: list[str] = []
    now = datetime.now(UTC)
    for row in rows_of(bundle, "SELECT * FROM run ORDER BY seq"):
        is_back = _put_back_if_deleted(session, row["id"])
        known = ours.exec_driver_sql("SELECT seq FROM run WHERE id = ?", (row["id"],)).scalar()
        if known is not None:
            if not is_same_run(bundle, row["seq"], ours, known):
                raise _here_already(f"Run {row['id']}")
            seqs[row["seq"]] = known
            new += [row["id"]] if is_back else []
        else:
            seqs[row["seq"]] = _add_run(bundle, ours, row, sha256, now)
            new.append(row["id"])
    experiments = [
        row["id"]
        for row in rows_of(bundle, "SELECT * FROM experiment ORDER BY seq")
        if _add_experiment(bundle, ours, row, seqs)
    ]
    if new:
        said = f"{number_of(len(new), 'run')} of a bundle, sha256 {sha256[:12]}"
        record(session, "imported", new[0], said)
    holds = tuple(row["id"] for row in rows_of(bundle, _HELD))
    return ImportedBundle(tuple(new), tuple(experiments), len(seqs) - len(new), sha256, (), holds)


def _put_back_if_deleted(session: Session, run_id: str) -> bool:
    """Put back a run that was deleted here, with the experiments that it is an arm of."""
    left = session.get(DeletedRunRow, run_id)
    if left is None or left.state is None:
        return False
    put_back_rows(session, [left])
    session.flush()
    return True


def _here_already(what: str) -> Conflict:
    return Conflict(
        f"{what} is here already with another content, so nothing was imported: "
        "looplab import FILE --db OTHER.db takes it into a database of its own."
    )


def _add_run(
    bundle: Connection, ours: Connection, row: StoredRow, sha256: str, now: datetime
) -> int:
    environment = bundle.exec_driver_sql(
        "SELECT json_extract(environment, '$.hostname') FROM run_facts WHERE run = ?", (row["seq"],)
    ).scalar()
    earlier = json.loads(row["origin"]) if row["origin"] else {}
    machine = str(earlier.get("machine") or environment or "another machine")[:_LONGEST]
    changed = {
        "seq": None,
        "epoch": 0,
        "submission": None,
        "turn": None,
        "machine": machine,
        "origin": origin_text(Origin(machine, now, sha256)),
    }
    seq = _insert(ours, "run", {**row, **changed})
    for table in OF_RUNS:
        for part in rows_of(bundle, f"SELECT * FROM {table} WHERE run = ?", row["seq"]):
            _insert(ours, table, {**part, "run": seq})
    ours.exec_driver_sql("DELETE FROM deleted_run WHERE id = ?", (row["id"],))
    ours.exec_driver_sql(f"{INDEX_TEXTS} AND seq = ?", (seq,))
    return seq


def _add_experiment(
    bundle: Connection, ours: Connection, row: StoredRow, seqs: Mapping[int, int]
) -> bool:
    """Take over an experiment; False where it is here already. Raises Conflict."""
    known = ours.exec_driver_sql(
        "SELECT seq, question, document FROM experiment WHERE id = ?", (row["id"],)
    ).first()
    if known is not None:
        same = (known.question, known.document) == (row["question"], row["document"])
        if not same and not _has_same_arms(bundle, ours, row["seq"], known.seq, seqs):
            raise _here_already(f"Experiment {row['id']}")
        return False
    seq = _insert(ours, "experiment", {**row, "seq": None, "submission": None})
    for table in OF_EXPERIMENTS:
        for part in rows_of(bundle, f"SELECT * FROM {table} WHERE experiment = ?", row["seq"]):
            whose = {"run": seqs.get(part["run"])} if "run" in part else {}
            # A verdict is what we find ourselves.
            unjudged = {"verdict": None} if "verdict" in part else {}
            _insert(ours, table, {**part, **whose, **unjudged, "experiment": seq})
    return True


def _has_same_arms(
    bundle: Connection, ours: Connection, theirs: int, known: int, seqs: Mapping[int, int]
) -> bool:
    """Whether two experiments measured the same runs, and a share link hid the texts of one."""
    query = "SELECT place, run FROM experiment_arm WHERE experiment = ? ORDER BY place"
    arms = bundle.exec_driver_sql(query, (theirs,)).all()
    own = ours.exec_driver_sql(query, (known,)).all()
    same = [(place, seqs.get(run)) for place, run in arms] == [tuple(arm) for arm in own]
    by_link = [came_by_link(bundle, run) for _, run in arms if run]
    return same and any([*by_link, *(came_by_link(ours, run) for _, run in own if run)])


def _insert(ours: Connection, table: str, row: StoredRow) -> int:
    named = ", ".join(f'"{column}"' for column in row)
    marks = ", ".join("?" * len(row))
    made = ours.exec_driver_sql(
        f"INSERT INTO {table} ({named}) VALUES ({marks})", tuple(row.values())
    )
    return made.lastrowid or 0
