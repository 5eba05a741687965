"""Timelines of several runs on the same axes: response times, and strips of how near a limit is."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np

from control_plane.analysis.charts.figure import (
    Annotations,
    EndLabel,
    Figure,
    Height,
    Plot,
    Table,
    end_labels,
    line,
    log_range,
    milliseconds,
    plot,
    plot_height,
    short_time,
    time_axis,
    window_axis,
    y_axis,
)
from control_plane.analysis.charts.response_panels import (
    FURTHEST_FIRST,
    furthest_percentile,
    heat_map,
    outlined,
    percentile_values,
)
from control_plane.analysis.charts.run_lane import RunLane, run_lanes
from control_plane.analysis.charts.trial_axis import (
    SecondSeries,
    TrialSegment,
    Values,
    end_s,
    step_line,
)
from control_plane.analysis.prose.sentence import joined
from control_plane.analysis.run_labels import RunLabel
from control_plane.domain.histogram import middle_ns
from control_plane.domain.limits import BUSY_SHARE
from control_plane.domain.run import RunDetail
from control_plane.domain.units import SPACE

Pick = Callable[[SecondSeries], Values]
Cell = tuple[float, float, float, float]
"""A second: where it begins and ends, and its two values."""


def percentile_band(segments: Sequence[TrialSegment], low: Pick, high: Pick, colour: str) -> Plot:
    """Return the area between two percentiles: a shape of steps for each row without a gap."""
    x: list[float | None] = []
    y: list[float | None] = []
    for cells in _unbroken_cells(segments, low, high):
        x += [edge for begin, end, *_ in cells for edge in (begin, end)]
        x += [edge for begin, end, *_ in reversed(cells) for edge in (end, begin)]
        y += [value for *_, value in cells for _ in range(2)]
        y += [value for *_, value, _ in reversed(cells) for _ in range(2)]
        x.append(None)
        y.append(None)
    shape = {"fill": "toself", "fillcolor": f"{colour}/0.16", "hoverinfo": "skip"}
    return {**line([], [], colour, 0, connectgaps=False), **shape, "x": x, "y": y}


def _unbroken_cells(
    segments: Sequence[TrialSegment], low: Pick, high: Pick
) -> Iterator[list[Cell]]:
    for series in (series for segment in segments for series in segment.series):
        edges = series.edges
        rows = zip(edges, edges[1:], low(series), high(series), strict=False)
        for _, found in groupby(rows, lambda row: None not in row):
            cells = [
                (begin, end, float(f"{under:.4g}"), float(f"{over:.4g}"))
                for begin, end, under, over in found
                if under is not None and over is not None
            ]
            if cells:
                yield cells


STRIP = 13
"""Pixels of a strip and the gap below it."""

GAP = 0.04
"""Part of the height between the response times and the strips."""

ROOM = 0.2
"""Decades below the lowest line, for its label."""

MOST_HEAT_MAPS = 2
"""So many runs are drawn as heat maps; more as the area from p50 to p99."""

WIDTHS = {"p50": 2.0, "p95": 1.0, "p99": 1.0}

_COLOURS = [
    [0.0, "$well"],
    [BUSY_SHARE - 0.001, "$ink-3"],
    [BUSY_SHARE, "$cause"],
    [1.0, "$cause"],
]


def run_timelines(
    details: Sequence[RunDetail], labels: Sequence[RunLabel], stream: str, trial: int = 1
) -> tuple[Figure, ...]:
    """One figure for each run that has that trial, with the same ranges on both axes.

    As on the page of a run p95 stands for p99 where the seconds have too few samples for it, or p50
    alone.
    """
    drawn = run_lanes(details, labels, stream, trial)
    longest = max((end_s(lane.segments) for lane in drawn), default=1.0)
    heats = len(drawn) <= MOST_HEAT_MAPS
    known = [
        value for lane in drawn for value in (_extremes(lane) if heats else _percentiles(lane))
    ]
    low, high = log_range(min(known, default=0.001), max(known, default=1.0))
    bounds = (low - (0 if heats else ROOM), high)
    return tuple(_figure(lane, longest, bounds, heats=heats) for lane in drawn)


def run_timelines_legend(figures: Sequence[Figure]) -> str:
    """How to read the response times, by what is drawn of them."""
    named = [
        {label["text"] for label in figure.plot["layout"]["annotations"]} for figure in figures
    ]
    far = [name for name in reversed(FURTHEST_FIRST) if any(name in texts for texts in named)]
    whole = all("p99" in texts for texts in named)
    end = "." if whole else ", as its samples allow." if far else ": too few samples for more."
    if any(trace["type"] == "heatmap" for figure in figures for trace in figure.plot["data"][:1]):
        lines = f"lines: {joined(['p50', *far])}" if far else "line: p50"
        return f"Fuller blue: more requests in that second; {lines}{end}"
    return f"{' to '.join(['p50', *([' or '.join(far)] if far else [])])} of each second{end}"


def _drawn(lane: RunLane) -> tuple[str, ...]:
    far = furthest_percentile(lane.segments)
    return ("p50", far) if far else ("p50",)


def _percentiles(lane: RunLane) -> list[float]:
    found = [
        value for name in _drawn(lane) for value in percentile_values(name)(lane.segment.window)
    ]
    return [value for value in found if value]


def _extremes(lane: RunLane) -> list[float]:
    """The shortest and the longest response time, where each second is known in full."""
    slices = lane.segment.slices
    if slices is None or not len(slices.indices):
        return _percentiles(lane)
    ends = [int(slices.indices.min()), int(slices.indices.max())]
    return [max(int(end), 1) / 1e9 for end in middle_ns(np.array(ends))]


def _figure(lane: RunLane, longest: float, bounds: tuple[float, float], *, heats: bool) -> Figure:
    height: Height = "h220" if heats else "h140"
    pixels, low = plot_height(height), STRIP * len(lane.strips) / plot_height(height)
    percentile_band = (1 - low - GAP) * pixels
    axes = {
        "xaxis": window_axis(longest, anchor="y2"),
        "yaxis": time_axis(bounds, most=5 if heats else 3, domain=[round(low + GAP, 4), 1]),
        "yaxis2": y_axis(
            domain=[0, round(low, 4)],
            range=[max(len(lane.strips), 1) - 0.5, -0.5],
            showticklabels=False,
            ticks="",
            showgrid=False,
        ),
    }
    wide, narrow = (_labels(lane, axes, percentile_band, short=short) for short in (False, True))
    above = heat_map(lane.segments, bounds, percentile_band, lane.opacity) if heats else []
    said = ", ".join(strip.text for strip in lane.strips)
    return Figure(
        name=f"timeline-{lane.label.letter.lower()}",
        title=lane.title,
        note="",
        label=f"{lane.title}. {said}" if said else lane.title,
        plot=plot(
            [*above, *_lines(lane, filled=not above), *_strips(lane)],
            axes,
            Annotations(wide, narrow, right=168, narrow_right=84),
        ),
        table=_table(lane),
        height=height,
    )


def _lines(lane: RunLane, *, filled: bool) -> list[Plot]:
    """p50 and what the seconds can bear beyond it; the area between them is filled."""
    colour = lane.label.colour if filled else "$ink"
    names = _drawn(lane)
    lines = [_line(lane, name, colour) for name in names]
    if not filled:
        return [trace for drawn in lines for trace in outlined(drawn)]
    low, high = percentile_values(names[0]), percentile_values(names[-1])
    shape = {**percentile_band(lane.segments, low, high, colour), "opacity": lane.opacity}
    return [*([shape] if len(names) > 1 else []), *lines]


def _line(lane: RunLane, name: str, colour: str) -> Plot:
    x, y = step_line(lane.segments, percentile_values(name))
    return line(
        x,
        y,
        colour,
        WIDTHS[name],
        stroke={"shape": "hv"},
        opacity=lane.opacity,
        text=["" if value is None else f"{name} {short_time(value)}" for value in y],
        hovertemplate=f"%{{x:.0f}}{SPACE}s: %{{text}}<extra></extra>",
        connectgaps=False,
    )


def _strips(lane: RunLane) -> list[Plot]:
    if not lane.strips:
        return []
    return [
        {
            "type": "heatmap",
            "x": [*range(len(lane.strips[0].values)), round(lane.segment.end_s, 3)],
            "y": list(range(len(lane.strips))),
            "z": [strip.loads for strip in lane.strips],
            "text": [[f"{strip.head}: {value}" for value in strip.values] for strip in lane.strips],
            "hovertemplate": f"%{{x:.0f}}{SPACE}s, %{{text}}<extra></extra>",
            "zmin": 0,
            "zmax": 1,
            "colorscale": _COLOURS,
            "opacity": lane.opacity,
            "showscale": False,
            "xgap": 1,
            "ygap": 2,
            "yaxis": "y2",
        }
    ]


def _labels(lane: RunLane, axes: Plot, pixels: float, *, short: bool) -> list[Plot]:
    """Beside the end of the run, which may lie before the end of the axis."""
    strips = [
        EndLabel(strip.text, strip.short, "$cause" if strip.limit else "$ink-3", place)
        for place, strip in enumerate(lane.strips)
    ]
    found = [
        *end_labels(_percentile_marks(lane), axes["yaxis"], pixels, short=short, gap=12),
        *end_labels(strips, axes["yaxis2"], 0, short=short, gap=0, yref="y2"),
    ]
    end = end_s(lane.segments)
    small = {"weight": 400, "size": 11}
    return [{**label, "xref": "x", "x": end, "font": {**label["font"], **small}} for label in found]


def _percentile_marks(lane: RunLane) -> list[EndLabel]:
    """At the last second that can bear it."""
    window = lane.segment.window
    values = {
        name: [value for value in percentile_values(name)(window) if value] for name in _drawn(lane)
    }
    return [
        EndLabel(name, name, lane.text_colour, round(math.log10(known[-1]), 4))
        for name, known in values.items()
        if known
    ]


def _table(lane: RunLane) -> Table:
    timeline = lane.segment.timeline
    late = int(timeline.opens_s)
    rows = tuple(
        (
            index,
            done,
            milliseconds(timeline.p50[index]),
            milliseconds(timeline.p99[index]),
            *(strip.values[late + index] for strip in lane.strips),
        )
        for index, done in enumerate(timeline.completed)
    )
    heads = (strip.head for strip in lane.strips)
    return Table(("second", "completed", "p50, ms", "p99, ms", *heads), rows)
