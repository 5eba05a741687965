"""Throughput bars: drawn by the server, from zero, with a tick for each trial."""

from dataclasses import dataclass

from control_plane.analysis.charts.figure import Table
from control_plane.analysis.comparison import PRIMARY, Comparison, stream_of
from control_plane.analysis.run_labels import RunLabel
from control_plane.domain.run import Run
from control_plane.domain.units import rate

CLEAR = 1.1
"""Below this factor between the two longest bars the title names neither."""


@dataclass(frozen=True)
class Bar:
    """The throughput of one run, with a tick for each trial.

    `share` and `ticks` (one for each trial) as parts of the axis, 0 to 1.

    `value_per_s` None: not measured, no bar. `outcome` is the run's validity.
    """

    label: RunLabel
    value_per_s: float | None
    share: float
    ticks: tuple[float, ...]
    text: str
    outcome: str | None


@dataclass(frozen=True)
class BarChart:
    """Bars of throughput: a Figure with bars in place of Plotly's JSON."""

    name: str
    title: str
    note: str
    label: str
    bars: tuple[Bar, ...]
    table: Table


def throughput_bars(comparison: Comparison, stream: str) -> BarChart:
    """Return completed requests per second of all trials; the axis ends at the largest tick."""
    values = comparison.row(stream, PRIMARY).values
    trials = {run.id: _per_trial(run, stream) for run in comparison.runs}
    seen = [value for value in values.values() if value] + [
        value for rates in trials.values() for value in rates
    ]
    longest = max(seen, default=0.0) or 1.0
    bars = tuple(
        Bar(
            label=comparison.label(run.id),
            value_per_s=values[run.id],
            share=(values[run.id] or 0.0) / longest,
            ticks=tuple(value / longest for value in trials[run.id]),
            text=rate(values[run.id]),
            outcome=run.validity.outcome if run.validity else None,
        )
        for run in comparison.runs
    )
    title, note = _title(bars)
    label = "; ".join(f"{bar.label.text} {bar.text}" for bar in bars)
    return BarChart("throughput", title, note, f"{title}: {label}", bars, _table(bars, trials))


def _per_trial(run: Run, stream: str) -> tuple[float, ...]:
    """Return the rate of each trial; none of a single trial, whose tick would end its bar."""
    found = [
        summary.throughput_per_s
        for trial in run.trials
        for summary in trial.streams
        if summary.name == stream
    ]
    return tuple(found) if len(found) > 1 else ()


def _title(bars: tuple[Bar, ...]) -> tuple[str, str]:
    sound = [bar for bar in bars if bar.value_per_s and bar.outcome != "invalid"]
    if len(sound) < 2:
        return "Throughput", "completed requests per second"
    best, second, *_ = sorted(sound, key=lambda bar: -bar.share)
    if best.share < CLEAR * second.share:
        return "Throughput", "completed requests per second"
    return f"{best.label.letter} served most in these runs", "completed requests per second"


def _table(bars: tuple[Bar, ...], trials: dict[str, tuple[float, ...]]) -> Table:
    most = max(map(len, trials.values()), default=0)
    columns = ("", "throughput, /s", *(f"trial {index + 1}, /s" for index in range(most)))
    rows = []
    for bar in bars:
        found = trials[bar.label.id]
        rest = (None,) * (most - len(found))
        rows.append((bar.label.text, bar.value_per_s, *found, *rest))
    return Table(columns, tuple(rows))


def stream_names(comparison: Comparison) -> tuple[str, ...]:
    """Return the streams in which at least one run has a result."""
    return tuple(
        name
        for name in comparison.streams
        if any(stream_of(run, name) is not None for run in comparison.runs)
    )
