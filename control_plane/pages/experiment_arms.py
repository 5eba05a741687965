"""The arms of an experiment side by side: their blocks, what explains them, and what is against."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from control_plane.analysis.causes.diagnose import CAUSES
from control_plane.analysis.deciding.critical_values import student
from control_plane.analysis.deciding.judged_experiment import (
    JudgedExperiment,
    block_values,
    validity_so_far,
)
from control_plane.analysis.run_labels import RunLabel
from control_plane.domain.metrics import METRIC, Metric
from control_plane.domain.run import Run
from control_plane.domain.units import NONE, WRITTEN
from control_plane.pages.number_cells import AxisTick
from control_plane.pages.urls import run_url

MOST_CAUSES = 5
"""Columns of causes, so that the table still fits."""

_EDGE = 6.0
"""Per cent of the axis that stay free at its ends, for whole rings."""


@dataclass(frozen=True)
class CauseCell:
    """What one cause measured in one arm; `found`: it explains the arm."""

    text: str
    found: bool


@dataclass(frozen=True)
class ArmLine:
    """One arm. `rings` are the places of its blocks on the axis, in per cent.

    `doubts` say why it is suspect or invalid, `hints` help where it did not start.
    """

    label: RunLabel
    run: Run | None
    outcome: str | None
    blocks: int
    rings: tuple[float, ...]
    value: str
    interval: str
    causes: tuple[CauseCell, ...]
    doubts: tuple[str, ...]
    hints: tuple[str, ...]


@dataclass(frozen=True)
class BlockLine:
    """One block: a value of each arm with the page of its trial, and which arm went first."""

    number: int
    cells: tuple[tuple[str, str], ...]
    first: str


@dataclass(frozen=True)
class ArmsTable:
    """All arms, by the metric that decides. `heads` are the labels of the columns of causes."""

    metric: Metric
    ticks: tuple[AxisTick, ...]
    heads: tuple[str, ...]
    lines: tuple[ArmLine, ...]
    blocks: tuple[BlockLine, ...]


def arms_table(
    judged: JudgedExperiment, labels: Sequence[RunLabel], hints: Sequence[tuple[str, ...]]
) -> ArmsTable:
    """Return the arms side by side; `hints` in their order."""
    metric = METRIC[judged.experiment.design.metric]
    values = block_values(judged, metric)
    known = [value for row in values for value in row.values() if value]
    low, high = _range(known)
    causes = _shown_causes(judged.runs)
    lines = tuple(
        ArmLine(
            label,
            run,
            (validity_so_far(run).outcome if run.trials else None) if run else None,
            len(run.trials) if run else 0,
            tuple(_place(value, low, high) for value in row.values() if value),
            *value_with_interval(list(row.values()), metric),
            tuple(_cause_cell(run, name) for name in causes),
            tuple(_doubts(run)) if run else (),
            hint,
        )
        for label, run, row, hint in zip(labels, judged.runs, values, hints, strict=True)
    )
    return ArmsTable(
        metric,
        tuple(_ticks(low, high, metric)) if known else (),
        tuple(CAUSES[name].label for name in causes),
        lines,
        tuple(_block_lines(judged, labels, values, metric)),
    )


def value_with_interval(values: Sequence[float | None], metric: Metric) -> tuple[str, str]:
    """Return the geometric mean of the blocks, and its 95 % interval where there are three."""
    if not values or any(not value for value in values):
        return NONE, ""
    written = WRITTEN[metric.unit]
    logs = np.log([value for value in values if value])
    middle = float(logs.mean())
    if len(logs) < 3:
        return written(math.exp(middle)), ""
    reach = student(0.05, len(logs) - 1) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    low, high = (written(math.exp(middle + side * reach)) for side in (-1, 1))
    return written(math.exp(middle)), f"[{low}, {high}]"


def _shown_causes(runs: Sequence[Run | None]) -> tuple[str, ...]:
    """Return the causes that explain some arm, in the order in which they explain."""
    found = {cause.cause for run in runs if run for cause in run.causes if cause.found}
    return tuple(name for name in CAUSES if name in found)[:MOST_CAUSES]


def _cause_cell(run: Run | None, name: str) -> CauseCell:
    for cause in run.causes if run else ():
        if cause.cause == name:
            return CauseCell(CAUSES[name].value(cause.evidence), bool(cause.found))
    return CauseCell(NONE, found=False)


def _doubts(run: Run) -> Iterator[str]:
    if not run.trials:
        return
    for reason in validity_so_far(run).reasons:
        if reason.level != "ok":
            yield reason.text


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return the logarithms between which all values lie, at least a factor of 1.1 apart."""
    if not values:
        return 0.0, 1.0
    low, high = math.log(min(values)), math.log(max(values))
    missing = max(0.0, math.log(1.1) - (high - low)) / 2
    return low - missing, high + missing


def _place(value: float, low: float, high: float) -> float:
    return round(_EDGE + (100 - 2 * _EDGE) * (math.log(value) - low) / (high - low), 2)


def _ticks(low: float, high: float, metric: Metric) -> Iterator[AxisTick]:
    """Yield round values of the axis, none closer than a fifth of it."""
    decades = range(math.floor(low / math.log(10)), math.ceil(high / math.log(10)) + 1)
    steps = (1, 2, 5) if high - low < math.log(300) else (1,)
    last = -math.inf
    for value in (step * 10.0**power for power in decades for step in steps):
        inside = low <= math.log(value) <= high
        if inside and (at := _place(value, low, high)) - last > 20:
            last = at
            yield AxisTick(at, WRITTEN[metric.unit](value))


def _block_lines(
    judged: JudgedExperiment,
    labels: Sequence[RunLabel],
    values: Sequence[dict[int, float | None]],
    metric: Metric,
) -> Iterator[BlockLine]:
    written = WRITTEN[metric.unit]
    started = [
        {trial.block: trial.started_at for trial in run.trials} if run else {}
        for run in judged.runs
    ]
    for block in sorted({block for row in values for block in row}):
        cells = tuple(
            (written(row[block]), run_url(run.id, block + 1))
            if run and block in row
            else (NONE, "")
            for row, run in zip(values, judged.runs, strict=True)
        )
        begun = [(times[block], at) for at, times in enumerate(started) if block in times]
        yield BlockLine(block + 1, cells, labels[min(begun)[1]].letter if begun else "")
