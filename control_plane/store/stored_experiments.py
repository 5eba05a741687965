"""Experiments in the database: handed in whole, never changed; their results are those of runs."""

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy
from pydantic import TypeAdapter
from sqlmodel import Session, col, select

from control_plane.domain.errors import NotFound
from control_plane.domain.experiment import Experiment, ExperimentArm, ExperimentDesign
from control_plane.domain.ids import new_id
from control_plane.domain.run import Run
from control_plane.store.database import Database
from control_plane.store.mapping import Draft
from control_plane.store.reader import whole_run
from control_plane.store.tables import ExperimentArmRow, ExperimentRow, RunRow
from control_plane.store.writer import queued_rows

_DESIGN: TypeAdapter[ExperimentDesign] = TypeAdapter(ExperimentDesign)


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
    ) -> Experiment:
        """Keep an experiment and queue a run for each of its arms: all or none.

        Raises QueueFull when more than `max_queue` runs would wait.
        """
        with self._database.write() as session:
            row = ExperimentRow(
                id=new_id(),
                question=question,
                document=_DESIGN.dump_json(design).decode(),
                created_at=datetime.now(UTC),
            )
            session.add(row)
            session.flush()
            runs = queued_rows(session, [draft for _, draft in arms], max_queue)
            session.add_all(
                ExperimentArmRow(experiment=row.seq or 0, place=place, name=name, run=run.seq)
                for place, ((name, _), run) in enumerate(zip(arms, runs, strict=True))
            )
            session.flush()
            return _experiment(session, row)

    def experiment(self, experiment_id: str) -> Experiment:
        """Return the experiment of that id. Raises NotFound."""
        with self._database.read() as session:
            row = session.exec(
                select(ExperimentRow).where(ExperimentRow.id == experiment_id)
            ).first()
            if row is None:
                raise NotFound(f"There is no experiment {experiment_id[:20]!r}.")
            return _experiment(session, row)

    def arm_runs(self, experiment: Experiment) -> list[Run | None]:
        """Return the run of each arm with its trials; None for a deleted one."""
        with self._database.read() as session:
            ids = [arm.run_id for arm in experiment.arms if arm.run_id]
            rows = session.exec(select(RunRow).where(col(RunRow.id).in_(ids))).all()
            runs = {row.id: whole_run(session, row) for row in rows}
            return [runs.get(arm.run_id or "") for arm in experiment.arms]

    def experiments(self, limit: int = 50) -> list[Experiment]:
        """Return the newest experiments, the newest first."""
        with self._database.read() as session:
            newest = select(ExperimentRow).order_by(col(ExperimentRow.seq).desc()).limit(limit)
            return [_experiment(session, row) for row in session.exec(newest).all()]

    def experiment_of(self, run_id: str) -> Experiment | None:
        """Return the experiment that a run is an arm of; None where it is none."""
        with self._database.read() as session:
            row = session.exec(
                select(ExperimentRow)
                .join(ExperimentArmRow, col(ExperimentArmRow.experiment) == ExperimentRow.seq)
                .join(RunRow, col(RunRow.seq) == ExperimentArmRow.run)
                .where(RunRow.id == run_id)
            ).first()
            return None if row is None else _experiment(session, row)


def _experiment(session: Session, row: ExperimentRow) -> Experiment:
    columns = (ExperimentArmRow.name, RunRow.id)
    chosen = (
        sqlalchemy.select(*columns)  # type: ignore[call-overload] # columns of two tables
        .outerjoin(RunRow, col(RunRow.seq) == ExperimentArmRow.run)
        .where(col(ExperimentArmRow.experiment) == row.seq)
        .order_by(col(ExperimentArmRow.place))
    )
    arms = session.connection().execute(chosen)
    return Experiment(
        id=row.id,
        question=row.question,
        design=_DESIGN.validate_json(row.document),
        arms=tuple(ExperimentArm(name, run_id) for name, run_id in arms),
        created_at=row.created_at,
    )
