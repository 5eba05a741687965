"""What results of other tools look like: percentiles as they are told, and the course."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from control_plane.analysis.charts.curve import Curve, curve_of, nines, percentile_axis, shares
from control_plane.analysis.charts.distribution import distribution_chart
from control_plane.analysis.charts.figure import (
    CHART_HEIGHT,
    FIRST,
    LAST,
    PERCENTILE_TICKS,
    EndLabel,
    Figure,
    Plot,
    Table,
    line,
    line_plot,
    log_range,
    milliseconds,
    rounded,
    short_time,
    time_axis,
    window_axis,
    zero_based_axis,
)
from control_plane.analysis.charts.panels import Panel, stacked
from control_plane.analysis.charts.percentiles import DOTTED_NOTE, last_place, percentile_chart
from control_plane.analysis.run_labels import RunLabel
from control_plane.analysis.tool_comparison import Measurement
from control_plane.domain.times_and_percentiles import GREYED
from control_plane.domain.tool_result import ToolSeconds, ToolStream
from control_plane.domain.units import SPACE, figures, number_of, rate, seconds

PERCENTILE_WEIGHTS = {"p50": 2.5, "p95": 1.5, "p99": 0.9}
LEAST_MOMENTS = 3
"""Fewer show no course."""

LEAST_POINTS = 2

AS_TOLD = "marks alone: percentiles as the tool prints them"


def _curve_of(side: Measurement) -> Curve | None:
    """Return the curve of a side with samples; None where percentiles are all, or all are zero."""
    samples = side.samples
    if samples is None or not samples.total or not samples.quantile_ns(0.5):
        return None
    return curve_of(side.label, samples, believed=side.outcome != "invalid")


@dataclass(frozen=True)
class ToldPoints:
    """The percentiles of a side without samples: places on the percentile axis, and seconds."""

    side: Measurement
    pairs: tuple[tuple[float, float], ...]


def told_points(side: Measurement) -> ToldPoints | None:
    """Return what a side without samples tells from p50 on; None where that is nothing."""
    pairs = sorted(
        (nines(share), value_s)
        for name, value_s in side.stream.times.percentiles.items()
        if 0.5 <= (share := float(name) / 100) < 1 and value_s > 0 and nines(share) <= LAST
    )
    if side.samples is not None or len(pairs) < LEAST_POINTS:
        return None
    return ToldPoints(side, tuple(pairs))


def tool_percentile_chart(sides: Sequence[Measurement]) -> Figure | None:
    """Return curves of the sides with samples and marks of those without; None of neither."""
    curves = [curve for side in sides if (curve := _curve_of(side))]
    told = [points for side in sides if (points := told_points(side))]
    if not curves and not told:
        return None
    if len(sides) == 1:
        curves = [replace(curve, name=sides[0].stream.name) for curve in curves]
    figure = percentile_chart(curves)
    if not told:
        return figure if len(sides) == 1 else _retitled(figure, "")
    known = [(place, value) for points in told for place, value in points.pairs]
    lines = [(curve, _end(curve)) for curve in curves if last_place(curve, GREYED) >= FIRST]
    known += [end for _, end in lines]
    known += [(FIRST, curve.ticks["p50"]) for curve, _ in lines]
    bounds = log_range(min(value for _, value in known), max(value for _, value in known))
    labels = [_label(points.side.label, points.pairs[-1][1]) for points in told]
    labels += [_label(curve, end_s) for curve, (_, end_s) in lines]
    drawn = line_plot(
        [*figure.plot["data"], *map(_marks, told)],
        (percentile_axis(max(place for place, _ in known)), time_axis(bounds)),
        labels if len(sides) > 1 else (),
        CHART_HEIGHT,
        [DOTTED_NOTE] if lines else (),
    )
    table = _with_told(figure.table, told)
    return replace(_retitled(figure, AS_TOLD), plot=drawn, table=table, empty="")


def _end(curve: Curve) -> tuple[float, float]:
    """Return where a curve ends: its place on the percentile axis, and seconds."""
    place = last_place(curve, GREYED)
    return place, curve.samples.quantile_ns(float(shares(np.array(place)))) / 1e9


def _label(named: RunLabel | Curve, value_s: float) -> EndLabel:
    short = named.letter if isinstance(named, RunLabel) else named.short
    return EndLabel(named.text, short, named.text_colour, round(math.log10(value_s), 4))


def tool_distribution_chart(sides: Sequence[Measurement]) -> Figure | None:
    """Return the distribution of the sides with samples; None without any.

    It says of no heap that it is a kind of request: tools round, and that makes heaps, too.
    """
    curves = [curve for side in sides if (curve := _curve_of(side))]
    if not curves:
        return None
    figure = distribution_chart(curves)
    drawn = dict(figure.plot)
    for key in ("layout", "narrow"):
        drawn[key] = {**figure.plot[key], "annotations": []}
    title, note = "Where response times lie", "share of requests that succeeded"
    return replace(figure, title=title, note=note, label=f"{title}: {note}", plot=drawn)


def _retitled(figure: Figure, note: str) -> Figure:
    title = "Times at each percentile"
    return replace(figure, title=title, note=note, label=f"{title} {note}".strip())


def _marks(points: ToldPoints) -> Plot:
    label = points.side.label
    texts = [f"p{100 * (1 - 10**-place):.6g}: {short_time(value)}" for place, value in points.pairs]
    places, times_s = np.array(points.pairs).T
    return {
        "type": "scatter",
        "mode": "markers",
        "x": rounded(places),
        "y": rounded(times_s),
        "marker": {"symbol": label.symbol, "size": 9, "color": label.colour},
        "cliponaxis": False,
        "name": label.letter,
        "text": texts,
        "hovertemplate": "%{fullData.name} %{text}<extra></extra>",
    }


def _with_told(table: Table, told: Sequence[ToldPoints]) -> Table:
    rows = [
        (
            points.side.label.text,
            *(
                milliseconds(points.side.stream.times.percentiles.get(f"{100 * share:g}"))
                for share in PERCENTILE_TICKS.values()
            ),
            None,
        )
        for points in told
    ]
    return Table(table.columns, (*table.rows, *rows))


def tool_timeline(stream: ToolStream) -> Figure | None:
    """Return the course of a stream; None where the file has none, or too short a one."""
    course = stream.seconds
    if course is None or len(course.at_s) < LEAST_MOMENTS:
        return None
    end_s = _end_s(course)
    panels = [
        panel for panel in (_times_panel(course), _rates_panel(course, stream)) if panel is not None
    ]
    title = "Over time"
    rows = zip(
        course.at_s,
        course.completed,
        course.errors,
        *(map(milliseconds, part) for part in (course.p50, course.p95, course.p99)),
        strict=True,
    )
    heads = ("second", "completed, /s", "errors, /s", "p50, ms", "p95, ms", "p99, ms")
    return Figure(
        name="timeline",
        title=title,
        note="as the file tells it",
        label=f"{title}: {', '.join(label.text for panel in panels for label in panel.labels)}",
        plot=stacked(panels, window_axis(end_s), "h440"),
        table=Table(heads, tuple(rows)),
        height="h440",
    )


def _end_s(course: ToolSeconds) -> float:
    step = course.at_s[-1] - course.at_s[-2] or 1.0
    return course.at_s[-1] + min(step, 10.0)


def _times_panel(course: ToolSeconds) -> Panel | None:
    parts = {"p50": course.p50, "p95": course.p95, "p99": course.p99}
    known = [value for part in parts.values() for value in part if value]
    if not known:
        return None
    traces, labels = [], []
    for name, values in parts.items():
        told = [value for value in values if value]
        if told:
            y = [float(f"{value:.4g}") if value else None for value in values]
            traces.append(_steps(course, y, "$run-1", PERCENTILE_WEIGHTS[name]))
            text = f"{name} {seconds(told[-1])}"
            labels.append(EndLabel(text, name, "$run-1-text", math.log10(told[-1])))
    bounds = log_range(min(known), max(known))
    return Panel("Response time", time_axis(bounds), traces, labels, weight=3)


def _rates_panel(course: ToolSeconds, stream: ToolStream) -> Panel | None:
    known = [value for value in course.completed if value is not None]
    if not known:
        return None
    failed = [value for value in course.errors if value]
    high = max(*known, *failed, 0.0)
    traces = [_steps(course, list(course.completed), "$run-1", 2.0)]
    labels = [EndLabel(rate(known[-1]), figures(known[-1]), "$run-1-text", known[-1])]
    if failed:
        traces.append(_steps(course, list(course.errors), "$bad", 1.5))
        text = "errors" if stream.failed is None else number_of(stream.failed, "error")
        labels.append(EndLabel(text, "errors", "$bad", 0.0))
    axis = zero_based_axis(high, nticks=4, ticksuffix=f"{SPACE}/s")
    return Panel("Throughput", axis, traces, labels, weight=2)


def _steps(course: ToolSeconds, y: list[float | None], colour: str, width: float) -> Plot:
    x = [*course.at_s, _end_s(course)]
    stroke = {"shape": "hv"}
    return line(x, [*y, y[-1]], colour, width, stroke=stroke, hoverinfo="skip")
