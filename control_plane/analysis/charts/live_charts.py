"""The charts of a running trial: answers above, their causes below, on the same seconds."""

from collections.abc import Sequence
from dataclasses import replace

from control_plane.analysis.charts.axes import milliseconds, window_axis
from control_plane.analysis.charts.figure import Figure, Height, Plot, Table
from control_plane.analysis.charts.inside_panels import lag_panel, tokens_panel
from control_plane.analysis.charts.outside_panels import (
    StreamSeries,
    cpu_panel,
    response_panel,
    throughput_panel,
)
from control_plane.analysis.charts.stacked_panels import Panel, add_warmup, stacked
from control_plane.analysis.charts.trial_axis import (
    TrialSegment,
    begin_s,
    end_s,
    maxima,
    role_cpu,
    scaled,
    summed,
)
from control_plane.domain.result import Gauges, Timeline
from control_plane.domain.run import Live, LiveStream

HEIGHT: Height = "h220"
ARRIVAL_DELAY_S = 0.5
"""A second that ended less than this ago may still be on its way from the load worker."""


NOTES = {
    "throughput": "answers per second",
    "response": "of each second",
    "lag": "the longest of each half second",
    "tokens": "busy and waiting",
    "cpu": "share of one core",
}


def live_charts(live: Live, window_s: float | None = None, cores: int = 1) -> tuple[Figure, ...]:
    """Throughput and response time up to the last full second, then what explains them; the
    warm-up before them is grey.

    `window_s` is the planned window, None where it ends by requests: then the axis grows.
    `cores` is what the target may use. Causes are CPU, and before it where the target is seen from
    inside the thread pool, or the loop while the pool is not used or the loop is late.
    """
    streams = [_track(one, live.measured_s) for one in live.streams]
    longest = max((one.track for one in streams), key=end_s, default=[])
    answers = _answers(live.streams)
    earliest = min((one.track for one in streams), key=begin_s, default=[])
    x = window_axis(window_s or max(10.0, live.measured_s), begin_s(earliest))
    inside = _inside(longest, live.gauges)
    drawn = (
        _figure("throughput", throughput_panel(streams, "Throughput"), x, answers),
        _figure("response", response_panel(streams, "Response time"), x, answers),
        *((_figure(*inside, x, _samples(live.gauges)),) if inside else ()),
        _figure("cpu", cpu_panel(longest, [live.gauges], "CPU", cores), x, _cpu(live.gauges)),
    )
    for one in drawn:
        add_warmup(one.plot, earliest)
    return drawn


def _inside(track: Sequence[TrialSegment], gauges: Gauges) -> tuple[str, Panel] | None:
    lag, tokens = lag_panel(track, [gauges]), tokens_panel(track, [gauges])
    used = any(busy for one in gauges.workers for busy in one.tokens_busy)
    late = lag is not None and lag.limit is not None
    if tokens and used and not late:
        return "tokens", tokens
    return ("lag", lag) if lag else None


def _figure(key: str, panel: Panel, x: Plot, table: Table) -> Figure:
    said = ", ".join(mark.text for mark in panel.marks) or "nothing yet"
    return Figure(
        name=f"live-{key}",
        title=panel.title,
        note=NOTES[key],
        label=f"{panel.title}: {said}",
        plot=stacked([replace(panel, title="")], x, HEIGHT),
        table=table,
        height=HEIGHT,
    )


def _track(stream: LiveStream, measured_s: float) -> StreamSeries:
    return StreamSeries(
        name=stream.name,
        track=[
            TrialSegment(0.0, _full_seconds(stream.timeline, measured_s - stream.timeline.opens_s))
        ],
        throughput_per_s=stream.throughput_per_s,
        times=stream.response_time_s,
        errors=stream.errors,
    )


def _full_seconds(timeline: Timeline, measured_s: float) -> Timeline:
    length = len(timeline.completed)
    if measured_s > 0:
        length = min(length, int(measured_s))
    if length and measured_s > 0 and measured_s - length < ARRIVAL_DELAY_S:
        silent = not timeline.completed[length - 1] and not timeline.errors[length - 1]
        length -= silent
    return Timeline(
        timeline.completed[:length],
        timeline.errors[:length],
        timeline.p50[:length],
        timeline.p95[:length],
        timeline.p99[:length],
        last_s=1.0,
        warmup=timeline.warmup,
        opens_s=timeline.opens_s,
    )


def _answers(streams: Sequence[LiveStream]) -> Table:
    columns = ("stream", "second", "completed", "errors", "p50, ms", "p95, ms", "p99, ms")
    rows = tuple(
        (
            one.name,
            index,
            done,
            one.timeline.errors[index],
            milliseconds(one.timeline.p50[index]),
            milliseconds(one.timeline.p95[index]),
            milliseconds(one.timeline.p99[index]),
        )
        for one in streams
        for index, done in enumerate(one.timeline.completed)
    )
    return Table(columns, rows)


def _cpu(gauges: Gauges) -> Table:
    target, client = role_cpu(gauges, "target"), role_cpu(gauges, "client")
    rows = tuple(
        (round(index * gauges.interval_s, 3), *(round(100 * value, 1) for value in pair))
        for index, pair in enumerate(zip(target, client, strict=False))
    )
    return Table(("from, s", "target CPU, %", "client CPU, %"), rows)


def _samples(gauges: Gauges) -> Table:
    """Of all workers together, one row for each sample."""
    lags = scaled(maxima([one.loop_lag_s for one in gauges.workers]), 1e3)
    busy = summed([one.tokens_busy for one in gauges.workers])
    waiting = summed([one.tokens_waiting for one in gauges.workers])
    rows = tuple(
        (round(index * gauges.interval_s, 3), *row)
        for index, row in enumerate(zip(lags, busy, waiting, strict=False))
    )
    return Table(("from, s", "longest loop lag, ms", "tokens busy", "tokens waiting"), rows)
