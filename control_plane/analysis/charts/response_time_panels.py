"""The panels of a timeline that show requests: response times, also over a heat map, and rates."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np

from control_plane.analysis.charts.curve import STREAM_COLOURS, shortened
from control_plane.analysis.charts.figure import (
    EndLabel,
    Plot,
    line,
    log_range,
    scaled,
    time_axis,
    zero_based_axis,
)
from control_plane.analysis.charts.heat_map import heat_map, outlined
from control_plane.analysis.charts.panels import Panel, step_trace
from control_plane.analysis.charts.timeline_series import (
    SecondSeries,
    Steps,
    TrialSegment,
    Values,
    mean,
    step_line,
)
from control_plane.analysis.validity.steadiness import DRIFT
from control_plane.domain.histogram import middle_ns
from control_plane.domain.times_and_percentiles import Times, needed_samples
from control_plane.domain.units import SPACE, figures, number_of, rate, seconds, share, size

WEIGHTS = {"p50": 2.5, "p95": 1.5, "p99": 0.9}
"""Line widths: percentiles are one colour in three weights."""

SeriesPick = Callable[[SecondSeries], Values]

OVER_HEAT = {"p50": 1.5, "p95": 1.0, "p99": 1.0}
"""Line widths over a heat map."""

JUMP = 3
"""From this ratio on two neighbouring seconds are not joined."""

TREND_COLOUR = "$warn"

BAND = 0.16
"""Opacity of the area between two percentiles."""

LOWEST = 0.05
"""Part of the median below which a falling line is not followed: the axis is logarithmic."""

FURTHEST_FIRST = ("p99", "p95")


@dataclass(frozen=True)
class StreamSeries:
    """One stream on the axis of time; `throughput_per_s` and `times` cover all of it.

    `drifts` are those of its trials, as `Summary.drift_share`.
    """

    name: str
    segments: Sequence[TrialSegment]
    throughput_per_s: float | None
    times: Times | None
    errors: int
    drifts: Sequence[float | None] = ()


def response_panel(streams: Sequence[StreamSeries], title: str = "Response time") -> Panel:
    """Return p50, p95 and p99 of one stream; of several p50 and the furthest of each.

    None is drawn further than the seconds have samples for.
    """
    lines = [
        (index, stream, name)
        for index, stream in enumerate(streams)
        for name in _drawn_percentiles(stream, several=len(streams) > 1)
    ]
    steps = [step_line(stream.segments, percentile_values(name)) for _, stream, name in lines]
    known_s = [y for _, values in steps for y in values if y]
    bounds = log_range(min(known_s, default=0.001), max(known_s, default=1.0))
    traces = [
        step_trace(drawn, STREAM_COLOURS[index % 6], WEIGHTS[name], "$time")
        for (index, _, name), drawn in zip(lines, steps, strict=True)
    ]
    labels = [
        _time_label(stream, name, _text_colour(index), _prefix(streams, stream))
        for index, stream, name in lines
    ]
    shown = [label for label in labels if label]
    if len(streams) == 1:
        place = mean(label.place for label in shown) or 0.0
        traces += trend_lines(streams[0].segments, streams[0].drifts)
        shown += trend_labels(streams[0].segments, streams[0].drifts, place)
    return Panel(title, time_axis(bounds), traces, shown, weight=3)


def heat_panel(stream: StreamSeries, title: str, weight: float, pixels: float) -> Panel | None:
    """Return a heat map of the response times, p50 and p99 over it; None without slices.

    p95 stands for p99 where the seconds have too few samples for it, or p50 alone. `pixels` is
    about its height.
    """
    full = [
        segment.slices.indices
        for segment in stream.segments
        if segment.slices and len(segment.slices.indices)
    ]
    if not full:
        return None
    ends = [int(min(map(np.min, full))), int(max(map(np.max, full)))]
    bounds = log_range(*(float(max(end, 1)) / 1e9 for end in middle_ns(np.array(ends))))
    names = _drawn_percentiles(stream, several=True)
    steps = {name: _unjoined(step_line(stream.segments, percentile_values(name))) for name in names}
    lines = [step_trace(steps[name], "$ink", OVER_HEAT[name], "$time") for name in names]
    labels = [label for name in names if (label := _time_label(stream, name, "$ink"))]
    place = mean(label.place for label in labels) or 0.0
    labels += trend_labels(stream.segments, stream.drifts, place)
    traces = [
        *heat_map(stream.segments, bounds, pixels),
        *(trace for drawn in lines for trace in outlined(drawn)),
        *trend_lines(stream.segments, stream.drifts),
    ]
    short = shortened(stream.name) if stream.name in title else ""
    return Panel(title, time_axis(bounds, most=5), traces, labels, weight=weight, short=short)


def throughput_panel(streams: Sequence[StreamSeries], title: str = "Throughput") -> Panel:
    """Return completed requests of each second; a line of errors only where there are any."""
    rates = [step_line(stream.segments, lambda part: part.rates_per_s) for stream in streams]
    failed = [stream for stream in streams if stream.errors]
    errors = [step_line(stream.segments, lambda part: part.error_rates_per_s) for stream in failed]
    high = max((y or 0.0 for steps in [*rates, *errors] for y in steps[1]), default=0.0)
    traces = [
        *(
            step_trace(drawn, STREAM_COLOURS[at % 6], 2.0, "$rate")
            for at, drawn in enumerate(rates)
        ),
        *(step_trace(drawn, "$bad", 1.5, "$rate") for drawn in errors),
    ]
    labels = [
        EndLabel(
            f"{_prefix(streams, stream)}{rate(value)}", figures(value), _text_colour(index), value
        )
        for index, stream in enumerate(streams)
        if (value := stream.throughput_per_s) is not None
    ]
    if failed:
        text = number_of(sum(stream.errors for stream in failed), "error")
        labels.append(EndLabel(text, "errors", "$bad", 0.0))
    return Panel(title, zero_based_axis(high, nticks=4), traces, labels, weight=1.6)


VARYING_SIZE = 1.25
"""From this ratio between its largest and its smallest second on, the size of answers changes."""

ENOUGH_ANSWERS = 20
"""Seconds of fewer answers say little of their size."""


def size_panel(streams: Sequence[StreamSeries]) -> Panel | None:
    """Return the mean size of an answer in each second; None where it changes in no stream."""
    ranges = [_sizes(stream) for stream in streams]
    if not any(high > VARYING_SIZE * low for low, high in ranges):
        return None
    highest = max(high for _, high in ranges)
    unit, name = next((pair for pair in _SIZE_UNITS if highest >= pair[0]), (1.0, "B"))
    steps = [step_line(stream.segments, lambda part: part.body_bytes) for stream in streams]
    shown = f"%{{y:,.3~r}}{SPACE}{name}"
    traces = [
        step_trace((x, scaled(y, 1 / unit)), STREAM_COLOURS[at % 6], 2.0, shown)
        for at, (x, y) in enumerate(steps)
    ]
    labels = [
        EndLabel(
            f"{_prefix(streams, stream)}{size(low)} to {size(high)}",
            f"≤ {size(high)}",
            _text_colour(index),
            high / unit,
        )
        for index, (stream, (low, high)) in enumerate(zip(streams, ranges, strict=True))
        if high
    ]
    axis = zero_based_axis(highest / unit, nticks=3, ticksuffix=f"{SPACE}{name}")
    return Panel("Mean size of an answer", axis, traces, labels, weight=1.2)


_SIZE_UNITS = ((1e6, "MB"), (1e3, "kB"), (1.0, "B"))


def _sizes(stream: StreamSeries) -> tuple[float, float]:
    """Return the smallest and the largest mean size of a second with enough answers; (0, 0)
    without any.
    """
    found = [
        value
        for segment in stream.segments
        for value, completed, errors in zip(
            segment.window.body_bytes,
            segment.timeline.completed,
            segment.timeline.errors,
            strict=True,
        )
        if value is not None and completed + errors >= ENOUGH_ANSWERS
    ]
    return min(found, default=0.0), max(found, default=0.0)


def _drawn_percentiles(stream: StreamSeries, *, several: bool) -> tuple[str, ...]:
    """Return p50 and what the seconds can bear beyond it: of several streams the furthest."""
    far = furthest_percentile(stream.segments)
    return tuple(
        name
        for name in WEIGHTS
        if name == "p50" or name == far or (name == "p95" and far and not several)
    )


def _time_label(
    stream: StreamSeries, percentile: str, colour: str, prefix: str = ""
) -> EndLabel | None:
    """Return the label of a percentile; None where it is not known, or not above zero."""
    value_s = stream.times.percentile(percentile) if stream.times else None
    if not value_s or value_s < 0:
        return None
    text = f"{prefix}{percentile} {seconds(value_s)}"
    return EndLabel(text, percentile, colour, math.log10(value_s))


def _prefix(streams: Sequence[StreamSeries], stream: StreamSeries) -> str:
    return f"{shortened(stream.name)} " if len(streams) > 1 else ""


def _text_colour(index: int) -> str:
    return f"{STREAM_COLOURS[index % 6]}-text"


def _unjoined(steps: Steps) -> Steps:
    """Return the steps without the upright lines of long jumps, which would cross the heat map."""
    x: list[float] = []
    y: list[float | None] = []
    for at, value in zip(*steps, strict=True):
        before = y[-1] if y else None
        if value and before and not 1 / JUMP < value / before < JUMP:
            x += [at, at]
            y += [before, None]
        x.append(at)
        y.append(value)
    return x, y


def trend_lines(segments: Sequence[TrialSegment], drifts: Sequence[float | None]) -> list[Plot]:
    """Return a line for each trial whose drift passes the limit.

    A drift is a share of the median over the window, in the middle of which the line passes the
    typical median.
    """
    return [
        line(
            [segment.opens_s, segment.end_s],
            _trend_ends(segment, drift),
            TREND_COLOUR,
            2.0,
            stroke={"dash": "dash"},
            hoverinfo="skip",
        )
        for segment, drift in _unsteady(segments, drifts)
    ]


def trend_labels(
    segments: Sequence[TrialSegment], drifts: Sequence[float | None], place: float
) -> list[EndLabel]:
    """Return the largest drift in words, at `place` of the axis; nothing where all was steady."""
    passed = [drift for _, drift in _unsteady(segments, drifts)]
    if not passed:
        return []
    worst = max(passed, key=abs)
    sign = "+" if worst > 0 else "−"
    return [EndLabel(f"drift {sign}{share(abs(worst))}", "drift", TREND_COLOUR, place)]


def _unsteady(
    segments: Sequence[TrialSegment], drifts: Sequence[float | None]
) -> list[tuple[TrialSegment, float]]:
    pairs = zip(segments, drifts, strict=False)
    return [
        (segment, drift) for segment, drift in pairs if drift is not None and abs(drift) > DRIFT
    ]


def _trend_ends(segment: TrialSegment, drift: float) -> list[float | None]:
    typical = float(np.median([value for value in segment.timeline.p50 if value is not None]))
    ends = (typical * max(1 + side * drift / 2, LOWEST) for side in (-1, 1))
    return [float(f"{value:.4g}") for value in ends]


def supported_values(percentile: str) -> Callable[[SecondSeries], Values]:
    """Return what takes a percentile of each second; None where too few samples lie beyond it."""
    needed = needed_samples(percentile)

    def values_of(series: SecondSeries) -> Values:
        values: Values = getattr(series.seconds, percentile)
        completed = series.seconds.completed
        if min(completed, default=0) >= needed:
            return values
        return [
            value if count >= needed else None
            for value, count in zip(values, completed, strict=True)
        ]

    return values_of


def percentile_values(percentile: str) -> Callable[[SecondSeries], Values]:
    """Return what takes p50 of each second as it is, and p95 and p99 as `supported_values`."""
    if percentile == "p50":
        return attrgetter("seconds.p50")
    return supported_values(percentile)


def supported_points(segments: Sequence[TrialSegment], percentile: str) -> list[float]:
    """Return the percentile in each second of the windows that can bear it."""
    values_of = supported_values(percentile)
    return [value for segment in segments for value in values_of(segment.window) if value]


def furthest_percentile(segments: Sequence[TrialSegment]) -> str | None:
    """Return the furthest of p99 and p95 that half of the seconds or more can bear; else None."""
    return next((name for name in FURTHEST_FIRST if mostly_supported(segments, name)), None)


def mostly_supported(segments: Sequence[TrialSegment], percentile: str) -> bool:
    """Whether half of the seconds in which something completed can bear the percentile."""
    full = [count for segment in segments for count in segment.timeline.completed if count]
    return 0 < len(full) <= 2 * sum(map(needed_samples(percentile).__le__, full))


def _by_turns(first: Values, second: Values) -> list[float | None]:
    return [value for pair in zip(first, second, strict=True) for value in pair]


def with_area(
    lines: Sequence[Plot], edges: Sequence[float], values: Sequence[Values]
) -> list[Plot]:
    """Return the lines of two percentiles, each with its values, and the area between them."""
    (first, last), (under, over) = lines, values
    colour = first["line"]["color"]
    if None in under or None in over:
        # A fill between lines would go on where they are broken.
        band = percentile_band(edges, under, over, colour)
        return [{**band, "opacity": first["opacity"]}, first, last]
    return [first, {**last, "fill": "tonexty", "fillcolor": f"{colour}/{BAND}"}]


def percentile_band(edges: Sequence[float], under: Values, over: Values, colour: str) -> Plot:
    """Return the area between two percentiles: a shape of steps for each row without a gap."""
    x: list[float | None] = []
    y: list[float | None] = []
    steps = _by_turns(edges[:-1], edges[1:])
    tops, bottoms = _by_turns(over, over), _by_turns(under, under)
    known = [top is not None is not bottom for top, bottom in zip(tops, bottoms, strict=True)]
    end = 0
    for is_known, unbroken in groupby(known):
        begin, end = end, end + len(list(unbroken))
        if is_known:
            x += [*steps[begin:end], *reversed(steps[begin:end]), None]
            y += [*tops[begin:end], *reversed(bottoms[begin:end]), None]
    shape = {"fill": "toself", "fillcolor": f"{colour}/{BAND}", "hoverinfo": "skip"}
    return {**line([], [], colour, 0, connectgaps=False), **shape, "x": x, "y": y}
