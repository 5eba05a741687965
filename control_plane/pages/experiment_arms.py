"""The arms of an experiment side by side: their blocks, what explains them, and what is against."""

import math
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from control_plane.analysis.causes import CAUSES
from control_plane.analysis.deciding import complete_blocks, validity_so_far
from control_plane.analysis.deciding.critical_values import student
from control_plane.analysis.deciding.judged_experiment import (
    JudgedExperiment,
    block_values,
)
from control_plane.analysis.differences import measured_commit, spec_fields
from control_plane.analysis.run_labels import LETTERS, RunLabel
from control_plane.domain.metrics_and_objectives import METRIC, Metric
from control_plane.domain.run import Run, State
from control_plane.domain.spec import Spec
from control_plane.domain.units import NONE, SPACE, WRITTEN, about
from control_plane.jobs.confirmations import offered_confirmation
from control_plane.jobs.progress_and_expected_time import experiment_left_s
from control_plane.pages.run.run_numbers import AxisTick
from control_plane.pages.urls import compare_url, run_url

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
    causes, blocks = _shown_causes(judged.runs), complete_blocks(judged.runs)
    lines = tuple(
        ArmLine(
            label,
            run,
            (validity_so_far(run).outcome if run.trials else None) if run else None,
            len(run.trials) if run else 0,
            tuple(_place(value, low, high) for value in row.values() if value),
            *value_with_interval(
                # What is decided on; before the first complete block what there is.
                [row[block] for block in blocks if block in row] or list(row.values()),
                metric,
            ),
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
    """Return the geometric mean of the blocks, and its 95 % interval where there are three.

    A unit that all of them share stands once: `106 ms` and `[94, 120]`.
    """
    if not values or any(not value for value in values):
        return NONE, ""
    written = WRITTEN[metric.unit]
    logs = np.log([value for value in values if value])
    middle = float(logs.mean())
    if len(logs) < 3:
        return written(math.exp(middle)), ""
    reach = student(0.05, len(logs) - 1) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    found, *ends = (written(math.exp(middle + side * reach)) for side in (0, -1, 1))
    unit = found.partition(SPACE)[2]
    if all(end.partition(SPACE)[2] == unit for end in ends):
        ends = [end.partition(SPACE)[0] for end in ends]
    return found, f"[{', '.join(ends)}]"


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


_MATRIX_METRICS = ("throughput_per_s", "response_time_s.p50", "cpu_s_per_request")
_STEPS = 9
"""Shades of a heat map, by equal ratios from the worst to the best."""


@dataclass(frozen=True)
class MatrixCell:
    """One arm: `step` is its shade from 1 to 9, 0 without a number; `href` compares it."""

    text: str
    interval: str
    step: int
    outcome: str | None
    href: str
    label: str


@dataclass(frozen=True)
class HeatMapTable:
    """One metric of every arm, in rows and columns; a cell without an arm is None."""

    metric: Metric
    rows: tuple[tuple[str, tuple[MatrixCell | None, ...]], ...]


@dataclass(frozen=True)
class ArmMatrix:
    """The arms of an experiment in which exactly two fields differ."""

    row_field: str
    column_field: str
    columns: tuple[str, ...]
    maps: tuple[HeatMapTable, ...]


def arm_matrix(judged: JudgedExperiment) -> ArmMatrix | None:
    """Return the arms in rows and columns; None unless two fields, and no more, tell them apart.

    Nor where they fill no more than half of the cells: two fields that change together are no grid.
    """
    arms = judged.runs[:-1] if judged.experiment.design.control else judged.runs
    runs = [run for run in arms if run]
    if len(runs) < 4 or len(runs) < len(arms):
        return None
    differing = [field for field in spec_fields(runs) if field.differs]
    if len(differing) != 2:
        return None
    by_row, by_column = differing
    rows, columns = (
        tuple(dict.fromkeys(field.texts[run.id] for run in runs)) for field in differing
    )
    if min(len(rows), len(columns)) < 2 or 2 * len(runs) <= len(rows) * len(columns):
        return None
    places = {(by_row.texts[run.id], by_column.texts[run.id]): at for at, run in enumerate(runs)}
    names = dict.fromkeys((judged.experiment.design.metric, *_MATRIX_METRICS))
    maps = []
    for metric in (METRIC[name] for name in names):
        cells = _cells(judged, metric, runs)
        if any(cell.step for cell in cells):
            lines = tuple(
                (row, tuple(_at(cells, places.get((row, column))) for column in columns))
                for row in rows
            )
            maps.append(HeatMapTable(metric, lines))
    return ArmMatrix(by_row.label, by_column.label, columns, tuple(maps)) if maps else None


def _at(cells: Sequence[MatrixCell], place: int | None) -> MatrixCell | None:
    return None if place is None else cells[place]


def _cells(judged: JudgedExperiment, metric: Metric, runs: Sequence[Run]) -> list[MatrixCell]:
    values = [list(row.values()) for row in block_values(judged, metric)][: len(runs)]
    means = [_log_mean(row) for row in values]
    known = [mean for mean in means if mean is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    return [
        MatrixCell(
            *value_with_interval(row, metric),
            _step(mean, *((high, low) if metric.less_is_better else (low, high))),
            validity_so_far(run).outcome,
            compare_url([runs[0].id, run.id]) if run is not runs[0] else run_url(run.id),
            judged.experiment.arms[at].name,
        )
        for at, (row, mean, run) in enumerate(zip(values, means, runs, strict=True))
    ]


def _log_mean(values: Sequence[float | None]) -> float | None:
    known = [math.log(value) for value in values if value]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _step(value: float | None, worst: float, best: float) -> int:
    if value is None:
        return 0
    return 1 + round((_STEPS - 1) * (value - worst) / (best - worst)) if best != worst else 5


@dataclass(frozen=True)
class ConfirmOffer:
    """What one click measures anew: `key` is sent with its form, which starts it once."""

    word: str
    told: str
    blocks: int
    most: int
    key: str


def confirm_offer(
    judged: JudgedExperiment, expected_seconds: Callable[[Spec], float], most_blocks: int
) -> ConfirmOffer | None:
    """Return what is offered once an experiment is over; None where nothing is open."""
    found = offered_confirmation(judged, most_blocks)
    if found is None:
        return None
    again = [
        replace(run.spec, trials=found.blocks)
        for arm, run in zip(judged.experiment.arms, judged.runs, strict=True)
        if run and (arm.name in found.arms or arm not in judged.experiment.contenders)
    ]
    what = " and ".join(found.arms) if found.winner else "all arms"
    told = (
        f"Measures {what} again on fresh blocks, about {about(sum(map(expected_seconds, again)))}"
    )
    word = "Confirm" if found.winner else "Add blocks"
    return ConfirmOffer(word, told, found.blocks, most_blocks, secrets.token_urlsafe(12))


def comparison_of_arms(judged: JudgedExperiment) -> str | None:
    """Return the address of the arms side by side; None where too few or too many have a result."""
    with_result = [run.id for run in judged.runs if run and run.state is State.FINISHED]
    return compare_url(with_result) if 1 < len(with_result) <= len(LETTERS) else None


@dataclass(frozen=True)
class BlockProgress:
    """How far an experiment is: `done` of `blocks`, each a segment; `left` may be empty."""

    done: int
    blocks: int
    left: str


def block_progress(
    judged: JudgedExperiment, expected_seconds: Callable[[Spec], float]
) -> BlockProgress:
    """Return how far an experiment is, and how long the rest takes by what trials took."""
    left = about(experiment_left_s(judged, expected_seconds) or 0.0)
    return BlockProgress(judged.blocks, judged.experiment.design.blocks, left)


def arm_commits(judged: JudgedExperiment) -> list[str]:
    """Return `before: 3f2a91c0b7+ Answer from the cache` of each arm; [] where the code is one."""
    found = {
        arm.name: measured_commit(run.environment or {}, run.spec.target.application)
        for arm, run in zip(judged.experiment.arms, judged.runs, strict=True)
        if run is not None
    }
    known = {name: commit for name, commit in found.items() if commit}
    if len(set(known.values())) < 2:
        return []
    return [f"{name}: {commit.named}" for name, commit in known.items()]
