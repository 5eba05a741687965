"""Every compared metric of every stream: values, and ratios to the baseline below them."""

from dataclasses import dataclass

from control_plane.analysis.comparison import Comparison, Row
from control_plane.domain.metrics import METRIC
from control_plane.domain.run import Run
from control_plane.domain.units import NONE, WRITTEN, ratio
from control_plane.pages.compare.trust import ratio_trust, trust
from control_plane.pages.parts.numbers import Cell


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
    cells = tuple(_cell(comparison, row, run) for run in comparison.runs)
    return MetricRow(metric.label, metric.meaning, cells)


def _cell(comparison: Comparison, row: Row, run: Run) -> Cell:
    value, level = row.values[run.id], trust(run, row.stream, row.metric)
    if value is None or level == "hidden":
        return Cell(NONE, "hidden")
    text, against = WRITTEN[row.unit](value), row.ratios[run.id]
    if against is None or run.id == comparison.baseline:
        return Cell(text, level)
    of_both = ratio_trust(comparison, row, run.id)
    return Cell(text, level) if of_both == "hidden" else Cell(text, level, ratio(against), of_both)
