"""Trends: the runs of one spec over time, of each what is read alone, and the steps among them."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cached_property
from statistics import median
from typing import Any

import orjson
import sqlalchemy
from sqlalchemy import delete, func, text
from sqlmodel import Session, col, select

from control_plane.domain.errors import Conflict, NotFound, UnreadableRun, refuse
from control_plane.domain.ids import is_id
from control_plane.domain.limits import TEXT_LENGTHS, bounded_text, known_name
from control_plane.domain.metrics_and_objectives import START_TIME, stored_number
from control_plane.domain.result import Environment
from control_plane.domain.run import State
from control_plane.domain.spec import Spec
from control_plane.domain.spec_json import spec_digest, stored_spec
from control_plane.domain.trend_runs import (
    AUTO_BASELINE,
    LEAST_TREND_POINTS,
    TREND_METRICS,
    Blocks,
    LeftOutOfTrends,
    ListedTrend,
    StepMark,
    TrendBaseline,
    TrendKey,
    TrendRun,
    TrendRuns,
)
from control_plane.store.audit_log import ACTOR, COMMAND_LINE, record_each
from control_plane.store.database import Database, checked_row, read_each
from control_plane.store.mapping import readable
from control_plane.store.pins_and_deletions import read_pins
from control_plane.store.reader import find_row
from control_plane.store.run_query import Condition
from control_plane.store.run_search import among, finished
from control_plane.store.tables import (
    ExperimentBlockRow,
    RunFacts,
    RunRow,
    RunStream,
    StepMarkRow,
    TrialRow,
)

MOST_LISTED_TRENDS, LISTED_NUMBERS = 100, 60
"""So many trends are listed, with so many of the newest numbers of each."""

MOST_STEP_MARKS = 500
_MOST_KEPT_NUMBERS = 200_000
_OF_THE_MOMENT = {"load_before", "load_average", "stopped_before", "boot_id"}

TrialNumbers = Mapping[int, float | None]
"""A metric of the trials of a run, by block."""
Arms = dict[int, Any]
"""By run the arm that it was measured in turns with."""


class Trends:
    """Reads trends, and keeps what is done to their steps. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @cached_property
    def _kept(self) -> "_Kept":
        return _Kept({}, {}, {})

    def trends(self, *, suspect: bool = False, machine: str = "") -> list[ListedTrend]:
        """Return the trends that have points enough, the last measured first; those of one machine.

        `suspect` runs count where asked for. Raises InvalidInput for a machine that there is not.
        """
        newest, many = func.max(col(RunRow.seq)), func.count()
        outcomes = ("valid", "suspect") if suspect else ("valid",)
        grouped = (
            _by_trend(many, newest)
            .where(*finished(*outcomes), RunRow.machine == (machine or RunRow.machine))
            .having(many >= LEAST_TREND_POINTS)
            .order_by(newest.desc())
            .limit(MOST_LISTED_TRENDS)
        )
        with self._database.read() as session:
            refuse(known_name("machine", machine, [*_machines(session), ""]))
            rows = session.connection().execute(grouped).all()
            return [each for row in rows for each in _listed(session, row, outcomes)]

    def left_out_of_trends(self, *, suspect: bool = False) -> LeftOutOfTrends:
        """Return how many runs make no trend; with `suspect` no such run is left out."""
        valid, measured = func.sum(col(RunRow.outcome) == "valid"), finished("valid", "suspect")
        able = _by_trend(func.count() - valid).where(*measured)
        able = able.having(valid < LEAST_TREND_POINTS, func.count() >= LEAST_TREND_POINTS)
        imported = select(func.count()).where(*measured, col(RunRow.spec_digest).is_(None))
        with self._database.read() as session:
            found = [] if suspect else [row[2] for row in session.connection().execute(able)]
            return LeftOutOfTrends(len(found), sum(found), session.exec(imported).one())

    def trend_spec(self, named: str) -> str:
        """Return a digest, or that of the spec of the run with this id. Raises NotFound."""
        if not is_id(named):
            return named
        with self._database.read() as session, readable(named):
            row = find_row(session, named)
            facts = session.get_one(RunFacts, row.seq)
            return row.spec_digest or spec_digest(stored_spec(facts.spec))

    def trend_runs(self, key: TrendKey, *, suspect: bool = False) -> TrendRuns:
        """Return the runs of a trend on one machine, the last that measured it unless named.

        `suspect` ones are left out unless asked for. Raises NotFound for a spec of which no run
        finished here, InvalidInput for a metric, stream, machine or baseline that there is not.
        """
        refuse(known_name("metric", key.metric, TREND_METRICS))
        with self._database.read() as session, readable("of the trend"):
            newest, spec = _newest(session, key.spec)
            machines = _machines(session, key.spec)
            where = key.machine or next(iter(machines), "")
            refuse(known_name("machine", where, [*machines, ""]))
            here = (col(RunRow.spec_digest) == key.spec, col(RunRow.machine) == where)
            measured = (*here, *finished("valid", *(["suspect"] if suspect else [])))
            turns, twice = _interleaved(session, key.spec)
            baselines = _baselines(session, turns, suspect=suspect)
            key = _resolved(replace(key, machine=where), spec, baselines)
            columns: tuple[Any, ...] = (RunRow.seq, RunRow.outcome)
            chosen = sqlalchemy.select(*columns).where(*measured).order_by(col(RunRow.seq))
            rows = [row for row in session.connection().execute(chosen) if row.seq not in twice]
            found = [*self._runs(session, key, rows, turns.get(key.baseline, {}))]
            shown = [run for run in found if suspect or run.outcome != "suspect"]
            doubted = select(func.count()).select_from(RunRow).where(*here, *finished("suspect"))
            return TrendRuns(
                key=key,
                spec=spec,
                title=newest.title,
                runs=tuple(shown),
                marks=tuple(_marks(session, key)),
                baselines=baselines,
                machines=tuple(machines),
                doubted=0 if suspect else session.exec(doubted).one() + len(found) - len(shown),
            )

    def keep_mark(self, key: TrendKey, mark: StepMark, title: str) -> None:
        """Keep what the actor did to a step; `title` is that of the trend.

        Raises InvalidInput for a note that is too long, Conflict where too many are kept.
        """
        refuse(bounded_text("note", mark.note.replace("\n", " "), TEXT_LENGTHS.step_note))
        with self._database.write() as session:
            known = session.get(StepMarkRow, mark.id)
            if known is None and len(_marks(session, key)) >= MOST_STEP_MARKS:
                raise Conflict(f"{MOST_STEP_MARKS} steps of this trend are kept: remove some.")
            made = replace(mark, made_by=ACTOR.get(COMMAND_LINE).name)
            session.merge(StepMarkRow(**asdict(key), **asdict(made)))
            record_each(session, "marked", [(key.spec, title)], "trend")

    def tell_step(self, key: TrendKey, mark: StepMark) -> None:
        """Keep that a step was told."""
        with self._database.write() as session:
            session.merge(StepMarkRow(**asdict(key), **asdict(mark)))

    def drop_mark(self, key: TrendKey, mark: StepMark, title: str) -> None:
        """Forget what was done to a step, but not that it was told."""
        with self._database.write() as session:
            if mark.told_at:
                session.merge(StepMarkRow(**asdict(key), **asdict(replace(mark, made_by=""))))
            else:
                session.exec(delete(StepMarkRow).where(col(StepMarkRow.id) == mark.id))
            record_each(session, "marked", [(key.spec, title)], "trend")

    def _runs(
        self, session: Session, key: TrendKey, rows: Sequence[Any], arms: Arms
    ) -> Iterator[TrendRun]:
        """Yield the runs of rows, with what is needed of their trials and of those of baselines."""
        kept, which = self._kept, (key.stream, key.metric)
        kept.make_room()
        wanted = {seq for arm in arms.values() for seq in (arm.mine, arm.other)}
        if is_start_time := key.metric == START_TIME.name:
            wanted |= {row.seq for row in rows}
        numbers = {seq: kept.trials[seq, *which] for seq in wanted if (seq, *which) in kept.trials}
        read = _read_trials(session, list(wanted - numbers.keys()), key)
        kept.trials.update({(seq, *which): of_run for seq, of_run in read.items()})
        blocks = _blocks(session, arms, numbers | read)
        found = {row.seq: kept.runs.get((row.seq, *which)) for row in rows}
        missing = [seq for seq, known in found.items() if known is None]
        for row in _facts_of(session, key, missing) if missing else ():
            value = stored_number(_object(row.summary), key.metric)
            if is_start_time:
                value = _middle((numbers | read)[row.seq])
            facts = kept.environment(_object(row.environment))
            told = (row.id, row.started_at or row.created_at, facts, value)
            found[row.seq] = kept.runs[row.seq, *which] = told
        beside_suspect = {seq for seq, arm in arms.items() if arm.outcome == "suspect"}
        for row in rows:
            if known := found[row.seq]:
                run_id, at, facts, value = known
                outcome = "suspect" if row.seq in beside_suspect else row.outcome
                yield TrendRun(row.seq, run_id, at, outcome, facts, value, blocks.get(row.seq, ()))


@dataclass(frozen=True)
class _Kept:
    """What was read of finished runs, which stays; of `runs` id, time, environment and number."""

    runs: dict[tuple[int, str, str], tuple[str, datetime, Environment, float | None]]
    trials: dict[tuple[int, str, str], TrialNumbers]
    environments: dict[bytes, Environment]

    def make_room(self) -> None:
        """Forget everything where it is much."""
        if len(self.runs) + len(self.trials) > _MOST_KEPT_NUMBERS:
            for part in (self.runs, self.trials, self.environments):
                part.clear()

    def environment(self, facts: Mapping[str, Any]) -> Environment:
        """Return the facts but for those of the moment, one object for all that are the same."""
        lasting = {name: fact for name, fact in facts.items() if name not in _OF_THE_MOMENT}
        return self.environments.setdefault(orjson.dumps(lasting), lasting)


def _resolved(key: TrendKey, spec: Spec, baselines: Sequence[TrendBaseline]) -> TrendKey:
    """Return the key with "" for the first stream, and with the baseline that it is to choose."""
    names = [stream.name for stream in spec.workload.streams]
    refuse(known_name("stream", key.stream or names[0], names))
    key = replace(key, stream="" if key.stream == names[0] else key.stream)
    able = () if TREND_METRICS[key.metric].unit == "share" else baselines
    if key.baseline != AUTO_BASELINE:
        refuse(known_name("against", key.baseline, [*(each.spec for each in able), ""]))
        return key
    enough = (each.spec for each in able if each.runs >= LEAST_TREND_POINTS)
    return replace(key, baseline=next(enough, ""))


def _newest(session: Session, spec: str) -> tuple[RunRow, Spec]:
    """Return the newest run of a spec that finished, with the spec. Raises NotFound."""
    finished = (col(RunRow.spec_digest) == spec, RunRow.state == State.FINISHED.value)
    newest = select(RunRow).where(*finished).order_by(col(RunRow.seq).desc())
    row = session.exec(newest.limit(1)).first()
    if row is None:
        raise NotFound(f"No run of {spec[:20]!r} was measured here: imported ones make no trend.")
    return row, stored_spec(session.get_one(RunFacts, row.seq).spec)


def _by_trend(*columns: Any) -> Any:
    """Return the selection of spec, machine and these columns of each trend."""
    key: tuple[Any, ...] = (RunRow.spec_digest, RunRow.machine)
    known = (col(each).is_not(None) for each in key)
    return sqlalchemy.select(*key, *columns).where(*known).group_by(*key)


def _machines(session: Session, spec: str = "") -> list[str]:
    """Return the machines that measured a spec, or any, the last first."""
    machine = col(RunRow.machine)
    of_spec = col(RunRow.spec_digest) == spec if spec else sqlalchemy.true()
    measured = (of_spec, *finished("valid", "suspect"), machine.is_not(None))
    found = sqlalchemy.select(machine).where(*measured).group_by(machine)
    return list(session.connection().scalars(found.order_by(func.max(col(RunRow.seq)).desc())))


def _facts_of(session: Session, key: TrendKey, runs: Sequence[int]) -> Sequence[Any]:
    """Return what a trend reads of each run, and keeps."""
    of_stream = col(RunStream.name) == key.stream if key.stream else col(RunStream.place) == 0
    columns: tuple[Any, ...] = (
        *(RunRow.seq, RunRow.id, RunRow.created_at, RunRow.started_at),
        *(RunFacts.environment, RunStream.summary),
    )
    chosen = (
        sqlalchemy.select(*columns)
        .join(RunFacts, col(RunFacts.run) == col(RunRow.seq))
        .outerjoin(RunStream, (col(RunStream.run) == col(RunRow.seq)) & of_stream)
        .where(col(RunRow.seq).in_(runs))
    )
    return session.connection().execute(chosen).all()


def _blocks(session: Session, arms: Arms, numbers: Mapping[int, TrialNumbers]) -> dict[int, Blocks]:
    """Return the metric of baseline and run in each block that both have, but for spoiled ones."""
    spoiled = _spoiled(session, {arm.experiment for arm in arms.values()})
    found = {}
    for seq, arm in arms.items():
        ours, theirs = numbers[arm.mine], numbers[arm.other]
        left = theirs.keys() - spoiled[arm.experiment] if arm.experiment in spoiled else theirs
        found[seq] = tuple((theirs[block], own) for block, own in ours.items() if block in left)
    return found


def _object(column: Any) -> dict[str, Any]:
    """Return the JSON object of a column; an empty one for what is none."""
    with suppress(ValueError, TypeError):
        found = orjson.loads(column)
        return found if isinstance(found, dict) else {}
    return {}


def _middle(numbers: TrialNumbers) -> float | None:
    known = [number for number in numbers.values() if number is not None]
    return median(known) if known else None


def _read_trials(
    session: Session, runs: Sequence[int], key: TrendKey
) -> dict[int, dict[int, float | None]]:
    """Return a metric of each trial of runs; the stream of another spec may have another name."""
    path = "$.target" if key.metric == START_TIME.name else "$.streams"
    part = func.json_extract(TrialRow.document, path)
    whole = func.json_valid(TrialRow.document) == 1
    columns: tuple[Any, ...] = (TrialRow.run, TrialRow.block, sqlalchemy.case((whole, part)))
    chosen = sqlalchemy.select(*columns).where(col(TrialRow.run).in_(runs)).order_by(*columns[:2])
    found: dict[int, dict[int, float | None]] = {run: {} for run in runs}
    for run, block, part_text in session.connection().execute(chosen):
        with suppress(ValueError, TypeError):
            told = orjson.loads(part_text)
            if isinstance(told, list):
                named = [each for each in told if each.get("name") == key.stream]
                told = (named or told)[0] if told else {}
            found[run][block] = stored_number(told, key.metric)
    return found


def _interleaved(session: Session, spec: str) -> tuple[dict[str, Arms], set[int]]:
    """Return runs in turns with others, by the spec of those, and second ones of their own."""
    turns: dict[str, Arms] = defaultdict(dict)
    twice = set()
    for arm in session.connection().execute(_OTHER_ARMS, {"spec": spec}):
        if arm.digest == spec and arm.place < arm.my_place:
            twice.add(arm.mine)
        elif arm.digest and arm.digest != spec:
            turns[arm.digest].setdefault(arm.mine, arm)
    return turns, twice


_OTHER_ARMS = text("""
SELECT mine.run AS mine, mine.place AS my_place, mine.experiment, theirs.run AS other,
    theirs.place, others.spec_digest AS digest, others.outcome
FROM run JOIN experiment_arm AS mine ON mine.run = run.seq
JOIN experiment_arm AS theirs ON theirs.experiment = mine.experiment AND theirs.run != mine.run
JOIN run AS others ON others.seq = theirs.run
WHERE run.spec_digest = :spec AND others.state = 'finished' AND others.outcome != 'invalid'
ORDER BY mine.run, theirs.place
""")
"""Each run of a spec that is an arm, with each other arm of its experiment that finished."""


def _baselines(
    session: Session, turns: Mapping[str, Arms], *, suspect: bool
) -> tuple[TrendBaseline, ...]:
    """Return the pins that runs were measured in turns with, those of most runs first."""
    able = {"valid", "suspect"} if suspect else {"valid"}
    count = {spec: sum(arm.outcome in able for arm in own.values()) for spec, own in turns.items()}
    pins = {pin.run_id: pin.name for pin in read_pins(session)} if turns else {}
    columns: tuple[Any, ...] = (RunRow.spec_digest, RunRow.id)
    chosen = sqlalchemy.select(*columns).where(col(RunRow.id).in_(list(pins)))
    found = (
        TrendBaseline(spec, pins[run_id], count[spec])
        for spec, run_id in session.connection().execute(chosen)
        if spec in turns
    )
    return tuple(sorted(found, key=lambda each: -each.runs))


def _spoiled(session: Session, experiments: Collection[int]) -> dict[int, set[int]]:
    """Return the numbers of the blocks that are set aside, by experiment."""
    experiment, number = col(ExperimentBlockRow.experiment), col(ExperimentBlockRow.number)
    aside = among(experiment, experiments), col(ExperimentBlockRow.outcome) == "spoiled"
    found: dict[int, set[int]] = defaultdict(set)
    for seq, block in session.execute(sqlalchemy.select(experiment, number).where(*aside)):
        found[seq].add(block)
    return found


def _of_key(key: TrendKey) -> list[Condition]:
    return [col(getattr(StepMarkRow, name)) == value for name, value in asdict(key).items()]


def _marks(session: Session, key: TrendKey) -> list[StepMark]:
    chosen, left = select(StepMarkRow).where(*_of_key(key)), set(asdict(key))
    chosen = chosen.order_by(col(StepMarkRow.id))
    return read_each(session, chosen, "step", lambda row: StepMark(**row.model_dump(exclude=left)))


def _listed(session: Session, grouped: Any, outcomes: Sequence[str]) -> Iterator[ListedTrend]:
    """Yield the trend, unless its newest run cannot be read."""
    spec, machine, runs, newest = grouped
    of_trend = (col(RunRow.spec_digest) == spec, col(RunRow.machine) == machine)
    p50, counted = col(RunRow.first_p50_s), (*of_trend, *finished(*outcomes))
    numbers = sqlalchemy.select(p50).where(*counted, p50.is_not(None)).limit(LISTED_NUMBERS)
    last = session.connection().scalars(numbers.order_by(col(RunRow.seq).desc()))
    with suppress(UnreadableRun), readable(str(spec), kind="trend"):
        row = checked_row(session.get_one(RunRow, newest))
        at, application = row.started_at or row.created_at, row.application or ""
        known = tuple(reversed([each for each in last if each is not None]))
        yield ListedTrend(spec, machine, runs, row.title, application, at, known)
