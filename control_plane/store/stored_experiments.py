"""Experiments in the database: what is handed in never changes, results are those of runs.

Which blocks were begun, and what became of each, stands beside it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import sqlalchemy
from sqlalchemy import ColumnElement, delete, func, update
from sqlmodel import Session, col, select

from control_plane.domain.errors import Conflict, FieldError, NotFound, UnreadableRun, refuse
from control_plane.domain.experiment import (
    Attempt,
    BlockOutcome,
    BlockVariance,
    Experiment,
    ExperimentArm,
    ExperimentBlock,
    ExperimentDesign,
    Findings,
    MetricNoise,
)
from control_plane.domain.ids import new_id
from control_plane.domain.run import TERMINAL, Run, State
from control_plane.domain.spec_json import adapter
from control_plane.store.audit_log import record
from control_plane.store.database import Database
from control_plane.store.mapping import Draft, readable, refuse_blobs
from control_plane.store.reader import find_row, whole_run
from control_plane.store.run_query import cursor_after, page_conditions
from control_plane.store.run_search import among
from control_plane.store.tables import (
    DELETED,
    BlockVarianceRow,
    ExperimentArmRow,
    ExperimentBlockRow,
    ExperimentRow,
    RunRow,
    Submission,
    TrialRow,
    TrialStream,
)
from control_plane.store.writer import MergedResult, finished_run, queued_rows

_WITHOUT_RESULT = (DELETED, State.FAILED.value, State.CANCELLED.value, State.INTERRUPTED.value)


class Experiments:
    """Keeps and lists them. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_experiment(
        self,
        question: str,
        design: ExperimentDesign,
        arms: Sequence[tuple[str, Draft]],
        max_queue: int,
        key: tuple[str, str] | None = None,
    ) -> Experiment:
        """Keep an experiment and queue a run for each of its arms: all or none.

        `key` was given with it, and the digest of its document: used before it gives the experiment
        that it made. Raises QueueFull when more than `max_queue` runs would wait, Conflict where
        the key came with something else, InvalidInput where it does not ask what it confirms.
        """
        with self._database.write() as session:
            if key and (known := session.get(Submission, key[0])):
                return _of_key(session, known, key[1])
            refuse(_wrong_confirmation(session, design, [name for name, _ in arms]))
            if key:
                session.add(Submission(key=key[0], digest=key[1], runs=0))
                session.flush()
            row = ExperimentRow(
                id=new_id(),
                question=question,
                document=adapter(ExperimentDesign).dump_json(design).decode(),
                created_at=datetime.now(UTC),
                submission=key[0] if key else None,
                slug=design.slug,
                confirms=design.confirms,
            )
            session.add(row)
            session.flush()
            runs = queued_rows(session, [draft for _, draft in arms], max_queue)
            session.add_all(
                ExperimentArmRow(experiment=row.seq or 0, place=place, name=name, run=run.seq)
                for place, ((name, _), run) in enumerate(zip(arms, runs, strict=True))
            )
            record(session, "started", row.id, question, experiment=True)
            session.flush()
            return whole_experiment(session, row)

    def experiment(self, experiment_id: str) -> Experiment:
        """Return the experiment of that id with its attempts. Raises NotFound."""
        with self._database.read() as session:
            found = whole_experiment(session, experiment_row(session, experiment_id))
            return replace(found, attempts=_attempts(session, found))

    def begin_session(self, experiment_id: str) -> Experiment:
        """Take down that its trials begin, or go on; nothing is left of a block in progress."""
        with self._database.write() as session:
            row = experiment_row(session, experiment_id)
            _discard(session, [row.seq or 0])
            row.sessions += 1
            session.flush()
            return whole_experiment(session, row)

    def begin_block(self, experiment_id: str, row: int) -> ExperimentBlock:
        """Take down that the next block begins, which is the one of that place in the design."""
        with self._database.write() as session:
            experiment = experiment_row(session, experiment_id)
            last = select(func.max(ExperimentBlockRow.number)).where(
                ExperimentBlockRow.experiment == experiment.seq
            )
            number = session.exec(last).one()
            block = ExperimentBlock(
                0 if number is None else number + 1, row, experiment.sessions, "begun"
            )
            session.add(ExperimentBlockRow(experiment=experiment.seq or 0, **vars(block)))
            return block

    def end_block(self, experiment_id: str, number: int, outcome: BlockOutcome) -> None:
        """Take down what became of a block that was begun."""
        with self._database.write() as session:
            key = (experiment_row(session, experiment_id).seq, number)
            session.get_one(ExperimentBlockRow, key).outcome = outcome

    def discard_begun(self) -> None:
        """Throw the trials away that a pause left of a block in progress."""
        with self._database.write() as session:
            paused = (
                select(ExperimentArmRow.experiment)
                .join(RunRow, col(RunRow.seq) == ExperimentArmRow.run)
                .where(RunRow.state == State.PAUSED.value)
                .distinct()
            )
            _discard(session, session.exec(paused).all())

    def resume_experiment(self, experiment_id: str) -> Experiment:
        """Queue the arms of an experiment that is paused, behind all that wait.

        Raises Conflict where none is, and as long as another arm is on its way to the pause.
        """
        with self._database.write() as session:
            row = experiment_row(session, experiment_id)
            arms = select(ExperimentArmRow.run).where(ExperimentArmRow.experiment == row.seq)
            at_rest = {State.PAUSED} | TERMINAL
            if any(state not in at_rest for state in _states(session, row.seq)):
                raise Conflict(f"Experiment {experiment_id} is not paused: an arm still goes on.")
            last = session.exec(select(func.max(RunRow.seq))).one() or 0
            queued = (
                update(RunRow)
                .where(col(RunRow.seq).in_(arms), col(RunRow.state) == State.PAUSED.value)
                .values(
                    state=State.QUEUED.value,
                    reason=None,
                    epoch=RunRow.epoch + 1,
                    # Behind the last that was handed in, before those that are later.
                    turn=last + 0.5,
                )
            )
            if not session.exec(queued).rowcount:
                raise Conflict(f"Experiment {experiment_id} is not paused: nothing goes on.")
            record(session, "resumed", row.id, row.question, experiment=True)
            return whole_experiment(session, row)

    def arm_runs(self, experiment: Experiment) -> list[Run | None]:
        """Return the run of each arm with its trials.

        None for one that is deleted, or that cannot be read.
        """
        with self._database.read() as session:
            ids = [arm.run_id for arm in experiment.arms if arm.run_id]
            runs: dict[str, Run] = {}
            for run_id in ids:
                with suppress(NotFound, UnreadableRun), readable(run_id):
                    runs[run_id] = whole_run(session, find_row(session, run_id))
            return [runs.get(arm.run_id or "") for arm in experiment.arms]

    def experiments_of(self, run_ids: Sequence[str]) -> dict[str, Experiment]:
        """Return the experiment of each of these runs that is an arm of one."""
        columns: tuple[Any, ...] = (RunRow.id, ExperimentArmRow.experiment)
        arms = sqlalchemy.select(*columns).join(RunRow, col(RunRow.seq) == ExperimentArmRow.run)
        chosen = arms.where(among(RunRow.id, run_ids), col(RunRow.state) != DELETED)
        with self._database.read() as session:
            pairs = session.connection().execute(chosen).all()
            found = whole_experiments(session, {seq for _, seq in pairs}) if pairs else {}
            return {run_id: found[seq] for run_id, seq in pairs if seq in found}

    def latest_experiments(self) -> dict[str, Experiment]:
        """Return the newest experiment of each slug, of those that did not end without a result.

        Those that were measured elsewhere tell nothing of this machine.
        """
        useful = (
            select(ExperimentArmRow)
            .join(RunRow, col(RunRow.seq) == ExperimentArmRow.run)
            .where(col(ExperimentArmRow.experiment) == ExperimentRow.seq)
            .where(col(RunRow.state).not_in(_WITHOUT_RESULT), col(RunRow.origin).is_(None))
        )
        slugs = sqlalchemy.select(col(ExperimentRow.slug)).where(col(ExperimentRow.slug) != "")
        known = slugs.distinct().subquery()
        newest = (
            sqlalchemy.select(col(ExperimentRow.seq))
            .where(col(ExperimentRow.slug) == known.c.slug, useful.exists())
            .order_by(col(ExperimentRow.seq).desc())
            .limit(1)
            .correlate(known)
        )
        with self._database.read() as session:
            of_each = sqlalchemy.select(newest.scalar_subquery()).select_from(known)
            seqs = session.connection().scalars(of_each).all()
            found = whole_experiments(session, seqs).values()
            return {experiment.design.slug: experiment for experiment in found}

    def experiments(
        self, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[tuple[Experiment, list[State]]], str | None]:
        """Return the newest experiments with the states of their arms, and the next page's cursor.

        One is deleted when all of its arms are. Raises InvalidInput for a cursor that no page gave.
        """
        seq = cast("ColumnElement[int]", col(ExperimentRow.seq))
        arms = select(ExperimentArmRow).join(RunRow).where(RunRow.state != DELETED)
        stands = arms.where(ExperimentArmRow.experiment == seq).exists()
        page = select(seq).where(stands, *page_conditions(seq, limit, cursor))
        with self._database.read() as session:
            seqs = session.exec(page.order_by(seq.desc()).limit(limit + 1)).all()
            found = whole_experiments(session, seqs[:limit])
            listed = [(found[each], _states(session, each)) for each in seqs if each in found]
            return listed, cursor_after(seqs[limit - 1]) if len(seqs) > limit else None

    def finish_last_arm(
        self, experiment_id: str, run_id: str, result: MergedResult, findings: Findings
    ) -> None:
        """Write the results of the arm that ends last, `finished` and what was found: together."""
        with self._database.write() as session:
            finished_run(session, run_id, *result)
            keep_findings_of(session, experiment_id, findings)

    def keep_findings(self, experiment_id: str, findings: Findings) -> None:
        """Keep what was found of an experiment that is over."""
        with self._database.write() as session:
            keep_findings_of(session, experiment_id, findings)

    def experiment_of(self, run_id: str) -> Experiment | None:
        """Return the experiment that a run is an arm of; None where it is none."""
        return self.experiments_of([run_id]).get(run_id)

    def block_variances(
        self, machine: str | None = None, kind: str | None = None, before: str | None = None
    ) -> list[BlockVariance]:
        """Return how much blocks varied on a machine under one kind of load, None for all of them.

        `before`: only of experiments that were handed in before this one.
        """
        chosen = select(BlockVarianceRow)
        for column, value in ((BlockVarianceRow.machine, machine), (BlockVarianceRow.kind, kind)):
            chosen = chosen if value is None else chosen.where(col(column) == value)
        with self._database.read() as session:
            if before is not None:
                seq = experiment_row(session, before).seq
                chosen = chosen.where(col(BlockVarianceRow.experiment) < seq)
            rows = session.exec(chosen.order_by(col(BlockVarianceRow.experiment))).all()
            return [
                BlockVariance(row.machine, row.kind, row.metric, row.variance, row.df)
                for row in rows
            ]


def experiment_row(session: Session, experiment_id: str) -> ExperimentRow:
    """Return the row of an experiment. Raises NotFound, and UnreadableRun."""
    with readable(experiment_id[:20], kind="experiment"):
        row = session.exec(select(ExperimentRow).where(ExperimentRow.id == experiment_id)).first()
    if row is None:
        raise NotFound(f"There is no experiment {experiment_id[:20]!r}.")
    return row


def keep_findings_of(session: Session, experiment_id: str, findings: Findings) -> None:
    """Write what was found of an experiment, with the verdict on each of its arms."""
    row = experiment_row(session, experiment_id)
    row.sentence, row.headline = findings.sentence, findings.headline
    row.noise = adapter(dict[str, MetricNoise]).dump_json(dict(findings.noise)).decode()
    arms = select(ExperimentArmRow).where(ExperimentArmRow.experiment == row.seq)
    for arm in session.exec(arms).all():
        arm.verdict = findings.verdicts.get(arm.name, "")
    session.exec(delete(BlockVarianceRow).where(col(BlockVarianceRow.experiment) == row.seq))
    session.add_all(
        BlockVarianceRow(experiment=row.seq or 0, **vars(variance))
        for variance in findings.variances
    )


def _wrong_confirmation(
    session: Session, design: ExperimentDesign, arms: Sequence[str]
) -> Iterator[FieldError]:
    chosen = select(ExperimentRow.seq).where(ExperimentRow.id == design.confirms)
    named = whole_experiments(session, session.exec(chosen).all()).values()
    if design.confirms and not any(each.asks_the_same(design, arms) for each in named):
        yield FieldError("confirms", f"No experiment {design.confirms} asks this of these arms.")


def _attempts(session: Session, experiment: Experiment) -> tuple[Attempt, ...]:
    first = experiment.design.confirms or experiment.id
    either = (col(ExperimentRow.id) == first) | (col(ExperimentRow.confirms) == first)
    asked = whole_experiments(session, session.exec(select(ExperimentRow.seq).where(either)).all())
    found = [each.as_attempt(_states(session, seq)) for seq, each in sorted(asked.items())]
    return tuple(found if len(found) > 1 else ())


def _of_key(session: Session, known: Submission, digest: str) -> Experiment:
    row = session.exec(select(ExperimentRow).where(ExperimentRow.submission == known.key)).first()
    if row is None or known.digest != digest:
        raise Conflict("This key was used for another request: choose a new one.")
    return whole_experiment(session, row)


def _states(session: Session, experiment: int | None) -> list[State]:
    """Return the states of the arms that are not deleted, nor in one that there is not."""
    states = select(RunRow.state).join(
        ExperimentArmRow, col(ExperimentArmRow.run) == col(RunRow.seq)
    )
    known = col(RunRow.state).in_([state.value for state in State])
    of_experiment = states.where(ExperimentArmRow.experiment == experiment, known)
    return [State(state) for state in session.exec(of_experiment).all()]


def _discard(session: Session, experiments: Sequence[int]) -> None:
    begun = select(ExperimentBlockRow).where(
        col(ExperimentBlockRow.experiment).in_(experiments), ExperimentBlockRow.outcome == "begun"
    )
    for block in session.exec(begun).all():
        arms = select(ExperimentArmRow.run).where(ExperimentArmRow.experiment == block.experiment)
        over = [DELETED, *(state.value for state in TERMINAL)]
        left = select(RunRow.seq).where(col(RunRow.seq).in_(arms), col(RunRow.state).not_in(over))
        has_trial = select(TrialRow.run).where(col(TrialRow.block) == block.number)
        if not session.exec(left.where(col(RunRow.seq).not_in(has_trial))).first():
            # Cut off between its last trial and the note of it.
            block.outcome = "complete"
            continue
        for table in (TrialStream, TrialRow):
            trials = (col(table.run).in_(arms), col(table.block) == block.number)
            session.exec(delete(table).where(*trials))
        block.outcome = "discarded"


def whole_experiment(session: Session, row: ExperimentRow) -> Experiment:
    """Return the experiment of a row, without its attempts."""
    for found in whole_experiments(session, [row.seq]).values():
        return found
    raise UnreadableRun(f"Experiment {row.id} cannot be read: something else changed it.")


def whole_experiments(session: Session, seqs: Collection[int | None]) -> dict[int, Experiment]:
    """Return what can be read of the experiments by their `seq`, in three queries."""
    connection, arms = session.connection(), defaultdict[int, list[dict[str, Any]]](list)
    columns: tuple[Any, ...] = (ExperimentArmRow.experiment, ExperimentArmRow.name, RunRow.id)
    stands = (col(RunRow.seq) == ExperimentArmRow.run) & (RunRow.state != DELETED)
    chosen = sqlalchemy.select(*columns).outerjoin(RunRow, stands)
    placed = chosen.where(among(columns[0], seqs)).order_by(col(ExperimentArmRow.place))
    for seq, name, run_id in connection.execute(placed).all():
        arms[seq].append({"name": name, "run_id": run_id})
    blocks: dict[int, list[dict[str, Any]]] = defaultdict(list)
    begun = select(ExperimentBlockRow).where(among(ExperimentBlockRow.experiment, seqs))
    result = connection.execute(begun.order_by(col(ExperimentBlockRow.number)))
    for block in result.mappings():
        blocks[block["experiment"]].append(dict(block))
    noise, found = adapter(dict[str, MetricNoise]), dict[int, Experiment]()
    for row in _readable_rows(session, seqs):
        with suppress(UnreadableRun), readable(row.id, kind="experiment"):
            refuse_blobs(row.id, row.question, row.sentence, row.headline)
            found[row.seq] = Experiment(
                id=row.id,
                question=row.question,
                design=adapter(ExperimentDesign).validate_json(row.document),
                arms=adapter(tuple[ExperimentArm, ...]).validate_python(arms[row.seq]),
                created_at=row.created_at,
                blocks=adapter(tuple[ExperimentBlock, ...]).validate_python(blocks[row.seq]),
                sessions=int(row.sessions),
                sentence=row.sentence,
                noise=None if row.noise is None else noise.validate_json(row.noise),
                headline=row.headline,
            )
    return found


def _readable_rows(session: Session, seqs: Collection[int | None]) -> Sequence[Any]:
    chosen = select(ExperimentRow).where(among(ExperimentRow.seq, seqs))
    with suppress(UnreadableRun), readable(*map(str, seqs), kind="experiment"):
        return session.connection().execute(chosen).all()
    return [] if len(seqs) < 2 else [row for seq in seqs for row in _readable_rows(session, [seq])]
