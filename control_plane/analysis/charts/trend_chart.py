"""The chart of a trend: each run, the level between steps, and what changed around them."""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from control_plane.analysis.charts.figure import (
    LABEL_GAP,
    Annotations,
    Figure,
    Height,
    Plot,
    Table,
    annotation,
    label_room,
    line,
    plot,
    scale_of,
    x_axis,
    y_axis,
)
from control_plane.analysis.charts.metric_charts import Sparkline
from control_plane.analysis.charts.shift import round_ticks
from control_plane.analysis.trend import Trend, TrendStep, moved_by
from control_plane.domain.units import SPACE, WRITTEN, change, ratio, seconds, split_bytes

MOST_COMMITS, MOST_NOTES = 8, 6
"""So many commits are named at the axis, and so many changes on lines of their own."""

TREND_HEIGHT: Height = "h440"
_LEAST_RIGHT, _NARROW_RIGHT = 84, 68
_LEAST_PLOT = 500
"""Pixels across the plotting area where notes stand: on a narrower screen there are none."""
_LEAST_TICKS = 4
_BYTES = {"B": 1.0, "kB": 1e-3, "MB": 1e-6, "GB": 1e-9}
_SHADES = {"worse": "$bad", "better": "$good"}

Places = Sequence[str] | Sequence[int]


def trend_chart(trend: Trend) -> Figure:
    """Return a metric over time or commits: a field for the range of each step, and a dotted line
    where machine or packages changed.
    """
    x, (factor, unit) = _places(trend), _unit(trend)
    bounds = _bounds(trend, factor)
    ticks = _ticks(max(bounds[0], 0.0), bounds[1])
    texts = [f"{tick:,.6g}{SPACE}{unit}" for tick in ticks] if unit else _ratio_texts(ticks)
    levels = _levels(trend, x, factor)
    last = levels["y"][-1]
    said = written(trend, last / factor)
    ends = [annotation(said, "$ink", y=last)]
    axes = {
        "xaxis": _axis(trend),
        "yaxis": y_axis(range=list(bounds), tickvals=ticks, ticktext=texts),
    }
    right = label_room([said], _LEAST_RIGHT)
    notes = Annotations([*ends, *_notes(trend, x)], ends, right, _NARROW_RIGHT)
    shapes = [*_fields(trend, x), *_lines(trend, x)]
    doubted = f", {trend.suspect} of them suspect" if trend.suspect else ""
    drawn = plot([_marks(trend, x, factor), levels], axes, notes, shapes)
    return Figure(
        name="trend",
        title=trend.title,
        note="each run, and the level between steps",
        label=f"{trend.sentence}. {len(trend.points)} points{doubted}; the last level is {said}.",
        plot={**drawn, "narrow": {**drawn["narrow"], "xaxis": _axis(trend, narrow=True)}},
        table=trend_table(trend),
        height=TREND_HEIGHT,
    )


def written(trend: Trend, value: float) -> str:
    """Return a number of the trend as people read it: `1.20 ms`; of ratios `×1.05`."""
    return ratio(value) if trend.runs.key.baseline else WRITTEN[trend.metric.unit](value)


def _places(trend: Trend) -> Places:
    """Return where each point stands: its time, or the place of its commit."""
    if trend.axis == "time":
        return [f"{point.run.at:%Y-%m-%d %H:%M:%S}" for point in trend.points]
    commits = {commit: place for place, commit in enumerate(_commits(trend))}
    return [commits[point.commit.text] for point in trend.points if point.commit]


def _commits(trend: Trend) -> list[str]:
    return list(dict.fromkeys(point.commit.text for point in trend.points if point.commit))


def _axis(trend: Trend, *, narrow: bool = False) -> Plot:
    if trend.axis == "time":
        ends = (trend.points[0].run.at, trend.points[-1].run.at)
        return _time_axis(*ends, 3 if narrow else 6)
    commits, most = _commits(trend), MOST_COMMITS // 2 if narrow else MOST_COMMITS
    named = range(0, len(commits), math.ceil(len(commits) / most))
    return x_axis(
        range=[-0.5, len(commits) - 0.5],
        tickvals=list(named),
        ticktext=[commits[place][:7] for place in named],
    )


def _time_axis(first: datetime, last: datetime, most: int) -> Plot:
    """Return an axis of at most so many dates, with room at its ends, as exactly as it is long."""
    room = (last - first) * 0.02 or timedelta(minutes=5)
    ends = [f"{at:%Y-%m-%d %H:%M:%S}" for at in (first - room, last + room)]
    limits = (timedelta(minutes=10), timedelta(days=3), timedelta(days=300), timedelta.max)
    formats = ("%H:%M:%S", "%-d %b %H:%M", "%-d %b", "%b %Y")
    shown = next(text for limit, text in zip(limits, formats, strict=True) if last - first < limit)
    return x_axis(type="date", range=ends, nticks=most, tickformat=shown)


def _ticks(low: float, high: float) -> list[float]:
    """Return round values, of a finer step where they are few."""
    ticks = round_ticks(low, high)
    if not 1 < len(ticks) < _LEAST_TICKS:
        return ticks
    step = ticks[1] - ticks[0]
    # A half of 5 has a digit more than 5.
    finer = step * (0.4 if f"{step:e}".startswith("5") else 0.5)
    places = range(math.ceil(low / finer), math.floor(high / finer) + 1)
    return [float(f"{finer * place:.6g}") for place in places]


def _ratio_texts(ticks: Sequence[float]) -> list[str]:
    """Return each with as many decimal places as the one that needs most."""
    places = max((len(f"{tick:.6f}".rstrip("0").partition(".")[2]) for tick in ticks), default=0)
    return [f"×{tick:,.{places}f}" for tick in ticks]


def _unit(trend: Trend) -> tuple[float, str]:
    """Return what values are multiplied with, and their unit; ratios have none."""
    highest, unit = max(point.value for point in trend.points), trend.metric.unit
    if trend.runs.key.baseline:
        return 1.0, ""
    if unit == "bytes":
        name = split_bytes(highest)[1]
        return _BYTES[name], name
    if unit in {"s", "s_per_request"}:
        return scale_of(highest)
    return (100.0, "%") if unit == "share" else (1.0, "/s")


def _bounds(trend: Trend, factor: float) -> tuple[float, float]:
    ends = [end for point in trend.points for end in (point.value, point.low, point.high)]
    known = [end * factor for end in ends if end is not None]
    room = 0.1 * (max(known) - min(known)) or 0.1 * max(known) or 1.0
    return min(known) - room, max(known) + room


def _marks(trend: Trend, x: Places, factor: float) -> Plot:
    points = trend.points
    reach = {
        "type": "data",
        "symmetric": False,
        "array": [(point.high or point.value) - point.value for point in points],
        "arrayminus": [point.value - (point.low or point.value) for point in points],
        "color": "$run-1/0.5",
        "thickness": 1,
        "width": 0,
    }
    return {
        "type": "scatter",
        "mode": "markers",
        "x": x,
        "y": [_rounded(point.value * factor) for point in points],
        "marker": {
            "size": 7,
            "color": "$run-1",
            "symbol": _symbols(trend),
        },
        "text": [f"run {point.run.id}: {written(trend, point.value)}" for point in points],
        "hovertemplate": "%{text}<extra></extra>",
        **({"error_y": reach} if trend.runs.key.baseline else {}),
    }


def _symbols(trend: Trend) -> str | list[str]:
    """Return the mark of each point, hollow for a suspect run; one for all where none is."""
    valid = [point.run.outcome == "valid" for point in trend.points]
    return "circle" if all(valid) else ["circle" if each else "circle-open" for each in valid]


def _levels(trend: Trend, x: Places, factor: float) -> Plot:
    """Return a line at each level, from its first point to its last."""
    ends = [*(begin for begin, _ in trend.levels[1:]), len(trend.points)]
    across: list[str | int | None] = []
    along: list[float | None] = []
    for (begin, height), end in zip(trend.levels, ends, strict=True):
        across += [None] if across else []
        along += [None] if along else []
        across += [x[begin], x[end - 1]]
        along += 2 * [_rounded(height * factor)]
    drawn = line([], along, "$ink", connectgaps=False, hoverinfo="skip")
    return {**drawn, "x": across}


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")


def _fields(trend: Trend, x: Places) -> Iterator[Plot]:
    """Yield the range of each step, as high as the figure."""
    for step in trend.steps:
        colour, ends = _SHADES.get(step.verdict, "$ink-3"), (x[step.first - 1], x[step.last])
        stroke = {"width": 1, "color": f"{colour}/0.5"}
        yield {**_upright("rect", ends, stroke), "fillcolor": f"{colour}/0.14"}


def _lines(trend: Trend, x: Places) -> Iterator[Plot]:
    """Yield a line before each point that was measured in another environment."""
    for changed in trend.changes:
        stroke = {"width": 1, "color": "$ink-3", "dash": "dot"}
        yield _upright("line", (x[changed.at], x[changed.at]), stroke)


def _upright(kind: str, ends: tuple[str | int, str | int], stroke: Plot) -> Plot:
    across = {"xref": "x", "x0": ends[0], "x1": ends[1]}
    height = {"yref": "paper", "y0": 0, "y1": 1}
    return {"type": kind, "layer": "below", "line": stroke, **across, **height}


def _notes(trend: Trend, x: Places) -> Iterator[Plot]:
    """Yield what stands above steps, and below lines as long as they are few."""
    on_axis: Plot = {"xref": "x", "yref": "paper"}
    for step in trend.steps[-MOST_NOTES:]:
        colour, place = _SHADES.get(step.verdict, "$ink-2"), {"x": x[step.last], "xshift": 4}
        above: Plot = {**on_axis, **place, "xanchor": "left", "yanchor": "top"}
        text = change(step.change, trend.metric.unit)
        yield annotation(text, colour, y=1, **above)
    if len(trend.changes) <= MOST_NOTES:
        yield from _change_notes(trend, x)


def _change_notes(trend: Trend, x: Places) -> Iterator[Plot]:
    """Yield what changed, before its line or, where there is no room, behind it; one above another
    where they would meet.
    """
    across, taken = _across(trend), list[tuple[float, float, int]]()
    for changed in trend.changes:
        first, *others = changed.differences
        text = f"{first.label} and {len(others)} more" if others else first.label
        at, room = across[changed.at], label_room([text], 0) / _LEAST_PLOT
        behind = at < room
        begin, end = (at, at + room) if behind else (at - room, at)
        level = 1 + max(
            (above for low, high, above in taken if low < end and begin < high), default=-1
        )
        taken.append((begin, end, level))
        side: Plot = {"xanchor": "left" if behind else "right", "xshift": 4 if behind else -4}
        below: Plot = {
            **side,
            "xref": "x",
            "x": x[changed.at],
            "yref": "paper",
            "yanchor": "bottom",
        }
        font = {"color": "$ink-2", "size": 12}
        yield annotation(text, "$ink-2", y=0, shift=LABEL_GAP * level, font=font, **below)


def _across(trend: Trend) -> list[float]:
    """Return where each point stands between the first and the last."""
    if trend.axis == "time":
        places = [point.run.at.timestamp() for point in trend.points]
    else:
        places = [float(place) for place in _places(trend)]
    low, whole = min(places), (max(places) - min(places)) or 1.0
    return [(place - low) / whole for place in places]


def step_text(trend: Trend, step: TrendStep) -> str:
    """Return how much a step is, and what that is worth: `+12 %, worse`."""
    return f"{change(step.change, trend.metric.unit)}, {step.verdict}"


def course(numbers: Sequence[float]) -> Sparkline:
    """Return times over their places, from the least to the greatest; none of fewer than two."""
    if len(numbers) < 2:
        return Sparkline((), "not measured")
    low, high = min(numbers), max(numbers)
    points = (
        (
            round(100 * place / (len(numbers) - 1), 1),
            round(100 * (high - number) / (high - low), 1) if high > low else 50.0,
        )
        for place, number in enumerate(numbers)
    )
    return Sparkline(tuple(points), f"p50 from {seconds(low)} to {seconds(high)}")


def trend_table(trend: Trend) -> Table:
    """Return the points, and at the first behind each step how much that is."""
    # A spreadsheet takes `+12 %` for a formula.
    metric = trend.metric
    steps = {step.at: f"{moved_by(step, metric)}, {step.verdict}" for step in trend.steps}
    unit = "ratio" if trend.runs.key.baseline else trend.metric.unit
    ends = ("low, 95 %", "high, 95 %") if trend.runs.key.baseline else ()
    rows = (
        (
            f"{point.run.at:%Y-%m-%d %H:%M}",
            point.run.id,
            point.value,
            *((point.low, point.high) if ends else ()),
            point.commit.text if point.commit else None,
            point.run.outcome,
            steps.get(at),
        )
        for at, point in enumerate(trend.points)
    )
    heads = ("measured, UTC", "run", unit, *ends, "commit", "validity", "step")
    return Table(heads, tuple(rows))
