"""Every compared metric of every stream: values, and ratios to the baseline below them."""

from dataclasses import dataclass

from control_plane.analysis.comparison import Comparison, Row
from control_plane.domain.metrics import METRIC
from control_plane.domain.units import WRITTEN, ratio
from control_plane.pages.numbers import Cell


@dataclass(frozen=True)
class MetricRow:
    """`cells` in the order of the runs."""

    label: str
    meaning: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class StreamRows:
    stream: str
    rows: tuple[MetricRow, ...]


def ratio_table(comparison: Comparison) -> tuple[StreamRows, ...]:
    return tuple(
        StreamRows(
            stream,
            tuple(_row(comparison, row) for row in comparison.rows if row.stream == stream),
        )
        for stream in comparison.streams
    )


def _row(comparison: Comparison, row: Row) -> MetricRow:
    metric = METRIC[row.metric]
    written = WRITTEN[row.unit]
    cells = []
    for run in comparison.runs:
        against = row.ratios[run.id] if run.id != comparison.baseline else None
        below = ratio(against) if against is not None else ""
        cells.append(Cell(written(row.values[run.id]), "full", below))
    return MetricRow(metric.label, metric.meaning, tuple(cells))
