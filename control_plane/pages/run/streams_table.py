"""The streams of one run as a table: counts, and times on one or both clocks."""

from collections.abc import Sequence
from dataclasses import dataclass

from control_plane.analysis.charts.curve import STREAM_COLOURS
from control_plane.domain.result import Summary, Times
from control_plane.domain.run import Run
from control_plane.domain.spec import Stream
from control_plane.domain.units import count, figures
from control_plane.pages.parts.number_cells import (
    COLUMN_HEADS,
    TIMES,
    Cell,
    ColumnHead,
    error_cell,
    time_cell,
    time_unit,
)

NOTICEABLE = 0.01
"""From this relative difference on, the two clocks are shown both."""

SERVICE = "service time, from when it was sent"


@dataclass(frozen=True)
class StreamRow:
    """`colour` is a number from 1 to 6; `note` what the client did, or which clock this is."""

    name: str
    colour: int
    mark: str
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class StreamsTable:
    heads: tuple[ColumnHead, ...]
    rows: tuple[StreamRow, ...]


def streams_table(run: Run) -> StreamsTable:
    """Empty while no trial has ended. A second row shows the service time where it differs."""
    unit = time_unit(run.streams)
    heads = (
        ColumnHead("Requests"),
        ColumnHead("Errors"),
        ColumnHead("In flight at the end"),
        ColumnHead("Throughput", "/s"),
        *(ColumnHead(COLUMN_HEADS.get(part, part), unit) for part in TIMES),
    )
    declared = {stream.name: stream for stream in run.spec.workload.streams}
    rows: list[StreamRow] = []
    for index, summary in enumerate(run.streams):
        look = (int(STREAM_COLOURS[index % 6][-1]), "hexagon" if index else "circle")
        note = load_words(declared[summary.name])
        rows.append(StreamRow(summary.name, *look, note, _response_cells(summary, unit)))
        if clocks_differ(summary):
            rows.append(StreamRow(summary.name, *look, SERVICE, _service_cells(summary, unit)))
    return StreamsTable(heads, tuple(rows))


def clocks_differ(summary: Summary) -> bool:
    """Whether the wait to be sent shows in the median or the tail."""
    service, response = summary.service_time_s, summary.response_time_s
    if service is None or response is None:
        return False
    return any(
        getattr(response, part) > (1 + NOTICEABLE) * getattr(service, part)
        for part in ("p50", "p99")
    )


def load_words(stream: Stream) -> str:
    """`100 users, 24,999 requests`."""
    who, stop = stream.load.long_label, stream.stop
    if stop.duration_s is not None:
        return f"{who}, {figures(stop.duration_s)} s"
    return f"{who}, {count(stop.requests)} requests"


def _response_cells(summary: Summary, unit: str) -> tuple[Cell, ...]:
    return (
        Cell(count(summary.completed)),
        error_cell(summary),
        Cell(count(summary.censored.count)),
        Cell(figures(summary.throughput_per_s)),
        *_times(summary.response_time_s, unit),
    )


def _service_cells(summary: Summary, unit: str) -> tuple[Cell, ...]:
    return (*(Cell(""),) * 4, *_times(summary.service_time_s, unit))


def _times(times: Times | None, unit: str) -> Sequence[Cell]:
    return [time_cell(times, part, unit) for part in TIMES]
