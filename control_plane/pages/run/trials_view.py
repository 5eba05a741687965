"""The trials of one run: a ring for each on one scale, and their numbers in a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.analysis.percentile_support import far_percentile
from control_plane.domain.result import Summary, Trial
from control_plane.domain.run import Run
from control_plane.domain.units import count, figures, seconds, share, split_seconds
from control_plane.pages.parts.number_cells import (
    SCALES,
    AxisTick,
    Cell,
    ColumnHead,
    axis_position,
    error_cell,
    padded_range,
    round_ticks,
    time_cell,
    time_unit,
)

COLUMNS = ("p50", "p95", "p99", "max")


@dataclass(frozen=True)
class Rings:
    """One metric of the first stream: `marks` in per cent, one for each trial, in their order."""

    metric: str
    value: str
    ticks: tuple[AxisTick, ...]
    marks: tuple[float, ...]
    label: str


@dataclass(frozen=True)
class TrialsView:
    rings: Rings | None
    heads: tuple[ColumnHead, ...]
    rows: tuple[tuple[Cell, ...], ...]


def trials_view(run: Run) -> TrialsView:
    """A row for each trial and stream; rings only for two trials and more."""
    unit = time_unit(run.streams)
    heads = (
        ColumnHead("Trial"),
        ColumnHead("Requests"),
        ColumnHead("Errors"),
        ColumnHead("Throughput", "/s"),
        *(ColumnHead(part, unit) for part in COLUMNS),
        ColumnHead("Client CPU"),
        ColumnHead("Target CPU"),
        ColumnHead("Ready after"),
    )
    rows = [
        _row(index, trial, stream, unit, named=len(run.streams) > 1)
        for index, trial in enumerate(run.trials, start=1)
        for stream in trial.streams
    ]
    return TrialsView(_rings(run), heads, tuple(rows))


def _row(number: int, trial: Trial, stream: Summary, unit: str, *, named: bool) -> tuple[Cell, ...]:
    return (
        Cell(f"{number}, {stream.name}" if named else f"{number}"),
        Cell(count(stream.completed)),
        error_cell(stream),
        Cell(figures(stream.throughput_per_s)),
        *(time_cell(stream.response_time_s, part, unit) for part in COLUMNS),
        Cell(share(trial.client.busiest_cpu_share)),
        Cell(share(_target_share(trial))),
        Cell(seconds(trial.target.ready_s)),
    )


def _target_share(trial: Trial) -> float | None:
    """Cores that all processes of the target used while they were watched."""
    spent_s, watched_s = trial.target.cpu_s, trial.target.watched_s
    return spent_s / watched_s if spent_s is not None and watched_s else None


def _rings(run: Run) -> Rings | None:
    first = run.streams[0].response_time_s if run.streams else None
    if len(run.trials) < 2 or first is None:
        return None
    tail = far_percentile(first)
    part = tail[0] if tail else "p50"
    times = [trial.streams[0].response_time_s for trial in run.trials]
    values = [getattr(one, part) for one in times if one is not None]
    return _drawn(part, getattr(first, part), values) if values else None


def _drawn(metric: str, merged: float, values: Sequence[float]) -> Rings:
    low, high = padded_range(values)
    unit = split_seconds(max(values))[1]
    scale = SCALES[unit]
    ticks = tuple(
        AxisTick(axis_position(at / scale, low, high), f"{figures(at)} {unit}")
        for at in round_ticks(low * scale, high * scale)
    )
    spread = f"{seconds(min(values))} to {seconds(max(values))}"
    label = f"{metric} of each trial: {spread}"
    marks = tuple(axis_position(value, low, high) for value in values)
    return Rings(metric, seconds(merged), ticks, marks, label)
