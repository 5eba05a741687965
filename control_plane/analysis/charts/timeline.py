"""One run over time: its requests, the inside of its server and its processes in each second."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, repeat
from typing import Any

from control_plane.analysis.causes.blocked_loop import (
    blocked_share,
    blocked_verdict,
    stored_floor_s,
)
from control_plane.analysis.causes.evidence import workers_of
from control_plane.analysis.charts.figure import (
    BOTTOM,
    HEIGHTS,
    TOP,
    Figure,
    Height,
    Plot,
    Table,
    TableValue,
    scaled,
    window_axis,
)
from control_plane.analysis.charts.panels import (
    TITLE,
    Panel,
    add_warmup,
    collection_panel,
    cpu_panel,
    flight_panel,
    lag_panel,
    memory_panel,
    stacked,
    tokens_panel,
)
from control_plane.analysis.charts.response_time_panels import (
    StreamSeries,
    furthest_percentile,
    heat_panel,
    mostly_supported,
    response_panel,
    size_panel,
    supported_points,
    throughput_panel,
)
from control_plane.analysis.charts.timeline_series import (
    SecondWay,
    Span,
    TrialSegment,
    Values,
    begin_s,
    end_s,
    maxima,
    per_second,
    placed_segments,
    role_cpu,
    span_bands,
    stall_spans,
    summed,
    window_starts,
)
from control_plane.domain.observations import Gauges
from control_plane.domain.result import SecondColumns, Summary, Timeline
from control_plane.domain.run import RunDetail
from control_plane.domain.times_and_percentiles import Times
from control_plane.domain.units import seconds


@dataclass(frozen=True)
class GaugeColumn:
    """A column made of gauges: those of a second become one number by `way`, `times` a factor."""

    head: str
    samples: Callable[[Gauges], Values]
    way: SecondWay = "max"
    times: float = 1

    def cells(self, gauges: Gauges, length: int) -> list[TableValue]:
        found = per_second(self.samples(gauges), gauges.interval_s, length, self.way)
        return [*scaled(found, self.times)]


def _memory(gauges: Gauges, role: str) -> Values:
    return summed([process.memory_bytes for process in gauges.processes if process.role == role])


def _worker_maxima(gauges: Gauges, name: str) -> Values:
    return maxima([getattr(worker, name) for worker in gauges.workers])


def _worker_sums(gauges: Gauges, name: str) -> Values:
    return summed([getattr(worker, name) for worker in gauges.workers])


RESPONSE_COLUMNS = (
    "trial",
    "second",
    "stream",
    "completed",
    "errors",
    "p50, ms",
    "p95, ms",
    "p99, ms",
    "mean answer, B",
)

PROCESS_COLUMNS = (
    GaugeColumn("target CPU, %", partial(role_cpu, role="target"), "mean", 100),
    GaugeColumn("client CPU, %", partial(role_cpu, role="client"), "mean", 100),
    GaugeColumn("target memory, MB", partial(_memory, role="target"), "max", 1e-6),
    GaugeColumn("client memory, MB", partial(_memory, role="client"), "max", 1e-6),
)

WORKER_COLUMNS = (
    GaugeColumn("longest loop lag, ms", partial(_worker_maxima, name="loop_lag_s"), "max", 1e3),
    GaugeColumn("tokens busy", partial(_worker_sums, name="tokens_busy")),
    GaugeColumn("tokens waiting", partial(_worker_sums, name="tokens_waiting")),
    GaugeColumn("garbage collection, ms", partial(_worker_sums, name="gc_s"), "sum", 1e3),
    GaugeColumn("in flight", partial(_worker_sums, name="in_flight")),
)


class LazyRows(Sequence[tuple[TableValue, ...]]):
    """Rows of a table that are made when they are looked at: a page shows the first of many.

    `rows` makes at least so many of the first.
    """

    def __init__(
        self, length: int, rows: Callable[[int], Iterator[tuple[TableValue, ...]]]
    ) -> None:
        self._length, self._rows = length, rows

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[tuple[TableValue, ...]]:
        return self._rows(self._length)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            begin, end, step = at.indices(self._length)
            return tuple(islice(self._rows(end), begin, end, step))
        place = range(self._length)[at]
        return next(islice(self._rows(place + 1), place, None))


def timeline_table(detail: RunDetail, selection: slice) -> Table:
    """Return each second of the selected trials; those of the warm-up are negative.

    Columns of workers stand only where those were seen from inside.
    """
    watched = any(trial.workers for trial in detail.gauges[selection])
    columns = (*PROCESS_COLUMNS, *(WORKER_COLUMNS if watched else ()))
    parts = [
        ((trial, name), timeline)
        for name, timelines in detail.timelines.items()
        for trial, timeline in enumerate(timelines[selection], start=(selection.start or 0) + 1)
    ]

    def rows(most: int) -> Iterator[tuple[TableValue, ...]]:
        for named, timeline in parts:
            cells = _cells(detail.gauges, named[0], columns, min(most, len(timeline.completed)))
            yield from _rows(named, timeline, cells, most)

    length = sum(
        len(part.completed)
        for _, timeline in parts
        for part in (timeline, timeline.warmup)
        if part is not None
    )
    heads = (*RESPONSE_COLUMNS, *(column.head for column in columns))
    return Table(heads, LazyRows(length, rows))


def _cells(
    gauges: Sequence[Gauges], trial: int, columns: Sequence[GaugeColumn], length: int
) -> list[list[TableValue]]:
    """Return cells by column, then by so many seconds of the window."""
    if trial > len(gauges):
        return [[None] * length for _ in columns]
    return [column.cells(gauges[trial - 1], length) for column in columns]


def _rows(
    named: tuple[int, str],
    timeline: Timeline,
    cells: Sequence[Sequence[TableValue]],
    most: int,
) -> Iterator[tuple[TableValue, ...]]:
    """Yield the rows of warm-up and window, so many of each at most."""
    trial, name = named
    parts: list[tuple[SecondColumns, Sequence[Sequence[TableValue]]]] = [(timeline, cells)]
    if warmup := timeline.warmup:
        unknown = [None] * min(most, len(warmup.completed))
        parts.insert(0, (warmup, [unknown for _ in cells]))
    for part, columns in parts:
        whole = len(part.completed)
        length = min(most, whole)
        first = -whole if part is timeline.warmup else 0
        numbers = range(first, first + length)
        named_columns = repeat(trial, length), numbers, repeat(name, length)
        yield from zip(*named_columns, *_response_columns(part, length), *columns, strict=True)


def _response_columns(part: SecondColumns, length: int) -> Iterator[Sequence[TableValue]]:
    yield part.completed[:length]
    yield part.errors[:length]
    yield from (scaled(values[:length], 1e3) for values in (part.p50, part.p95, part.p99))
    sizes = part.body_bytes[:length] or [None] * length
    yield [None if size is None else round(size, 1) for size in sizes]


LEAST_PIXELS = 440
"""Height of the lowest timeline."""

PIXELS = 46
"""Height of a panel of weight 1."""

HEATS = {1: (3.6,), 2: (2.8, 2.8), 3: (2.2, 2.2, 2.2)}
"""Weights of the heat maps by the number of streams; more streams are drawn as lines."""

LEAST_S = 3
"""Fewer seconds show no course."""

STEADY = 2
"""A percentile is called steady while its largest second is below this many times its smallest."""


def timeline_chart(detail: RunDetail, trial: int | None = None) -> Figure:
    """Return the figure of one trial, counted from 1; None lays all trials one after the other."""
    selection = slice(None) if trial is None else slice(trial - 1, trial)
    streams = _streams(detail, selection)
    segments = [stream.segments for stream in streams]
    longest = max(segments, key=end_s, default=[])
    gauges = detail.gauges[selection]
    panels = [*_response_panels(streams), *_cause_panels(detail, longest, selection)]
    height = _height(panels)
    earliest = min(segments, key=begin_s, default=[])
    x = window_axis(end_s(longest) or 1.0, begin_s(earliest))
    drawn = stacked(panels, x, height)
    _add_spans(drawn, earliest, stall_spans(longest, gauges, detail.run.causes))
    title = _title(streams)
    texts = [label.text for panel in panels for label in panel.labels]
    return Figure(
        name="timeline",
        title=title,
        note="each second",
        label=f"{title}: {', '.join(texts)}" if texts else title,
        plot=drawn,
        table=timeline_table(detail, selection),
        height=height,
    )


def timeline_legend(figure: Figure) -> str:
    """Return how to read what is drawn: a sentence for the heat map, and one for the bands."""
    heat = any(trace["type"] == "heatmap" for trace in figure.plot["data"])
    shapes = {shape["type"] for shape in figure.plot["layout"]["shapes"]}
    warm, grey = "path" in shapes, "rect" in shapes
    sentences = ["Fuller blue: more requests in that second."] if heat else []
    sentences += ["Orange: requests could not go on."] if warm else []
    sentences += ["Grey: warm-up."] if grey else []
    return " ".join(sentences)


def _streams(detail: RunDetail, selection: slice) -> list[StreamSeries]:
    """Return the streams, with the numbers of the trials that are drawn for their labels."""
    timelines = {name: trials[selection] for name, trials in detail.timelines.items()}
    starts = window_starts(list(timelines.values()))
    found = []
    for name, trials in timelines.items():
        summary = _summary(detail, name, selection)
        found.append(
            StreamSeries(
                name=name,
                segments=placed_segments(trials, detail.slices.get(name, ())[selection], starts),
                throughput_per_s=summary.throughput_per_s if summary else None,
                times=summary.response_time_s if summary else None,
                errors=sum(sum(trial.errors) for trial in trials),
                drifts=_drifts(detail, name, selection),
            )
        )
    return found


def _drifts(detail: RunDetail, name: str, selection: slice) -> list[float | None]:
    trials = (trial.streams for trial in detail.run.trials[selection])
    return [next((s.drift_share for s in streams if s.name == name), None) for streams in trials]


def _summary(detail: RunDetail, name: str, selection: slice) -> Summary | None:
    """Return the summary of a single trial, else of all merged.

    None where a run ended before its merge.
    """
    trials = detail.run.trials[selection]
    if len(trials) == 1:
        return next((stream for stream in trials[0].streams if stream.name == name), None)
    merged = detail.streams.get(name)
    return merged.summary if merged else None


def _response_panels(streams: Sequence[StreamSeries]) -> list[Panel]:
    weights = HEATS.get(len(streams), ())
    several = len(streams) > 1
    heats = [
        heat_panel(
            stream,
            f"Response time of {stream.name}" if several else "Response time",
            weight,
            PIXELS * weight,
        )
        for stream, weight in zip(streams, weights, strict=False)
    ]
    drawn = [panel for panel in heats if panel is not None]
    whole = drawn if drawn and len(drawn) == len(streams) else [response_panel(streams)]
    sizes = size_panel(streams)
    return [*whole, throughput_panel(streams), *([sizes] if sizes else [])]


def _cause_panels(
    detail: RunDetail, segments: Sequence[TrialSegment], selection: slice
) -> list[Panel]:
    """Return the panels that have data, the likeliest causes first; CPU always."""
    target, gauges = detail.run.spec.target, detail.gauges[selection]
    workers = workers_of(detail.run.trials[selection], gauges)
    evidence = next((c.evidence for c in detail.run.causes if c.cause == "loop_blocked"), {})
    stalled = blocked_share(workers, stored_floor_s(evidence))
    cores = target.workers or 1
    panels = (
        lag_panel(segments, gauges, stalled=stalled, blocked=blocked_verdict(detail.run.causes)),
        tokens_panel(segments, gauges),
        cpu_panel(segments, gauges, cores=cores),
        memory_panel(segments, gauges),
        collection_panel(segments, gauges),
        flight_panel(segments, gauges),
    )
    return [panel for panel in panels if panel is not None]


def _height(panels: Sequence[Panel]) -> Height:
    """Return the first height that gives each panel its own, else the last."""
    panes = sum(TITLE + PIXELS * panel.weight for panel in panels)
    wanted = max(TOP + BOTTOM + panes, LEAST_PIXELS)
    return next((height for height in HEIGHTS if int(height[1:]) >= wanted), HEIGHTS[-1])


def _add_spans(drawn: Plot, segments: Sequence[TrialSegment], found: Sequence[Span]) -> None:
    """Add warm bands where the server could not go on, grey warm-ups, hairlines between trials."""
    layout = drawn["layout"]
    top = layout["yaxis"]["domain"][1]
    add_warmup(drawn, segments)
    length_s = end_s(segments) - begin_s(segments)
    edges = [_boundary(segment.begin_s) for segment in segments[1:]]
    layout["shapes"] += [*edges, *span_bands(found, length_s, top)]


def _boundary(at_s: float) -> Plot:
    """Return a hairline where the next trial begins."""
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


def _title(streams: Sequence[StreamSeries]) -> str:
    """Return the furthest percentile that the first stream has samples for, and how it moves."""
    if (
        not streams
        or sum(len(segment.timeline.completed) for segment in streams[0].segments) < LEAST_S
    ):
        return "Over time"
    segments, times = streams[0].segments, streams[0].times
    name = furthest_percentile(segments) or ("p50" if mostly_supported(segments, "p50") else None)
    values = supported_points(segments, name) if name else []
    if len(values) < LEAST_S:
        return _range(times)
    low, high = min(values), max(values)
    way = "stays between" if high < STEADY * low else "swings between"
    return f"{name} {way} {seconds(low)} and {seconds(high)}"


def _range(times: Times | None) -> str:
    if times is None:
        return "Over time"
    return f"Response times between {seconds(times.min)} and {seconds(times.longest_completed)}"
