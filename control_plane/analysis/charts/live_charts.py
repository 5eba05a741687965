"""The charts of a running trial: requests above, their causes below, on the same seconds."""

from collections.abc import Sequence
from dataclasses import replace

from control_plane.analysis.causes.blocked_loop import blocked_share
from control_plane.analysis.causes.evidence import worker_trials
from control_plane.analysis.charts.curve import STREAM_COLOURS, shortened
from control_plane.analysis.charts.figure import (
    EndLabel,
    Figure,
    Height,
    Plot,
    Table,
    milliseconds,
    scaled,
    window_axis,
    zero_based_axis,
)
from control_plane.analysis.charts.panels import (
    HALF_NAMED_FROM,
    Panel,
    add_warmup,
    cpu_panel,
    lag_panel,
    stacked,
    step_trace,
    tokens_panel,
)
from control_plane.analysis.charts.response_time_panels import (
    StreamSeries,
    response_panel,
    throughput_panel,
)
from control_plane.analysis.charts.timeline_series import (
    Steps,
    TrialSegment,
    begin_s,
    end_s,
    maxima,
    role_cpu,
    step_line,
    summed,
)
from control_plane.domain.limits import BLOCKED_LOOP_S
from control_plane.domain.observations import Gauges
from control_plane.domain.result import Timeline
from control_plane.domain.run import Live, LiveStream
from control_plane.domain.units import figures, rate

LIVE_HEIGHT: Height = "h220"
ARRIVAL_DELAY_S = 0.5
"""A second that ended less than this ago may still be on its way from the load worker."""


NOTES = {
    "throughput": "answers per second",
    "response": "of each second",
    "sent": "dashed: what was meant to be sent",
    "lag": "the longest of each half second",
    "tokens": "busy and waiting",
    "cpu": "share of one core",
}


def live_charts(live: Live, window_s: float | None = None, cores: int = 1) -> tuple[Figure, ...]:
    """Return throughput and response time up to the last full second, then what explains them.

    The warm-up before them is grey. `window_s` is the planned window, None where it ends by
    requests: then the axis grows. `cores` is what the target may use. Causes are of an open load
    what was sent of what was meant to be, CPU, and last, because it comes when the others stand,
    where the target is seen from inside the thread pool, or the loop while the pool is not used or
    the loop is late.
    """
    streams = [_stream_series(stream, live.measured_s) for stream in live.streams]
    sent = _sent(live)
    longest = max((stream.segments for stream in streams), key=end_s, default=[])
    seconds = _second_table(live.streams)
    earliest = min((stream.segments for stream in streams), key=begin_s, default=[])
    x = window_axis(window_s or max(10.0, live.measured_s), begin_s(earliest))
    inside = _inside(longest, live.gauges)
    drawn = (
        _figure("throughput", throughput_panel(streams, "Throughput"), x, seconds),
        _figure("response", response_panel(streams, "Response time"), x, seconds),
        *((_figure("sent", sent, x, _starts_table(live.streams)),) if sent else ()),
        _figure("cpu", cpu_panel(longest, [live.gauges], "CPU", cores), x, _cpu_table(live.gauges)),
        *((_figure(*inside, x, _sample_table(live.gauges)),) if inside else ()),
    )
    for figure in drawn:
        add_warmup(figure.plot, earliest, named_from=HALF_NAMED_FROM)
    return drawn


def _sent(live: Live) -> Panel | None:
    """Return requests per second that went out, and dashed what was meant to; None without an open
    load.
    """
    streams = [stream for stream in live.streams if stream.intended is not None]
    if not streams:
        return None
    lines = [
        (_starts(stream, stream.intended or (), live), _starts(stream, stream.sent, live))
        for stream in streams
    ]
    high = max((value or 0.0 for pair in lines for _, y in pair for value in y), default=0.0)
    traces: list[Plot] = []
    labels: list[EndLabel] = []
    for index, (stream, (intended, sent)) in enumerate(zip(streams, lines, strict=True)):
        colour = STREAM_COLOURS[index % 6]
        dashed = step_trace(intended, "$ink-3", 1.5, "$rate")
        traces += [
            {**dashed, "line": {**dashed["line"], "dash": "dash"}},
            step_trace(sent, colour, 2.0, "$rate"),
        ]
        last = next((value for value in reversed(sent[1]) if value is not None), None)
        if last is not None:
            name = f"{shortened(stream.name)} " if len(streams) > 1 else ""
            text = f"{name}{rate(last)}"
            labels.append(EndLabel(text, figures(last), f"{colour}-text", last))
    return Panel("Sent", zero_based_axis(high, nticks=4), traces, labels, weight=1.6)


def _starts(stream: LiveStream, counts: Sequence[int], live: Live) -> Steps:
    opens_s, none = stream.timeline.opens_s, (None,) * len(counts)
    of_starts = Timeline(
        tuple(counts), (0,) * len(counts), none, none, none, last_s=1.0, opens_s=opens_s
    )
    whole = _full_seconds(of_starts, live.measured_s - opens_s)
    return step_line([TrialSegment(0.0, whole)], lambda part: part.rates_per_s)


def _inside(segments: Sequence[TrialSegment], gauges: Gauges) -> tuple[str, Panel] | None:
    length_s = sum(segment.end_s - segment.start_s for segment in segments)
    stalled = blocked_share([*worker_trials(1, length_s, gauges)], BLOCKED_LOOP_S)
    lag = lag_panel(segments, [gauges], stalled=stalled)
    tokens = tokens_panel(segments, [gauges])
    used = any(busy for worker in gauges.workers for busy in worker.tokens_busy)
    late = lag is not None and lag.limit is not None
    if tokens and used and not late:
        return "tokens", tokens
    return ("lag", lag) if lag else None


def _figure(key: str, panel: Panel, x: Plot, table: Table) -> Figure:
    texts = ", ".join(label.text for label in panel.labels) or "nothing yet"
    return Figure(
        name=f"live-{key}",
        title=panel.title,
        note=NOTES[key],
        label=f"{panel.title}: {texts}",
        plot=stacked([replace(panel, title="")], x, LIVE_HEIGHT),
        table=table,
        height=LIVE_HEIGHT,
    )


def _stream_series(stream: LiveStream, measured_s: float) -> StreamSeries:
    return StreamSeries(
        name=stream.name,
        segments=[
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


def _second_table(streams: Sequence[LiveStream]) -> Table:
    columns = ("stream", "second", "completed", "errors", "p50, ms", "p95, ms", "p99, ms")
    rows = tuple(
        (
            stream.name,
            index,
            completed,
            stream.timeline.errors[index],
            milliseconds(stream.timeline.p50[index]),
            milliseconds(stream.timeline.p95[index]),
            milliseconds(stream.timeline.p99[index]),
        )
        for stream in streams
        for index, completed in enumerate(stream.timeline.completed)
    )
    return Table(columns, rows)


def _starts_table(streams: Sequence[LiveStream]) -> Table:
    rows = tuple(
        (stream.name, index, *pair)
        for stream in streams
        for index, pair in enumerate(zip(stream.intended or (), stream.sent, strict=True))
    )
    return Table(("stream", "second", "intended", "sent"), rows)


def _cpu_table(gauges: Gauges) -> Table:
    target, client = role_cpu(gauges, "target"), role_cpu(gauges, "client")
    rows = tuple(
        (round(index * gauges.interval_s, 3), *(round(100 * value, 1) for value in pair))
        for index, pair in enumerate(zip(target, client, strict=False))
    )
    return Table(("from, s", "target CPU, %", "client CPU, %"), rows)


def _sample_table(gauges: Gauges) -> Table:
    """Return the numbers of all workers together, one row for each sample."""
    lags = scaled(maxima([worker.loop_lag_s for worker in gauges.workers]), 1e3)
    busy = summed([worker.tokens_busy for worker in gauges.workers])
    waiting = summed([worker.tokens_waiting for worker in gauges.workers])
    rows = tuple(
        (round(index * gauges.interval_s, 3), *row)
        for index, row in enumerate(zip(lags, busy, waiting, strict=False))
    )
    return Table(("from, s", "longest loop lag, ms", "tokens busy", "tokens waiting"), rows)
