"""The panels of a timeline: response time, throughput, CPU."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from control_plane.analysis.charts.axes import brief, core_axis, from_zero, log_range, time_axis
from control_plane.analysis.charts.curve import STREAM_COLOURS
from control_plane.analysis.charts.ends import Mark
from control_plane.analysis.charts.figure import Plot, line
from control_plane.analysis.charts.panel import Panel
from control_plane.analysis.charts.track import (
    Segment,
    Steps,
    cpu_steps,
    mean,
    percentile,
    stepped,
)
from control_plane.domain.result import Gauges, Times
from control_plane.domain.units import count, figures, rate, seconds, share

WEIGHTS = {"p50": 2.5, "p95": 1.5, "p99": 0.9}
"""Line widths: percentiles are one colour in three weights."""

ROLES = {"target": ("$ink", 2.0), "client": ("$ink-3", 1.5)}


@dataclass(frozen=True)
class StreamTrack:
    """One stream on the axis of time; `throughput_per_s` and `times` cover all of it."""

    name: str
    track: Sequence[Segment]
    throughput_per_s: float | None
    times: Times | None
    errors: int


def response_panel(streams: Sequence[StreamTrack], title: str = "Response time") -> Panel:
    """p50, p95 and p99 of one stream; p50 and p99 of each where there are several."""
    shown = tuple(WEIGHTS) if len(streams) == 1 else ("p50", "p99")
    lines = [(index, one, name) for index, one in enumerate(streams) for name in shown]
    steps = [stepped(one.track, percentile(name)) for _, one, name in lines]
    bounds = _log_bounds(steps)
    traces = [
        _steps(drawn, STREAM_COLOURS[index % 6], WEIGHTS[name], brief)
        for (index, _, name), drawn in zip(lines, steps, strict=True)
    ]
    marks = [
        Mark(f"{_who(streams, one)}{name} {seconds(value)}", name, _ink(index), math.log10(value))
        for index, one, name in lines
        if one.times and (value := float(getattr(one.times, name))) > 0
    ]
    return Panel(title, time_axis(bounds), traces, marks, weight=3)


def throughput_panel(streams: Sequence[StreamTrack], title: str = "Throughput") -> Panel:
    """Completed requests of each second, from zero; a line of errors only where there are any."""
    rates = [stepped(one.track, lambda segment: segment.rates_per_s) for one in streams]
    failed = [one for one in streams if one.errors]
    errors = [stepped(one.track, lambda segment: segment.error_rates_per_s) for one in failed]
    high = max((y or 0.0 for steps in [*rates, *errors] for y in steps[1]), default=0.0)
    traces = [
        *(_steps(drawn, STREAM_COLOURS[at % 6], 2.0, rate) for at, drawn in enumerate(rates)),
        *(_steps(drawn, "$bad", 1.5, rate) for drawn in errors),
    ]
    marks = [
        Mark(f"{_who(streams, one)}{rate(value)}", figures(value), _ink(index), value)
        for index, one in enumerate(streams)
        if (value := one.throughput_per_s) is not None
    ]
    if failed:
        text = f"{count(sum(one.errors for one in failed))} errors"
        marks.append(Mark(text, "errors", "$bad", 0.0))
    return Panel(title, from_zero(high, nticks=4), traces, marks, weight=1.6)


def cpu_panel(
    track: Sequence[Segment], gauges: Sequence[Gauges], title: str = "CPU, share of one core"
) -> Panel:
    """All processes of the target together, and all load workers; dashed at one core."""
    steps = {role: cpu_steps(track, gauges, role) for role in ROLES}
    high = max([1.0, *(y or 0.0 for _, values in steps.values() for y in values)])
    traces = [_steps(steps[role], colour, width, share) for role, (colour, width) in ROLES.items()]
    means = {role: mean(values) for role, (_, values) in steps.items()}
    marks = [
        Mark(f"{role} {share(value)}", role, ROLES[role][0], value)
        for role, value in means.items()
        if value is not None
    ]
    return Panel(title, core_axis(high), traces, marks, weight=1, limit=1.0)


def _who(streams: Sequence[StreamTrack], one: StreamTrack) -> str:
    return f"{one.name} " if len(streams) > 1 else ""


def _ink(index: int) -> str:
    return f"{STREAM_COLOURS[index % 6]}-text"


def _steps(steps: Steps, colour: str, width: float, written: Callable[[float], str]) -> Plot:
    texts = ["" if y is None else written(y) for y in steps[1]]
    return line(
        steps[0],
        steps[1],
        colour,
        width,
        stroke={"shape": "hv"},
        text=texts,
        hovertemplate="%{x:.0f} s: %{text}<extra></extra>",
        connectgaps=False,
    )


def _log_bounds(steps: Sequence[Steps]) -> tuple[float, float]:
    known = [y for _, values in steps for y in values if y]
    return log_range(min(known, default=0.001), max(known, default=1.0))
