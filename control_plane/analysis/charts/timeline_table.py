"""The numbers of a timeline: one row for each second of each stream."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from control_plane.analysis.charts.axes import milliseconds
from control_plane.analysis.charts.figure import Cell, Table
from control_plane.analysis.charts.gauge_steps import (
    added,
    average,
    by_second,
    highest,
    role_cpu,
    scaled,
)
from control_plane.analysis.charts.track import Values
from control_plane.domain.result import Gauges, Timeline, WarmUp
from control_plane.domain.run import RunDetail


@dataclass(frozen=True)
class Column:
    """`samples` of one trial; those of a second become one by `way`, then `times` a factor."""

    head: str
    samples: Callable[[Gauges], Values]
    way: Callable[[Sequence[float]], float] = max
    times: float = 1

    def cells(self, gauges: Gauges, length: int) -> list[Cell]:
        found = by_second(self.samples(gauges), gauges.interval_s, length, self.way)
        return [*scaled(found, self.times)]


def _memory(gauges: Gauges, role: str) -> Values:
    return added([one.memory_bytes for one in gauges.processes if one.role == role])


def _highest(gauges: Gauges, name: str) -> Values:
    return highest([getattr(one, name) for one in gauges.workers])


def _added(gauges: Gauges, name: str) -> Values:
    return added([getattr(one, name) for one in gauges.workers])


ANSWERS = ("trial", "second", "stream", "completed", "errors", "p50, ms", "p95, ms", "p99, ms")
OUTSIDE = (
    Column("target CPU, %", partial(role_cpu, role="target"), average, 100),
    Column("client CPU, %", partial(role_cpu, role="client"), average, 100),
    Column("target memory, MB", partial(_memory, role="target"), max, 1e-6),
    Column("client memory, MB", partial(_memory, role="client"), max, 1e-6),
)
INSIDE = (
    Column("longest loop lag, ms", partial(_highest, name="loop_lag_s"), max, 1e3),
    Column("tokens busy", partial(_added, name="tokens_busy")),
    Column("tokens waiting", partial(_added, name="tokens_waiting")),
    Column("garbage collection, ms", partial(_added, name="gc_s"), sum, 1e3),
    Column("in flight", partial(_added, name="in_flight")),
)


def timeline_table(detail: RunDetail, chosen: slice) -> Table:
    """Of the chosen trials; seconds of the warm-up are negative.

    Columns of workers stand only where those were seen from inside.
    """
    watched = any(one.workers for one in detail.gauges[chosen])
    columns = (*OUTSIDE, *(INSIDE if watched else ()))
    rows = [
        row
        for name, lines in detail.timelines.items()
        for trial, line in enumerate(lines[chosen], start=(chosen.start or 0) + 1)
        for row in _rows((trial, name), line, _cells(detail.gauges, trial, columns, line))
    ]
    return Table((*ANSWERS, *(column.head for column in columns)), tuple(rows))


def _cells(
    gauges: Sequence[Gauges], trial: int, columns: Sequence[Column], line: Timeline
) -> list[list[Cell]]:
    """By column, then by second of the window."""
    length = len(line.completed)
    if trial > len(gauges):
        return [[None] * length for _ in columns]
    return [column.cells(gauges[trial - 1], length) for column in columns]


def _rows(
    named: tuple[int, str], line: Timeline, cells: Sequence[Sequence[Cell]]
) -> Iterator[tuple[Cell, ...]]:
    trial, name = named
    early = len(line.warmup.completed) if line.warmup else 0
    for index in range(early):
        if line.warmup:
            yield (
                trial,
                index - early,
                name,
                *_answers(line.warmup, index),
                *(None for _ in cells),
            )
    for index in range(len(line.completed)):
        yield (trial, index, name, *_answers(line, index), *(one[index] for one in cells))


def _answers(seconds: Timeline | WarmUp, index: int) -> tuple[Cell, ...]:
    percentiles = (seconds.p50, seconds.p95, seconds.p99)
    times = (milliseconds(values[index]) for values in percentiles)
    return (seconds.completed[index], seconds.errors[index], *times)
