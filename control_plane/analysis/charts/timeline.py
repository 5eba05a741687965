"""One run over time: response time, throughput and CPU of each second."""

from collections.abc import Iterator, Sequence

from control_plane.analysis.charts.axes import milliseconds, window_axis
from control_plane.analysis.charts.ends import Mark
from control_plane.analysis.charts.figure import Cell, Figure, Height, Plot, Table
from control_plane.analysis.charts.panel import stacked
from control_plane.analysis.charts.panels import (
    StreamTrack,
    cpu_panel,
    response_panel,
    throughput_panel,
)
from control_plane.analysis.charts.track import end_s, second_cpu, segments
from control_plane.domain.result import Gauges, Summary, Timeline
from control_plane.domain.run import RunDetail
from control_plane.domain.units import seconds

HEIGHT: Height = "h440"
STEADY = 2
"""p99 is called steady while its largest second is below this many times its smallest."""


def timeline_chart(detail: RunDetail, trial: int | None = None) -> Figure:
    """`trial` counts from 1; None lays all trials one after the other."""
    chosen = slice(None) if trial is None else slice(trial - 1, trial)
    streams = [
        _stream(name, lines[chosen], _summary(detail, name, chosen))
        for name, lines in detail.timelines.items()
    ]
    longest = max((one.track for one in streams), key=end_s, default=[])
    gauges = detail.gauges[chosen]
    panels = [response_panel(streams), throughput_panel(streams), cpu_panel(longest, gauges)]
    drawn = stacked(panels, window_axis(end_s(longest) or 1.0), HEIGHT)
    drawn["layout"]["shapes"] += [_boundary(one.start_s) for one in longest[1:]]
    title = _title(streams)
    return Figure(
        name="timeline",
        title=title,
        note="each second",
        label=_message(title, panels[1].marks, panels[2].marks),
        plot=drawn,
        table=_table(detail, chosen),
        height=HEIGHT,
    )


def _stream(name: str, lines: Sequence[Timeline], shown: Summary | None) -> StreamTrack:
    """The numbers of its labels are those of the trials that are drawn."""
    return StreamTrack(
        name=name,
        track=segments(lines),
        throughput_per_s=shown.throughput_per_s if shown else None,
        times=shown.response_time_s if shown else None,
        errors=sum(sum(line.errors) for line in lines),
    )


def _summary(detail: RunDetail, name: str, chosen: slice) -> Summary | None:
    """That of a single trial, else of all merged; None where a run ended before its merge."""
    trials = detail.run.trials[chosen]
    if len(trials) == 1:
        return next((one for one in trials[0].streams if one.name == name), None)
    merged = detail.streams.get(name)
    return merged.summary if merged else None


def _boundary(at_s: float) -> Plot:
    """A hairline where the next trial begins."""
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": at_s,
        "x1": at_s,
        "y0": 0,
        "y1": 1,
        "layer": "below",
        "line": {"color": "$line-2", "width": 1, "dash": "dot"},
    }


def _title(streams: Sequence[StreamTrack]) -> str:
    values = [p99 for one in streams[:1] for part in one.track for p99 in part.timeline.p99 if p99]
    if len(values) < 3:
        return "Over time"
    low, high = min(values), max(values)
    way = "stays between" if high < STEADY * low else "swings between"
    return f"p99 {way} {seconds(low)} and {seconds(high)}"


def _message(title: str, *marks: Sequence[Mark]) -> str:
    said = [mark.text for group in marks for mark in group]
    return f"{title}: {', '.join(said)}" if said else title


def _table(detail: RunDetail, chosen: slice) -> Table:
    """One row for each second of each stream."""
    columns = (
        "trial", "second", "stream", "completed", "errors", "p50, ms", "p95, ms", "p99, ms",
        "target CPU, %", "client CPU, %",
    )  # fmt: skip
    first = chosen.start or 0
    rows = [
        row
        for name, lines in detail.timelines.items()
        for trial, line in enumerate(lines[chosen], start=first + 1)
        for row in _seconds(name, trial, line, detail.gauges)
    ]
    return Table(columns, tuple(rows))


def _seconds(
    name: str, trial: int, line: Timeline, gauges: Sequence[Gauges]
) -> Iterator[tuple[Cell, ...]]:
    length = len(line.completed)
    cpu = [
        _percent(gauges[trial - 1], role, length) if trial <= len(gauges) else [None] * length
        for role in ("target", "client")
    ]
    for second in range(length):
        yield (
            trial,
            second,
            name,
            line.completed[second],
            line.errors[second],
            milliseconds(line.p50[second]),
            milliseconds(line.p95[second]),
            milliseconds(line.p99[second]),
            *(one[second] for one in cpu),
        )


def _percent(gauges: Gauges, role: str, length: int) -> list[float | None]:
    values = second_cpu(gauges, role, length)
    return [None if value is None else round(100 * value, 1) for value in values]
