"""The charts of a running trial: answers above, processor time below, on the same seconds."""

from collections.abc import Sequence
from dataclasses import replace

from control_plane.analysis.charts.axes import milliseconds, window_axis
from control_plane.analysis.charts.figure import Figure, Height, Plot, Table
from control_plane.analysis.charts.gauge_steps import role_cpu
from control_plane.analysis.charts.panel import Panel, stacked
from control_plane.analysis.charts.panels import (
    StreamTrack,
    cpu_panel,
    response_panel,
    throughput_panel,
)
from control_plane.analysis.charts.track import Segment, end_s
from control_plane.domain.result import Gauges, Timeline
from control_plane.domain.run import Live, LiveStream

HEIGHT: Height = "h220"
LATE_S = 0.5
"""A second that ended less than this ago may still be on its way from the load worker."""


NOTES = {
    "throughput": "answers per second",
    "response": "of each second",
    "cpu": "share of one core",
}


def live_charts(live: Live, window_s: float | None = None) -> tuple[Figure, ...]:
    """Throughput, response time and CPU up to the last full second.

    `window_s` is the planned window, None where it ends by requests: then the axis grows.
    """
    streams = [_track(one, live.measured_s) for one in live.streams]
    longest = max((one.track for one in streams), key=end_s, default=[])
    answers, cpu = _answers(live.streams), _cpu(live.gauges)
    x = window_axis(window_s or max(10.0, live.measured_s))
    return (
        _figure("throughput", throughput_panel(streams, "Throughput"), x, answers),
        _figure("response", response_panel(streams, "Response time"), x, answers),
        _figure("cpu", cpu_panel(longest, [live.gauges], "CPU"), x, cpu),
    )


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


def _track(stream: LiveStream, measured_s: float) -> StreamTrack:
    return StreamTrack(
        name=stream.name,
        track=[Segment(0.0, _full_seconds(stream.timeline, measured_s))],
        throughput_per_s=stream.throughput_per_s,
        times=stream.response_time_s,
        errors=stream.errors,
    )


def _full_seconds(timeline: Timeline, measured_s: float) -> Timeline:
    length = len(timeline.completed)
    if measured_s:
        length = min(length, int(measured_s))
    if length and measured_s and measured_s - length < LATE_S:
        silent = not timeline.completed[length - 1] and not timeline.errors[length - 1]
        length -= silent
    return Timeline(
        timeline.completed[:length],
        timeline.errors[:length],
        timeline.p50[:length],
        timeline.p95[:length],
        timeline.p99[:length],
        last_s=1.0,
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
