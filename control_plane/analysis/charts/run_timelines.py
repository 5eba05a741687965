"""Timelines of several runs on the same axes: p50 to p99 of each second, and two strips of CPU."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.analysis.charts.axes import (
    brief,
    log_range,
    milliseconds,
    time_axis,
    window_axis,
)
from control_plane.analysis.charts.ends import Mark, end_labels
from control_plane.analysis.charts.figure import (
    Figure,
    Height,
    Labels,
    Plot,
    Table,
    line,
    plot,
    plot_height,
    y_axis,
)
from control_plane.analysis.charts.track import (
    Segment,
    end_s,
    mean,
    percentile,
    second_cpu,
    stepped,
)
from control_plane.analysis.comparison import invalid
from control_plane.analysis.labels import RunLabel
from control_plane.analysis.validity import CLIENT_CPU
from control_plane.domain.result import Timeline
from control_plane.domain.run import RunDetail
from control_plane.domain.spec import Target
from control_plane.domain.units import count, seconds, share

HEIGHT: Height = "h140"
STRIPS = 0.3
"""Part of the height that the two strips take."""

_COLOURS = [
    [0.0, "$well"],
    [CLIENT_CPU - 0.001, "$ink-3"],
    [CLIENT_CPU, "$cause"],
    [1.0, "$cause"],
]


@dataclass(frozen=True)
class Strip:
    """CPU of each second as a part of what the role can use, and the mean as it is written."""

    role: str
    loads: list[float | None]
    mean: float | None
    full: bool

    @property
    def text(self) -> str:
        limit = ", the limit" if self.full else ""
        return f"{self.role} CPU {share(self.mean)}{limit}"

    @property
    def short(self) -> str:
        return f"{self.role} {share(self.mean)}"


@dataclass(frozen=True)
class _Lane:
    label: RunLabel
    title: str
    timeline: Timeline
    strips: tuple[Strip, ...]

    @property
    def track(self) -> list[Segment]:
        return [Segment(0.0, self.timeline)]


def run_timelines(
    details: Sequence[RunDetail], labels: Sequence[RunLabel], stream: str, trial: int = 1
) -> tuple[Figure, ...]:
    """One figure for each run that has that trial, with the same ranges on both axes."""
    lanes = [
        _lane(detail, label, stream, trial)
        for detail, label in zip(details, labels, strict=True)
        if len(detail.timelines.get(stream, ())) >= trial
    ]
    longest = max((end_s(lane.track) for lane in lanes), default=1.0)
    known = [value for lane in lanes for value in (*lane.timeline.p50, *lane.timeline.p99) if value]
    bounds = log_range(min(known, default=0.001), max(known, default=1.0))
    return tuple(_figure(lane, longest, bounds) for lane in lanes)


def _lane(detail: RunDetail, label: RunLabel, stream: str, trial: int) -> _Lane:
    timeline = detail.timelines[stream][trial - 1]
    done = sum(timeline.completed)
    length_s = end_s([Segment(0.0, timeline)])
    doubt = ", invalid" if invalid(detail.run) else ""
    title = f"{label.text}{doubt}: {count(done)} requests in {seconds(length_s)}"
    return _Lane(label, title, timeline, _strips(detail, trial, len(timeline.completed)))


def _strips(detail: RunDetail, trial: int, length: int) -> tuple[Strip, ...]:
    """A target of several workers may use several cores; each load worker has one.

    A server that runs already has an unknown number of workers: no limit is named for it.
    """
    if len(detail.gauges) < trial:
        return ()
    target = detail.run.spec.target
    cores = {"target": target.workers if isinstance(target, Target) else None, "client": 1}
    strips = []
    for role in ("client", "target"):
        used = second_cpu(detail.gauges[trial - 1], role, length)
        average = mean(used)
        limit = cores[role]
        full = average is not None and limit is not None and average / limit >= CLIENT_CPU
        loads = [None if value is None else value / (limit or 1) for value in used]
        strips.append(Strip(role, loads, average, full))
    return tuple(strips)


def _figure(lane: _Lane, longest: float, bounds: tuple[float, float]) -> Figure:
    axes = {
        "xaxis": window_axis(longest, anchor="y2"),
        "yaxis": time_axis(bounds, most=3, domain=[STRIPS + 0.04, 1]),
        "yaxis2": y_axis(
            domain=[0, STRIPS], range=[1.5, -0.5], showticklabels=False, ticks="", showgrid=False
        ),
    }
    wide, narrow = (_labels(lane, axes, short=short) for short in (False, True))
    return Figure(
        name=f"timeline-{lane.label.letter.lower()}",
        title=lane.title,
        note="",
        label=f"{lane.title}. {', '.join(strip.text for strip in lane.strips)}",
        plot=plot(
            [*_area(lane), *_heat(lane)], axes, Labels(wide, narrow, right=168, narrow_right=84)
        ),
        table=_table(lane),
        height=HEIGHT,
    )


def _area(lane: _Lane) -> list[Plot]:
    """p50 below p99; the area between them is filled where neither is missing."""
    colour, traces = lane.label.colour, []
    for name, width, fill in (("p50", 2.0, {}), ("p99", 1.0, {"fill": "tonexty"})):
        x, y = stepped(lane.track, percentile(name))
        texts = ["" if value is None else f"{name} {brief(value)}" for value in y]
        chosen = {**fill, "fillcolor": f"{colour}/0.16"} if fill else {}
        stroke = {"shape": "hv"}
        hover = "%{x:.0f} s: %{text}<extra></extra>"
        traces.append(
            line(x, y, colour, width, stroke=stroke, text=texts, hovertemplate=hover, **chosen)
        )
    return traces


def _heat(lane: _Lane) -> list[Plot]:
    if not lane.strips:
        return []
    edges = stepped(lane.track, lambda segment: segment.timeline.completed)[0]
    texts = [[share(value) for value in strip.loads] for strip in lane.strips]
    return [
        {
            "type": "heatmap",
            "x": edges,
            "y": list(range(len(lane.strips))),
            "z": [strip.loads for strip in lane.strips],
            "text": texts,
            "hovertemplate": "%{text} of the limit<extra></extra>",
            "zmin": 0,
            "zmax": 1,
            "colorscale": _COLOURS,
            "showscale": False,
            "xgap": 1,
            "ygap": 3,
            "yaxis": "y2",
        }
    ]


def _percentile_marks(lane: _Lane) -> list[Mark]:
    """At the last second in which something completed."""
    known = {
        name: [value for value in getattr(lane.timeline, name) if value] for name in ("p50", "p99")
    }
    return [
        Mark(name, name, lane.label.text_colour, round(math.log10(values[-1]), 4))
        for name, values in known.items()
        if values
    ]


def _labels(lane: _Lane, axes: Plot, *, short: bool) -> list[Plot]:
    """Beside the end of the run, which may lie before the end of the axis."""
    pixels = plot_height(HEIGHT) * (1 - STRIPS)
    strips = [
        Mark(strip.text, strip.short, "$cause" if strip.full else "$ink-3", place)
        for place, strip in enumerate(lane.strips)
    ]
    found = [
        *end_labels(_percentile_marks(lane), axes["yaxis"], pixels, short=short, gap=12),
        *end_labels(strips, axes["yaxis2"], 0, short=short, gap=0, yref="y2"),
    ]
    end = end_s(lane.track)
    return [
        {**one, "xref": "x", "x": end, "font": {**one["font"], "weight": 400, "size": 11}}
        for one in found
    ]


def _table(lane: _Lane) -> Table:
    columns = (
        "second",
        "completed",
        "p50, ms",
        "p99, ms",
        *(f"{one.role} CPU, %" for one in lane.strips),
    )
    rows = tuple(
        (
            index,
            done,
            milliseconds(lane.timeline.p50[index]),
            milliseconds(lane.timeline.p99[index]),
            *(_percent(strip.loads[index]) for strip in lane.strips),
        )
        for index, done in enumerate(lane.timeline.completed)
    )
    return Table(columns, rows)


def _percent(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 1)
