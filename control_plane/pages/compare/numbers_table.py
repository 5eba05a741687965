"""The runs of a comparison as a table of numbers, each with its ratio to the baseline."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from control_plane.analysis.charts.figure import Table, TableValue
from control_plane.analysis.comparison import (
    Comparison,
    IntervalVerdict,
    MetricComparison,
    Trust,
    invalid,
    stream_of,
    value_of,
)
from control_plane.analysis.prose.comparison_sentences import MARGIN
from control_plane.analysis.run_labels import RunLabel
from control_plane.domain.metrics_and_objectives import METRIC, SHARE_MARGIN
from control_plane.domain.result import Summary
from control_plane.domain.run import Run
from control_plane.domain.times_and_percentiles import AT_LEAST_NOTE, NO_ANSWER
from control_plane.domain.units import NONE, WRITTEN, count, figures, ratio
from control_plane.pages.run_rows import (
    COLUMN_HEADS,
    Cell,
    ColumnHead,
    error_cell,
    time_cell,
    time_unit,
)

WORSE: tuple[Trust, ...] = ("full", "greyed", "void", "hidden")


def ratio_trust(comparison: Comparison, row: MetricComparison, run_id: str) -> Trust:
    """Return how far a ratio may be believed: as the worse of its sides."""
    return max(row.trust[comparison.baseline], row.trust[run_id], key=WORSE.index)


def shown_ratio(comparison: Comparison, row: MetricComparison, run_id: str) -> float | None:
    """Return the ratio to the baseline.

    None for the baseline itself, and where a side has too few samples to be shown.
    """
    if run_id == comparison.baseline or ratio_trust(comparison, row, run_id) == "hidden":
        return None
    return row.ratios[run_id]


FIRST_BYTE = "first_byte_time_s.p50"
"""What of the time to first byte stands beside the response times, where answers begin early."""

TIME_COLUMNS = ("p50", "p90", "p95", "p99", "p999", "max")
MISSING = Cell(NONE, "hidden")


@dataclass(frozen=True)
class NumbersRow:
    """The numbers of one run.

    `note` says what this run is here: baseline, suspect, invalid, or how it ended.
    """

    label: RunLabel
    note: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class NumbersTable:
    """The numbers of each run; `note` says what bounds mean, where there are any."""

    heads: tuple[ColumnHead, ...]
    rows: tuple[NumbersRow, ...]
    note: str = ""


@dataclass(frozen=True)
class _Column:
    """One column: its head, and what makes its cell.

    `metric` is the compared one whose ratio stands below; some have none.
    """

    head: ColumnHead
    cell: Callable[[Summary], Cell]
    metric: str = ""


def numbers_table(comparison: Comparison, stream: str, metric: str | None = None) -> NumbersTable:
    """Return a row for each run, with its numbers in one stream; or that of one `metric` alone."""
    summaries = {run.id: stream_of(run, stream) for run in comparison.runs}
    known = [summary for summary in summaries.values() if summary is not None]
    columns = _columns(time_unit(known), first_byte=comparison.begins_early(stream))
    if metric:
        chosen = [column for column in columns if column.metric == metric]
        columns = (*columns[:2], *(chosen or [_other_column(metric)]))
    compared = {row.metric: row for row in comparison.rows if row.stream == stream}
    pairs = [(column, compared.get(column.metric)) for column in columns]
    rows = [
        NumbersRow(
            comparison.label(run.id),
            _note(comparison, run),
            tuple(_cell(comparison, run, summaries[run.id], *pair) for pair in pairs),
        )
        for run in comparison.runs
    ]
    bounds = any(row.at_least or row.unanswered for row in compared.values())
    heads = tuple(column.head for column in columns)
    return NumbersTable(heads, tuple(rows), AT_LEAST_NOTE if bounds else "")


def _columns(unit: str, *, first_byte: bool) -> tuple[_Column, ...]:
    return (
        _Column(ColumnHead("Requests"), lambda stream: Cell(count(stream.completed))),
        _Column(ColumnHead("Errors"), error_cell),
        _Column(
            ColumnHead("Throughput", "/s"),
            lambda stream: Cell(figures(stream.throughput_per_s)),
            "throughput_per_s",
        ),
        *(_time_column(part, unit) for part in TIME_COLUMNS),
        *((_first_byte_column(unit),) if first_byte else ()),
        _Column(
            ColumnHead("Answer", "B"),
            lambda stream: Cell(count(stream.bytes_received_per_request)),
            "bytes_received_per_request",
        ),
        _Column(
            ColumnHead("CPU", "ms/req"),
            lambda stream: _scaled(stream.cpu_s_per_request, 1e3),
            "cpu_s_per_request",
        ),
        _Column(
            ColumnHead("Memory", "MB"),
            lambda stream: _scaled(stream.peak_memory_bytes, 1e-6),
            "peak_memory_bytes",
        ),
    )


def _time_column(part: str, unit: str) -> _Column:
    return _Column(
        ColumnHead(COLUMN_HEADS.get(part, part), unit),
        lambda stream: time_cell(stream.response_time_s, part, unit),
        f"response_time_s.{part}",
    )


def _first_byte_column(unit: str) -> _Column:
    return _Column(
        ColumnHead("First byte p50", unit, "first-byte"),
        lambda stream: time_cell(stream.first_byte_time_s, "p50", unit),
        FIRST_BYTE,
    )


def _other_column(name: str) -> _Column:
    """Return the column of a metric that has none among the usual ones."""
    metric = METRIC[name]

    def cell(summary: Summary) -> Cell:
        value = value_of(summary, name)
        return MISSING if value is None else Cell(WRITTEN[metric.unit](value))

    return _Column(ColumnHead(metric.label), cell, name)


def _cell(
    comparison: Comparison,
    run: Run,
    summary: Summary | None,
    column: _Column,
    row: MetricComparison | None,
) -> Cell:
    if summary is None:
        return MISSING
    cell = column.cell(summary)
    if invalid(run) and cell.level not in {"alarm", "hidden"}:
        cell = replace(cell, level="void")
    against = shown_ratio(comparison, row, run.id) if row else None
    if row is None or against is None or cell.level == "hidden":
        return cell
    level = ratio_trust(comparison, row, run.id)
    return replace(cell, below=ratio(against), below_level=level)


def _note(comparison: Comparison, run: Run) -> str:
    if not run.streams:
        return run.state.value
    if invalid(run):
        return "invalid"
    doubt = "suspect, " if comparison.outcome(run) == "suspect" else ""
    if run.id == comparison.baseline:
        return f"{doubt}baseline" if len(comparison.runs) > 1 else ""
    if run.id in comparison.apart:
        return f"{doubt}another machine"
    base = comparison.label(comparison.baseline).letter
    which = ", invalid" if invalid(comparison.run(comparison.baseline)) else ""
    return f"{doubt}ratio to {base}{which}"


def _scaled(value: float | None, scale: float) -> Cell:
    return MISSING if value is None else Cell(figures(value * scale))


@dataclass(frozen=True)
class MetricRow:
    """One metric of all runs, with `cells` in their order.

    `factor`: its largest difference over what may be noise; None where nothing can be set against
    the baseline. `telling`: it is above 1, or one side alone has none of it or no answer.
    """

    metric: str
    label: str
    meaning: str
    cells: tuple[Cell, ...]
    factor: float | None
    telling: bool

    @property
    def factor_text(self) -> str:
        """Return the factor as it is written."""
        return NONE if self.factor is None else f"{figures(self.factor, 2)}×"


@dataclass(frozen=True)
class StreamRows:
    """The metrics of a stream: those that differ by more than noise first, and the others."""

    stream: str
    rows: tuple[MetricRow, ...]
    folded: tuple[MetricRow, ...]


def ratio_table(comparison: Comparison) -> tuple[StreamRows, ...]:
    """Return every metric of every stream, with its ratio to the baseline.

    The most telling differences come first. Folded are metrics whose largest difference is within
    the margin, or within what the trials of a run differ by themselves, and those without one;
    none of them where no run has a ratio.
    """
    return tuple(
        _stream_rows(
            stream, [_row(comparison, row) for row in comparison.rows if row.stream == stream]
        )
        for stream in comparison.streams
    )


def _stream_rows(stream: str, rows: Sequence[MetricRow]) -> StreamRows:
    ordered = sorted(rows, key=lambda row: (not row.telling, -(row.factor or 0.0)))
    if not any(cell.below for row in rows for cell in row.cells):
        return StreamRows(stream, tuple(ordered), ())
    telling = sum(row.telling for row in rows)
    return StreamRows(stream, tuple(ordered[:telling]), tuple(ordered[telling:]))


def _row(comparison: Comparison, row: MetricComparison) -> MetricRow:
    metric = METRIC[row.metric]
    cells = tuple(_metric_cell(comparison, row, run) for run in comparison.runs)
    factor = significance(comparison, row)
    telling = (factor or 0) > 1 or any(_on_one_side(comparison, row, name) for name in row.ratios)
    return MetricRow(row.metric, metric.label, metric.meaning, cells, factor, telling)


def significance(comparison: Comparison, row: MetricComparison) -> float | None:
    """Return the largest difference of a metric over what may be noise; None without one.

    Both are logarithms, or those of shares themselves. What may be noise is the margin, or how far
    apart the trials of either run lie, where that is more. A factor above 1 decides nothing: only
    an interval does.
    """
    base = _spread(comparison.run(comparison.baseline), row)
    margin = SHARE_MARGIN if row.unit == "share" else MARGIN
    factors = [
        found / max(margin, base, _spread(comparison.run(run_id), row))
        for run_id in row.ratios
        if (found := _difference(comparison, row, run_id)) is not None
    ]
    return max(factors, default=None)


def _difference(comparison: Comparison, row: MetricComparison, run_id: str) -> float | None:
    """Return how far a run lies from the baseline at least: a logarithm, or a share."""
    sides = comparison.baseline, run_id
    base, value = (row.values[side] for side in sides)
    if base is None or value is None or not _is_compared(comparison, row, run_id):
        return None
    if row.unit == "share":
        return abs(value - base)
    found = shown_ratio(comparison, row, run_id)
    bounds = [side in row.at_least for side in sides]
    # A bound beyond the other side is as far from it, or further.
    if bounds == [base > value, value > base] and any(bounds) and base and value:
        found = value / base if ratio_trust(comparison, row, run_id) != "hidden" else None
    return abs(math.log(found)) if found else None


def _is_compared(comparison: Comparison, row: MetricComparison, run_id: str) -> bool:
    return run_id not in {comparison.baseline, *comparison.apart} and (
        row.unit == "share" or any(each.ratios[run_id] for each in comparison.rows)
    )


def _on_one_side(comparison: Comparison, row: MetricComparison, run_id: str) -> bool:
    """Whether a run or the baseline has none of a metric, or no answer, and the other has some."""
    sides = comparison.baseline, run_id
    known = [value for side in sides if (value := row.values[side]) is not None]
    if not _is_compared(comparison, row, run_id):
        return False
    if unanswered := sum(side in row.unanswered for side in sides):
        return unanswered == len(known) == 1
    return len(known) == len(sides) and known.count(0) == 1


def _spread(run: Run, row: MetricComparison) -> float:
    """Return how far apart the trials of a run lie, as `_difference` has it; 0 of a single one."""
    of_trials = (
        value_of(stream, row.metric)
        for trial in run.trials
        for stream in trial.streams
        if stream.name == row.stream
    )
    known = [value for value in of_trials if value is not None]
    if row.unit == "share":
        return max(known) - min(known) if known else 0.0
    known = [value for value in known if value > 0]
    return math.log(max(known) / min(known)) if known else 0.0


def _metric_cell(comparison: Comparison, row: MetricComparison, run: Run) -> Cell:
    value, level = row.values[run.id], row.trust[run.id]
    if value is None or level == "hidden":
        return Cell(NO_ANSWER if run.id in row.unanswered else NONE, "hidden")
    text, against = row.text(run.id), row.ratios[run.id]
    if against is None or run.id == comparison.baseline:
        return Cell(text, level)
    of_both = ratio_trust(comparison, row, run.id)
    return Cell(text, level) if of_both == "hidden" else Cell(text, level, ratio(against), of_both)


def comparison_grid(comparison: Comparison) -> Table:
    """Return a table for a spreadsheet: a row for each metric, a column for each run.

    Where something is decided, columns of each run that has a verdict follow.
    """
    runs = comparison.runs
    judged = [run for run in runs if any(run.id in row.verdicts for row in comparison.rows)]
    outcomes = (comparison.outcome(run) or run.state.value for run in runs)
    measured = (
        (
            *(row.stream, row.metric, row.unit),
            *(row.values[run.id] for run in runs),
            *(cell for run in judged for cell in _decided(row.verdicts.get(run.id))),
        )
        for row in comparison.rows
        if any(value is not None for value in row.values.values())
    )
    named = (label.text for label in comparison.labels)
    told = (f"{each} of {comparison.label(run.id).text}" for run in judged for each in _DECIDED)
    nothing = [None] * (len(judged) * len(_DECIDED))
    return Table(
        columns=("stream", "metric", "unit", *named, *told),
        rows=((None, "validity", None, *outcomes, *nothing), *measured),
    )


_DECIDED = ("ratio", "low, 95 %", "high, 95 %", "verdict", "role")


def _decided(found: IntervalVerdict | None) -> Sequence[TableValue]:
    """Return the cells of `_DECIDED`."""
    if found is None:
        return [None] * len(_DECIDED)
    return found.ratio, found.low, found.high, found.verdict, found.role


MARKDOWN_MARKS: dict[Trust, str] = {"full": "", "greyed": "*", "void": "~~"}


def markdown_cell(comparison: Comparison, row: MetricComparison, run: Run) -> str:
    """Return a value as Markdown, with its ratio to the baseline and marks of how far both go."""
    value, level = row.values[run.id], row.trust[run.id]
    if value is None or level == "hidden":
        return NO_ANSWER if run.id in row.unanswered else NONE
    text = _marked(row.text(run.id), level)
    against = shown_ratio(comparison, row, run.id)
    if against is None:
        return text
    return f"{text} {_marked(f'({ratio(against)})', ratio_trust(comparison, row, run.id))}"


def _marked(text: str, level: Trust) -> str:
    return f"{MARKDOWN_MARKS[level]}{text}{MARKDOWN_MARKS[level]}"
