"""The panels of a timeline that are seen from outside: response time, throughput, CPU, memory."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from control_plane.analysis.charts.axes import (
    core_axis,
    log_range,
    short_time,
    time_axis,
    zero_based_axis,
)
from control_plane.analysis.charts.curve import STREAM_COLOURS
from control_plane.analysis.charts.figure import EndLabel, Plot, fitted, line
from control_plane.analysis.charts.heat_map import heat_map, outlined
from control_plane.analysis.charts.stacked_panels import Panel
from control_plane.analysis.charts.trial_axis import (
    Steps,
    TrialSegment,
    mean,
    role_cpu,
    sample_line,
    step_line,
    worker_lines,
)
from control_plane.analysis.percentile_support import furthest_percentile, percentile_values
from control_plane.analysis.validity.steadiness import DRIFT
from control_plane.domain.histogram import middle_ns
from control_plane.domain.result import Gauges, Times
from control_plane.domain.units import SPACE, count, figures, rate, seconds, share, size

COLOUR = "$warn"
LOWEST = 0.05
"""Part of the median below which a falling line is not followed: the axis is logarithmic."""


def trend_lines(track: Sequence[TrialSegment], drifts: Sequence[float | None]) -> list[Plot]:
    """One for each trial whose `drifts`, shares of its median over its window, pass the limit."""
    return [
        line(
            [segment.opens_s, segment.end_s],
            _ends(segment, drift),
            COLOUR,
            2.0,
            stroke={"dash": "dash"},
            hoverinfo="skip",
        )
        for segment, drift in _unsteady(track, drifts)
    ]


def trend_marks(
    track: Sequence[TrialSegment], drifts: Sequence[float | None], place: float
) -> list[EndLabel]:
    """The largest drift in words, at `place` of the axis; nothing where all was steady."""
    found = [drift for _, drift in _unsteady(track, drifts)]
    if not found:
        return []
    worst = max(found, key=abs)
    sign = "+" if worst > 0 else "−"
    return [EndLabel(f"drift {sign}{share(abs(worst))}", "drift", COLOUR, place)]


def _unsteady(
    track: Sequence[TrialSegment], drifts: Sequence[float | None]
) -> list[tuple[TrialSegment, float]]:
    pairs = zip(track, drifts, strict=False)
    return [(one, drift) for one, drift in pairs if drift is not None and abs(drift) > DRIFT]


def _ends(segment: TrialSegment, drift: float) -> list[float | None]:
    """At the begin and the end of the window: the line passes the typical median in its middle."""
    typical = float(np.median([value for value in segment.timeline.p50 if value is not None]))
    ends = (typical * max(1 + side * drift / 2, LOWEST) for side in (-1, 1))
    return [float(f"{value:.4g}") for value in ends]


WEIGHTS = {"p50": 2.5, "p95": 1.5, "p99": 0.9}
"""Line widths: percentiles are one colour in three weights."""

OVER_HEAT = {"p50": 1.5, "p95": 1.0, "p99": 1.0}
"""Line widths over a heat map."""

JUMP = 3
"""From this ratio on two neighbouring seconds are not joined."""

ROLES = {"target": ("$ink", 2.0), "client": ("$ink-3", 1.5)}

MB = 1_000_000


@dataclass(frozen=True)
class StreamSeries:
    """One stream on the axis of time; `throughput_per_s` and `times` cover all of it.

    `drifts` are those of its trials, as `Summary.drift_share`.
    """

    name: str
    track: Sequence[TrialSegment]
    throughput_per_s: float | None
    times: Times | None
    errors: int
    drifts: Sequence[float | None] = ()


def response_panel(streams: Sequence[StreamSeries], title: str = "Response time") -> Panel:
    """p50, p95 and p99 of one stream; p50 and the furthest of each where there are several.

    None is drawn further than the seconds have samples for.
    """
    lines = [
        (index, one, name)
        for index, one in enumerate(streams)
        for name in _drawn(one, several=len(streams) > 1)
    ]
    steps = [step_line(one.track, percentile_values(name)) for _, one, name in lines]
    bounds = _log_bounds(steps)
    traces = [
        _steps(drawn, STREAM_COLOURS[index % 6], WEIGHTS[name], short_time)
        for (index, _, name), drawn in zip(lines, steps, strict=True)
    ]
    marks = [
        EndLabel(
            f"{_who(streams, one)}{name} {seconds(value)}", name, _ink(index), math.log10(value)
        )
        for index, one, name in lines
        if one.times and (value := float(getattr(one.times, name))) > 0
    ]
    if len(streams) == 1:
        place = mean(mark.place for mark in marks) or 0.0
        traces += trend_lines(streams[0].track, streams[0].drifts)
        marks += trend_marks(streams[0].track, streams[0].drifts, place)
    return Panel(title, time_axis(bounds), traces, marks, weight=3)


def heat_panel(one: StreamSeries, title: str, weight: float, pixels: float) -> Panel | None:
    """How the response times of each second spread, p50 and p99 over it; None without slices.

    p95 stands for p99 where the seconds have too few samples for it, or p50 alone.

    `pixels` is about its height.
    """
    full = [part.slices.indices for part in one.track if part.slices and len(part.slices.indices)]
    if not full:
        return None
    ends = middle_ns(np.array([min(ones.min() for ones in full), max(ones.max() for ones in full)]))
    bounds = log_range(*(float(max(end, 1)) / 1e9 for end in ends))
    names = _drawn(one, several=True)
    steps = {name: _unjoined(step_line(one.track, percentile_values(name))) for name in names}
    lines = [_steps(steps[name], "$ink", OVER_HEAT[name], short_time) for name in names]
    marks = [
        EndLabel(f"{name} {seconds(value)}", name, "$ink", math.log10(value))
        for name in names
        if one.times and (value := float(getattr(one.times, name))) > 0
    ]
    marks += trend_marks(one.track, one.drifts, mean(mark.place for mark in marks) or 0.0)
    over = [part for drawn in lines for part in outlined(drawn)]
    traces = [*heat_map(one.track, bounds, pixels), *over, *trend_lines(one.track, one.drifts)]
    own = fitted(one.name) if one.name in title else ""
    return Panel(title, time_axis(bounds, most=5), traces, marks, weight=weight, short=own)


def _drawn(one: StreamSeries, *, several: bool) -> tuple[str, ...]:
    """p50, and what the seconds can bear beyond it: where there are several, the furthest."""
    far = furthest_percentile(one.track)
    return tuple(
        name
        for name in WEIGHTS
        if name == "p50" or name == far or (name == "p95" and far and not several)
    )


def throughput_panel(streams: Sequence[StreamSeries], title: str = "Throughput") -> Panel:
    """Completed requests of each second, from zero; a line of errors only where there are any."""
    rates = [step_line(one.track, lambda part: part.rates_per_s) for one in streams]
    failed = [one for one in streams if one.errors]
    errors = [step_line(one.track, lambda part: part.error_rates_per_s) for one in failed]
    high = max((y or 0.0 for steps in [*rates, *errors] for y in steps[1]), default=0.0)
    traces = [
        *(_steps(drawn, STREAM_COLOURS[at % 6], 2.0, rate) for at, drawn in enumerate(rates)),
        *(_steps(drawn, "$bad", 1.5, rate) for drawn in errors),
    ]
    marks = [
        EndLabel(f"{_who(streams, one)}{rate(value)}", figures(value), _ink(index), value)
        for index, one in enumerate(streams)
        if (value := one.throughput_per_s) is not None
    ]
    if failed:
        text = f"{count(sum(one.errors for one in failed))} errors"
        marks.append(EndLabel(text, "errors", "$bad", 0.0))
    return Panel(title, zero_based_axis(high, nticks=4), traces, marks, weight=1.6)


def cpu_panel(
    track: Sequence[TrialSegment],
    gauges: Sequence[Gauges],
    title: str = "CPU, share of one core",
    cores: int = 1,
) -> Panel:
    """All processes of the target together, and all load workers; dashed at the target's cores."""
    steps = {role: sample_line(track, gauges, partial(role_cpu, role=role)) for role in ROLES}
    high = max([float(cores), *(y or 0.0 for _, values in steps.values() for y in values)])
    traces = [_steps(steps[role], colour, width, share) for role, (colour, width) in ROLES.items()]
    means = {role: mean(value for one in gauges for value in role_cpu(one, role)) for role in ROLES}
    marks = [
        EndLabel(f"{role} mean {share(value)}", role, ROLES[role][0], value)
        for role, value in means.items()
        if value is not None
    ]
    named = f"{cores} core{'s' if cores > 1 else ''}"
    marks += [EndLabel(named, "", "$ink-3", cores)] if marks else []
    return Panel(title, core_axis(high), traces, marks, limit=cores)


def memory_panel(track: Sequence[TrialSegment], gauges: Sequence[Gauges]) -> Panel | None:
    """Resident memory of each process of target and client; None where nothing was sampled."""
    traces: list[Plot] = []
    marks = []
    for role, (colour, width) in ROLES.items():
        lines = worker_lines(track, gauges, partial(_memory, role=role))
        highest = max((y or 0.0 for _, values in lines for y in values), default=0.0)
        if highest:
            many = max(len(_memory(one, role)) for one in gauges)
            whose = role if many == 1 else f"{many} {role} ≤"
            marks.append(EndLabel(f"{whose} {size(highest * MB)}", role, colour, highest))
            traces += step_traces(lines, colour, width, f"%{{y:,.3~r}}{SPACE}MB")
    high = max((mark.place for mark in marks), default=0.0)
    axis = zero_based_axis(high, nticks=3, ticksuffix=f"{SPACE}MB")
    return Panel("Memory of each process", axis, traces, marks) if marks else None


def step_traces(lines: Sequence[Steps], colour: str, width: float, shown: str) -> list[Plot]:
    """Steps for each line; `shown` is what hovering says of a value."""
    return [
        line(
            *steps,
            colour,
            width,
            stroke={"shape": "hv"},
            connectgaps=False,
            hovertemplate=f"%{{x:.1f}}{SPACE}s: {shown}<extra></extra>",
        )
        for steps in lines
    ]


def _memory(gauges: Gauges, role: str) -> list[list[float | None]]:
    """In MB, one series for each process; None before it came and after it went."""
    return [
        [value / MB or None for value in one.memory_bytes]
        for one in gauges.processes
        if one.role == role
    ]


def _who(streams: Sequence[StreamSeries], one: StreamSeries) -> str:
    return f"{fitted(one.name)} " if len(streams) > 1 else ""


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
        hovertemplate=f"%{{x:.0f}}{SPACE}s: %{{text}}<extra></extra>",
        connectgaps=False,
    )


def _unjoined(steps: Steps) -> Steps:
    """Without the upright lines of long jumps, which would cross the whole heat map."""
    x: list[float] = []
    y: list[float | None] = []
    for at, value in zip(*steps, strict=True):
        before = y[-1] if y else None
        if value and before and not 1 / JUMP < value / before < JUMP:
            x, y = [*x, at, at], [*y, before, None]
        x.append(at)
        y.append(value)
    return x, y


def _log_bounds(steps: Sequence[Steps]) -> tuple[float, float]:
    known = [y for _, values in steps for y in values if y]
    return log_range(min(known, default=0.001), max(known, default=1.0))
