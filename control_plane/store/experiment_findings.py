"""What was found when an experiment ended: for lists, and for experiments that come later."""

from sqlalchemy import delete
from sqlmodel import Session, col, select

from control_plane.domain.errors import NotFound
from control_plane.domain.experiment import BlockVariance, Findings, MetricNoise
from control_plane.domain.spec_json import adapter
from control_plane.store.database import Database
from control_plane.store.tables import (
    BlockVarianceRow,
    ExperimentArmRow,
    ExperimentRow,
)


class ExperimentFindings:
    """Keeps findings and tells of them. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep_findings(self, experiment_id: str, findings: Findings) -> None:
        """Keep what was found of an experiment that is over."""
        with self._database.write() as session:
            keep_findings_of(session, experiment_id, findings)

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
    """Return the row of an experiment. Raises NotFound."""
    row = session.exec(select(ExperimentRow).where(ExperimentRow.id == experiment_id)).first()
    if row is None:
        raise NotFound(f"There is no experiment {experiment_id[:20]!r}.")
    return row


def keep_findings_of(session: Session, experiment_id: str, findings: Findings) -> None:
    """Write what was found of an experiment, with the verdict on each of its arms."""
    row = experiment_row(session, experiment_id)
    row.sentence = findings.sentence
    row.noise = adapter(dict[str, MetricNoise]).dump_json(dict(findings.noise)).decode()
    arms = select(ExperimentArmRow).where(ExperimentArmRow.experiment == row.seq)
    for arm in session.exec(arms).all():
        arm.verdict = findings.verdicts.get(arm.name, "")
    session.exec(delete(BlockVarianceRow).where(col(BlockVarianceRow.experiment) == row.seq))
    session.add_all(
        BlockVarianceRow(experiment=row.seq or 0, **vars(variance))
        for variance in findings.variances
    )
