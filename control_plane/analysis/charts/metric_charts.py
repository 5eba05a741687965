"""Charts of the metrics of runs: ratios to a baseline, bars, and the sparklines of lists."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from control_plane.analysis.charts.curve import FADED, nines
from control_plane.analysis.charts.figure import (
    CHART_HEIGHT,
    FIRST,
    EndLabel,
    Figure,
    Plot,
    Table,
    line,
    line_plot,
    x_axis,
    y_axis,
)
from control_plane.analysis.comparison import PRIMARY, Comparison, invalid, stream_of, value_of
from control_plane.analysis.run_labels import RunLabel
from control_plane.domain.metrics_and_objectives import METRIC
from control_plane.domain.result import Summary
from control_plane.domain.run import Run
from control_plane.domain.times_and_percentiles import (
    GREYED,
    PERCENTILES,
    Times,
    cut_off,
    no_answer_text,
)
from control_plane.domain.units import figures, rate, ratio

CHARTED = {
    "throughput_per_s": "throughput",
    "response_time_s.p50": "p50",
    "response_time_s.p90": "p90",
    "response_time_s.p99": "p99",
    "response_time_s.max": "max",
    "first_byte_time_s.p50": "first byte",
    "cpu_s_per_request": "CPU",
    "peak_memory_bytes": "memory",
}
SHORT = {"throughput": "/s", "memory": "mem", "first byte": "first"}
"""The same on a small screen."""

_TICKS = (0.001, 0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100, 1_000, 10_000)


def metric_ratios(comparison: Comparison, stream: str) -> Figure:
    """Return ratios on a log scale; the baseline is the line at 1.

    A line breaks where a ratio is missing.
    """
    base = comparison.label(comparison.baseline)
    names = [name for name in CHARTED if _known(comparison, stream, name)]
    found = {
        label.id: [_ratio(comparison, stream, name, label.id) for name in names]
        for label in comparison.labels
    }
    bounds = _bounds([value for ratios in found.values() for value in ratios if value])
    lines = [label for label in comparison.labels if any(found[label.id])]
    doubted = {run.id for run in comparison.runs if invalid(run)}
    title = f"Each metric against {base.letter}"
    names_of_lines = [
        f"{label.text}, invalid" if label.id in doubted else label.text for label in lines
    ]
    drawn = line_plot(
        [_trace(label, found[label.id], invalid=label.id in doubted) for label in lines],
        (_metric_axis(names, short=False), _ratio_axis(bounds)),
        [
            EndLabel(text, label.letter, label.text_colour, math.log10(_last(found[label.id])))
            for label, text in zip(lines, names_of_lines, strict=True)
        ],
        CHART_HEIGHT,
    )
    drawn["narrow"]["xaxis"] = _metric_axis(names, short=True)
    return Figure(
        name="metrics",
        title=title,
        note="ratio to the baseline",
        label=f"{title}: {_message(lines, names, found, base)}",
        plot=drawn,
        table=_table(comparison.labels, names, found),
        height=CHART_HEIGHT,
    )


def _known(comparison: Comparison, stream: str, metric: str) -> bool:
    others = [label.id for label in comparison.labels if label.id != comparison.baseline]
    if metric.startswith("first_byte") and not comparison.begins_early(stream):
        return False
    return any(_ratio(comparison, stream, metric, run_id) for run_id in others)


def _ratio(comparison: Comparison, stream: str, metric: str, run_id: str) -> float | None:
    """Return a ratio; None where either side has too few samples beyond the percentile."""
    sides = [comparison.run(side) for side in (run_id, comparison.baseline)]
    if not all(_supported(stream_of(run, stream), metric) for run in sides):
        return None
    return comparison.row(stream, metric).ratios[run_id]


def _supported(summary: Summary | None, metric: str) -> bool:
    name, _, part = metric.partition(".")
    times: Times | None = getattr(summary, name, None) if part else None
    return times is None or times.support.get(part, GREYED) >= GREYED


def _bounds(values: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the axis in decades, 1 between them."""
    low, high = math.log10(min(values, default=1)), math.log10(max(values, default=1))
    low, high = min(low, 0.0), max(high, 0.0)
    room = max(0.08 * (high - low), 0.05)
    return low - room, high + room


def _metric_axis(names: Sequence[str], *, short: bool) -> Plot:
    texts = [CHARTED[name] for name in names]
    return x_axis(
        range=[-0.15, max(len(names) - 1, 1) + 0.15],
        tickvals=list(range(len(names))),
        ticktext=[SHORT.get(text, text) for text in texts] if short else texts,
        tickangle=0,
        showgrid=True,
        showline=False,
        ticks="",
    )


def _ratio_axis(bounds: tuple[float, float]) -> Plot:
    ticks = [tick for tick in _TICKS if bounds[0] <= math.log10(tick) <= bounds[1]]
    texts = [f"×{tick:,g}" if tick >= 1 else f"÷{1 / tick:,g}" for tick in ticks]
    texts = ["same" if tick == 1 else text for tick, text in zip(ticks, texts, strict=True)]
    return y_axis(type="log", range=list(bounds), tickvals=ticks, ticktext=texts)


def _trace(label: RunLabel, values: Sequence[float | None], *, invalid: bool) -> Plot:
    shown = [None if value is None else float(f"{value:.4g}") for value in values]
    return line(
        list(range(len(values))),
        shown,
        label.colour,
        mode="lines+markers",
        marker={"symbol": label.symbol, "size": 9, "color": label.colour},
        stroke={"dash": "dash"} if label.hollow or invalid else {},
        name=label.letter,
        text=[ratio(value) for value in values],
        hovertemplate="%{fullData.name} %{x}: %{text}<extra></extra>",
        connectgaps=False,
        opacity=FADED if invalid else 1.0,
    )


def _last(ratios: Sequence[float | None]) -> float:
    """Return the last of them that is known."""
    return next(value for value in reversed(ratios) if value)


def _message(
    lines: Sequence[RunLabel],
    names: Sequence[str],
    found: dict[str, list[float | None]],
    base: RunLabel,
) -> str:
    phrases = [
        f"{label.letter} {CHARTED[name]} {ratio(value)}"
        for label in lines
        if label != base
        for name, value in zip(names, found[label.id], strict=True)
        if value is not None
    ]
    return ", ".join(phrases) or "no ratio is known"


def _table(
    labels: Sequence[RunLabel], names: Sequence[str], found: dict[str, list[float | None]]
) -> Table:
    rows = tuple((label.text, *found[label.id]) for label in labels)
    return Table(("", *(f"{CHARTED[name]}, ratio" for name in names)), rows)


CLEAR = 1.1
"""Below this factor between the two longest bars the title names neither."""


@dataclass(frozen=True)
class Bar:
    """One metric of one run, with a tick for each trial.

    `share` and `ticks` (one for each trial) as parts of the axis, 0 to 1.

    `value` None: not measured, no bar. `outcome` is the run's validity.
    """

    label: RunLabel
    value: float | None
    share: float
    ticks: tuple[float, ...]
    text: str
    outcome: str | None


@dataclass(frozen=True)
class BarChart:
    """Bars of one metric: a Figure with bars in place of Plotly's JSON."""

    name: str
    title: str
    note: str
    label: str
    bars: tuple[Bar, ...]
    table: Table


def metric_bars(comparison: Comparison, stream: str, metric: str = PRIMARY) -> BarChart:
    """Return one number of each run, of all trials; the axis ends at the largest tick."""
    row = comparison.row(stream, metric)
    trials = {run.id: _per_trial(run, stream, metric) for run in comparison.runs}
    seen = [value for value in row.values.values() if value] + [
        value for values in trials.values() for value in values
    ]
    longest = max(seen, default=0.0) or 1.0
    bars = tuple(
        Bar(
            label=comparison.label(run.id),
            value=row.values[run.id],
            share=(row.values[run.id] or 0.0) / longest,
            ticks=tuple(value / longest for value in trials[run.id]),
            text=row.text(run.id),
            outcome=run.validity.outcome if run.validity else None,
        )
        for run in comparison.runs
    )
    # Who serves most is of no account where the machines differ.
    of_rates = _title(() if comparison.apart else bars)
    title, note = of_rates if metric == PRIMARY else (METRIC[metric].label, "")
    label = "; ".join(f"{bar.label.text} {bar.text}" for bar in bars)
    name = "throughput" if metric == PRIMARY else "bars"
    head = "throughput, /s" if metric == PRIMARY else f"{metric}, {row.unit}"
    return BarChart(name, title, note, f"{title}: {label}", bars, _bars_table(bars, trials, head))


def _per_trial(run: Run, stream: str, metric: str) -> tuple[float, ...]:
    """Return the number of each trial; none of a single trial, whose tick would end its bar."""
    found = [
        value
        for trial in run.trials
        for summary in trial.streams
        if summary.name == stream and (value := value_of(summary, metric)) is not None
    ]
    return tuple(found) if len(found) > 1 else ()


def _title(bars: tuple[Bar, ...]) -> tuple[str, str]:
    sound = [bar for bar in bars if bar.value and bar.outcome != "invalid"]
    if len(sound) < 2:
        return "Throughput", "completed requests per second"
    best, second, *_ = sorted(sound, key=lambda bar: -bar.share)
    if best.share < CLEAR * second.share:
        return "Throughput", "completed requests per second"
    return f"{best.label.letter} served most in these runs", "completed requests per second"


def _bars_table(bars: tuple[Bar, ...], trials: dict[str, tuple[float, ...]], head: str) -> Table:
    most = max(map(len, trials.values()), default=0)
    unit = head.rpartition(", ")[2]
    columns = ("", head, *(f"trial {index + 1}, {unit}" for index in range(most)))
    rows = []
    for bar in bars:
        found = trials[bar.label.id]
        rest = (None,) * (most - len(found))
        rows.append((bar.label.text, bar.value, *found, *rest))
    return Table(columns, tuple(rows))


def stream_names(comparison: Comparison) -> tuple[str, ...]:
    """Return the streams in which at least one run has a result."""
    return tuple(
        name
        for name in comparison.streams
        if any(stream_of(run, name) is not None for run in comparison.runs)
    )


TALLEST = 100
"""The top of the scale: a hundred times the median."""


@dataclass(frozen=True)
class Sparkline:
    """Points in a box of 100 by 100 with y downwards, for the points of an SVG polyline."""

    points: tuple[tuple[float, float], ...]
    label: str

    @property
    def text(self) -> str:
        """Return `0,100 36.2,80`: as an SVG polyline takes it."""
        return " ".join(f"{x:g},{y:g}" for x, y in self.points)


LEAST_SPREAD = 0.1
"""Trials that lie within a tenth of the middle one are drawn on this scale, not on a finer one."""


def trial_sparkline(rates_per_s: Sequence[float]) -> Sparkline:
    """Return the throughput of each trial around that of the middle one; no line of fewer than two.

    A flat line is one of trials that agree.
    """
    if len(rates_per_s) < 2 or not (middle := median(rates_per_s)):
        return Sparkline((), "one trial")
    shares = [rate_per_s / middle - 1 for rate_per_s in rates_per_s]
    half = max(LEAST_SPREAD, *map(abs, shares))
    step = 100 / (len(shares) - 1)
    points = tuple(
        (round(step * place, 1), round(50 - 50 * part / half, 1))
        for place, part in enumerate(shares)
    )
    ends = f"{figures(min(rates_per_s))} to {rate(max(rates_per_s))}"
    return Sparkline(points, f"throughput of {len(shares)} trials: {ends}")


_PLACES = {
    name: round(100 * (nines(part) - FIRST) / (nines(PERCENTILES["p999"]) - FIRST), 2)
    for name, part in PERCENTILES.items()
}


def sparkline(times: Times | None) -> Sparkline:
    """Return percentiles over the median, from p50 to where fewer than 10 samples lie beyond.

    A flat line is a short tail.
    """
    if times is None or not times.p50:
        return Sparkline((), "not measured")
    known = {
        name: value / times.p50
        for name in PERCENTILES
        if times.support.get(name, 0) >= GREYED and (value := times.percentile(name))
    }
    points = tuple((_PLACES[name], _y(factor)) for name, factor in known.items())
    if len(points) < 2:
        return Sparkline((), "too few samples")
    last, factor = list(known.items())[-1]
    name = "p99.9" if last == "p999" else last
    beyond = f"; {no_answer_text(times.unanswered)}" if times.unanswered and cut_off(times) else ""
    return Sparkline(points, f"{name} is {figures(factor, 2)} times p50{beyond}")


def _y(factor: float) -> float:
    height = math.log(max(1.0, factor)) / math.log(TALLEST)
    return round(100 * (1 - min(1.0, height)), 2)
