"""Timelines of several runs on the same axes: response times, and strips of how near a limit is."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from control_plane.analysis.causes.blocked_loop import BLOCKED_SHARE, blocked_verdict
from control_plane.analysis.charts.curve import FADED
from control_plane.analysis.charts.figure import (
    Annotations,
    EndLabel,
    Figure,
    Height,
    Plot,
    Table,
    TableValue,
    end_labels,
    line,
    linear_time_axis,
    log_range,
    plot,
    plot_height,
    scaled,
    time_axis,
    window_axis,
    y_axis,
)
from control_plane.analysis.charts.heat_map import heat_map, outlined
from control_plane.analysis.charts.response_time_panels import (
    FURTHEST_FIRST,
    furthest_percentile,
    percentile_values,
    with_area,
)
from control_plane.analysis.charts.timeline import LazyRows
from control_plane.analysis.charts.timeline_series import (
    WHOLE_TRIAL,
    Span,
    TrialSegment,
    array_per_second,
    corners,
    maxima,
    role_cpu,
)
from control_plane.analysis.comparison import invalid
from control_plane.analysis.prose import joined
from control_plane.analysis.run_labels import RunLabel
from control_plane.domain.histogram import middle_ns
from control_plane.domain.limits import BLOCKED_LOOP_S, BUSY_SHARE
from control_plane.domain.observations import Gauges
from control_plane.domain.run import RunDetail
from control_plane.domain.units import SPACE, number_of, seconds, share

STRIP = 13
"""Pixels of a strip and the gap below it."""

GAP = 0.04
"""Part of the height between the response times and the strips."""

LABEL_DECADES = 0.2
"""Decades below the lowest line, for its label."""

MOST_HEAT_MAPS = 2
"""So many runs are drawn as heat maps; more as the area from p50 to p99."""

WIDTHS = {"p50": 2.0, "p95": 1.0, "p99": 1.0}

_COLOURS = [[0.0, "$well"], [BUSY_SHARE - 0.001, "$ink-3"], [BUSY_SHARE, "$cause"], [1.0, "$cause"]]


@dataclass(frozen=True)
class UtilizationStrip:
    """How near one part was to its limit in each second of a trial.

    `values` in the unit of `head`, as `full` is: the limit. `shown` stands for the whole trial;
    `limit` says that this is at the limit, else it is empty.
    """

    name: str
    head: str
    values: list[float | None]
    full: float
    shown: str
    limit: str

    @property
    def text(self) -> str:
        return f"{self.name} {self.shown}{self.limit}"

    @property
    def short(self) -> str:
        name = self.name.removesuffix(" CPU").removeprefix("loop ")
        return f"{name} {self.shown.removeprefix('up to ')}"


@dataclass(frozen=True)
class RunLane:
    """One run in a stack of timelines; it is drawn faint where it is not `believed`."""

    label: RunLabel
    title: str
    segment: TrialSegment
    strips: tuple[UtilizationStrip, ...]
    believed: bool = True

    @property
    def opacity(self) -> float:
        return 1.0 if self.believed else FADED

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The percentiles that its seconds can bear, p50 first."""
        far = furthest_percentile([self.segment])
        return ("p50", far) if far else ("p50",)

    @cached_property
    def known_s(self) -> dict[str, list[float]]:
        """The values of each of these percentiles, in order."""
        return {name: [each for each in values if each] for name, values in self.drawn_s.items()}

    @cached_property
    def drawn_s(self) -> dict[str, list[float | None]]:
        """Each of these percentiles in each second, None where too few samples lie beyond it."""
        return {name: scaled(percentile_values(name)(self.segment.window)) for name in self.names}

    @property
    def text_colour(self) -> str:
        return self.label.text_colour if self.believed else "$ink-3"


def run_lanes(
    details: Sequence[RunDetail], labels: Sequence[RunLabel], stream: str, trial: int
) -> list[RunLane]:
    """Return a lane for each run that has that trial.

    Warm-up is left out: it has no part in a comparison.
    """
    return [
        _lane(detail, label, stream, trial)
        for detail, label in zip(details, labels, strict=True)
        if len(detail.timelines.get(stream, ())) >= trial
    ]


def _lane(detail: RunDetail, label: RunLabel, stream: str, trial: int) -> RunLane:
    timeline = replace(detail.timelines[stream][trial - 1], warmup=None)
    slices = detail.slices.get(stream, ())
    segment = TrialSegment(0.0, timeline, slices[trial - 1] if len(slices) >= trial else None)
    doubt = ", invalid" if invalid(detail.run) else ""
    done = number_of(sum(timeline.completed), "request")
    return RunLane(
        label,
        f"{label.text}{doubt}: {done} in {seconds(segment.length_s)}",
        segment,
        _utilization(detail, trial, math.ceil(round(segment.end_s, 6))),
        believed=not doubt,
    )


def _utilization(detail: RunDetail, trial: int, length: int) -> tuple[UtilizationStrip, ...]:
    """Return the strips of a trial; none where it was not watched.

    The target may use a core for each worker: no limit is named where their number is unknown.
    """
    if len(detail.gauges) < trial:
        return ()
    gauges, workers = detail.gauges[trial - 1], detail.run.spec.target.workers
    cpu = _cpu_strip("client", gauges, length, 1), _cpu_strip("target", gauges, length, workers)
    lag = _lag_strip(gauges, length, blocked=blocked_verdict(detail.run.causes))
    return (*cpu, lag) if lag else cpu


def _cpu_strip(role: str, gauges: Gauges, length: int, cores: int | None) -> UtilizationStrip:
    used = array_per_second(role_cpu(gauges, role), gauges.interval_s, length, "mean")
    known = used[~np.isnan(used)]
    typical = float(known.mean()) if len(known) else None
    full = typical is not None and cores is not None and typical / cores >= BUSY_SHARE
    return UtilizationStrip(
        name=f"{role} CPU",
        head=f"{role} CPU, %",
        values=scaled(used, 100),
        full=100 * (cores or 1),
        shown=share(typical),
        limit=", the limit" if full else "",
    )


def _lag_strip(gauges: Gauges, length: int, *, blocked: bool | None) -> UtilizationStrip | None:
    """Return the strip of the longest lag, as certain as its cause; None where none was seen."""
    seen = maxima([worker.loop_lag_s for worker in gauges.workers])
    lags = array_per_second(seen, gauges.interval_s, length, "max")
    known = lags[~np.isnan(lags)]
    if not len(known):
        return None
    late = blocked and np.count_nonzero(known >= BLOCKED_LOOP_S) >= BLOCKED_SHARE * len(known)
    return UtilizationStrip(
        name="loop lag",
        head="longest loop lag, ms",
        values=scaled(lags, 1e3),
        full=1e3 * BLOCKED_LOOP_S,
        shown=f"up to {seconds(float(known.max()))}",
        limit=", blocked" if late else "",
    )


@dataclass(frozen=True)
class TimelineView:
    """What is drawn of runs: a trial, the seconds of it, on a linear axis of times or a log one."""

    trial: int = 1
    span: Span = WHOLE_TRIAL
    linear: bool = False

    def x_axis(self, longest_s: float) -> Plot:
        """Return the axis of the seconds, of runs of which the longest ends there."""
        begin_s, end_s = self.span[0], min(self.span[1], longest_s)
        return window_axis(max(end_s, begin_s + 1), begin_s, anchor="y2")


FIRST_TRIAL = TimelineView()


def run_timelines(
    details: Sequence[RunDetail],
    labels: Sequence[RunLabel],
    stream: str,
    view: TimelineView = FIRST_TRIAL,
) -> tuple[Figure, ...]:
    """Return a figure for each run that has that trial, with the same ranges on both axes.

    As on the page of a run p95 stands for p99 where its seconds have too few samples, or p50 alone.
    """
    lanes = run_lanes(details, labels, stream, view.trial)
    x = view.x_axis(max((lane.segment.end_s for lane in lanes), default=1.0))
    heats = len(lanes) <= MOST_HEAT_MAPS
    known = [value for lane in lanes for value in (_extremes(lane) if heats else _ends(lane))]
    low, high = log_range(min(known, default=0.001), max(known, default=1.0))
    bounds = (low - (0 if heats else LABEL_DECADES), high)
    most = 5 if heats else 2
    y = linear_time_axis(bounds, most) if view.linear else time_axis(bounds, most)
    return tuple(_figure(lane, (x, y), bounds, heats=heats) for lane in lanes)


def run_timelines_legend(figures: Sequence[Figure]) -> str:
    """Return how to read the response times, by what is drawn of them."""
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


def _extremes(lane: RunLane) -> list[float]:
    """Return the shortest and the longest response time; percentiles without slices."""
    slices = lane.segment.slices
    if slices is None or not len(slices.indices):
        return _ends(lane)
    ends = [int(slices.indices.min()), int(slices.indices.max())]
    return [max(int(end), 1) / 1e9 for end in middle_ns(np.array(ends))]


def _ends(lane: RunLane) -> list[float]:
    """Return the smallest and the largest of its percentiles."""
    return [way(known_s) for known_s in lane.known_s.values() if known_s for way in (min, max)]


def _figure(
    lane: RunLane, xy: tuple[Plot, Plot], bounds: tuple[float, float], *, heats: bool
) -> Figure:
    height: Height = "h220" if heats else "h140"
    low = STRIP * len(lane.strips) / plot_height(height)
    times_px = (1 - low - GAP) * plot_height(height)
    axes = {
        "xaxis": xy[0],
        "yaxis": {**xy[1], "domain": [round(low + GAP, 4), 1]},
        "yaxis2": y_axis(
            type="category",
            domain=[0, round(low, 4)],
            range=[max(len(lane.strips), 1) - 0.5, -0.5],
            showticklabels=False,
            ticks="",
            showgrid=False,
        ),
    }
    wide, narrow = (_labels(lane, axes, times_px, short=short) for short in (False, True))
    above = heat_map([lane.segment], bounds, times_px, lane.opacity) if heats else []
    use = ", ".join(strip.text for strip in lane.strips)
    return Figure(
        name=f"timeline-{lane.label.letter.lower()}",
        title=lane.title,
        note="",
        label=f"{lane.title}. {use}" if use else lane.title,
        plot=plot(
            [*above, *_lines(lane, filled=not above), *_strip_traces(lane)],
            axes,
            Annotations(wide, narrow, right=168, narrow_right=84),
        ),
        table=_table(lane),
        height=height,
    )


def _lines(lane: RunLane, *, filled: bool) -> list[Plot]:
    """Return p50 and what the seconds can bear beyond it; the area between them may be filled."""
    colour = lane.label.colour if filled else "$ink"
    names = lane.names
    lines = [_line(lane, name, colour) for name in names]
    if not filled:
        return [trace for drawn in lines for trace in outlined(drawn)]
    if len(names) == 1:
        return lines
    return with_area(lines, lane.segment.window.edges, [*lane.drawn_s.values()])


def _line(lane: RunLane, name: str, colour: str) -> Plot:
    x, y = corners(lane.segment.window.edges, lane.drawn_s[name])
    return line(
        x,
        y,
        colour,
        WIDTHS[name],
        stroke={"shape": "hv"},
        opacity=lane.opacity,
        text="$time",
        hovertemplate=f"%{{x:.0f}}{SPACE}s: {name} %{{text}}<extra></extra>",
        connectgaps=False,
    )


def _strip_traces(lane: RunLane) -> list[Plot]:
    if not lane.strips:
        return []
    return [
        {
            "type": "heatmap",
            "x": [*range(len(lane.strips[0].values)), round(lane.segment.end_s, 3)],
            "y": [strip.head for strip in lane.strips],
            "z": [strip.values for strip in lane.strips],
            "full": [strip.full for strip in lane.strips],
            "text": "$own",
            "hovertemplate": f"%{{x:.0f}}{SPACE}s, %{{y}}: %{{text}}<extra></extra>",
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
    """Return labels beside the end of the run, or of the axis where that ends before it."""
    strips = [
        EndLabel(strip.text, strip.short, "$cause" if strip.limit else "$ink-3", place)
        for place, strip in enumerate(lane.strips)
    ]
    marks = _percentile_marks(lane, linear="type" not in axes["yaxis"])
    found = [
        *end_labels(marks, axes["yaxis"], pixels, short=short, gap=12),
        *end_labels(strips, axes["yaxis2"], 0, short=short, gap=0, yref="y2"),
    ]
    end = float(np.clip(lane.segment.end_s, *axes["xaxis"]["range"]))
    small = {"weight": 400, "size": 11}
    return [{**label, "xref": "x", "x": end, "font": {**label["font"], **small}} for label in found]


def _percentile_marks(lane: RunLane, *, linear: bool) -> list[EndLabel]:
    """Return the name of each percentile at the last second that can bear it."""
    ends = {name: known_s[-1] for name, known_s in lane.known_s.items() if known_s}
    return [
        EndLabel(name, name, lane.text_colour, end if linear else round(math.log10(end), 4))
        for name, end in ends.items()
    ]


def _table(lane: RunLane) -> Table:
    timeline, completed = lane.segment.timeline, lane.segment.timeline.completed
    opens = int(timeline.opens_s)

    def rows(most: int) -> Iterator[tuple[TableValue, ...]]:
        p50, p99 = (scaled(values[:most], 1e3) for values in (timeline.p50, timeline.p99))
        used = [strip.values[opens:][: len(p50)] for strip in lane.strips]
        return zip(range(len(p50)), completed[:most], p50, p99, *used, strict=True)

    heads = ("second", "completed", "p50, ms", "p99, ms", *(strip.head for strip in lane.strips))
    return Table(heads, LazyRows(len(completed), rows))
