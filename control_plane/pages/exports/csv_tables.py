"""Everything a run or a comparison measured, one number in each row."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from control_plane.analysis.charts.figure import TableValue
from control_plane.analysis.comparison import Comparison
from control_plane.domain.result import Summary
from control_plane.domain.run import Run

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[TableValue]]) -> str:
    """Return UTF-8 text with CRLF; None is an empty cell, numbers stand as they are."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([_safe(column) for column in columns])
    writer.writerows([_safe(cell) for cell in row] for row in rows)
    return out.getvalue()


def _safe(cell: TableValue) -> TableValue:
    """Return a cell; an apostrophe keeps a spreadsheet from running it (OWASP, CSV injection)."""
    if isinstance(cell, str) and cell.startswith(FORMULA):
        return f"'{cell}"
    return cell


RUN_COLUMNS = ("trial", "stream", "metric", "unit", "value", "validity")
COMPARE_COLUMNS = (
    "run", "title", "stream", "metric", "unit", "value", "ratio", "validity", "baseline_validity"
)  # fmt: skip

ALL = "all"
"""Stands for all trials merged."""

UNITS = (
    ("_per_request", "s_per_request"),
    ("_per_s", "per_s"),
    ("_share", "share"),
    ("_bytes", "bytes"),
    ("_s", "s"),
)
COUNTED = ("errors.", "statuses.", "support.", ".count", ".waited", ".at_least", "_window.requests")


def run_rows(run: Run) -> Iterator[tuple[TableValue, ...]]:
    """Return the numbers of each trial from 1, then of all trials merged, by stream and metric.

    Validity is the run's.
    """
    outcome = outcome_of(run)
    for number, trial in enumerate(run.trials, start=1):
        for summary in trial.streams:
            yield from _summary_rows(number, summary, outcome)
    for summary in run.streams:
        yield from _summary_rows(ALL, summary, outcome)


def outcome_of(run: Run) -> str | None:
    """Return the validity of a run; None where it was not judged."""
    return run.validity.outcome if run.validity else None


def compare_rows(comparison: Comparison) -> Iterator[tuple[TableValue, ...]]:
    """Return the numbers by stream and metric, the runs in the order of the URL."""
    base = outcome_of(comparison.run(comparison.baseline))
    for gone in comparison.deleted:
        yield (gone.id, gone.title, None, None, None, None, None, "deleted", None)
    for row in comparison.rows:
        for run in comparison.runs:
            numbers = (row.values[run.id], row.ratios[run.id])
            judged = (outcome_of(run), base)
            yield (run.id, run.title, row.stream, row.metric, row.unit, *numbers, *judged)


def _summary_rows(
    trial: TableValue, summary: Summary, outcome: str | None
) -> Iterator[tuple[TableValue, ...]]:
    for metric, value in _leaves(asdict(summary)):
        if metric != "name":
            yield trial, summary.name, metric, unit_of(metric), value, outcome


def _leaves(document: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{path}{key}.")
        elif isinstance(value, tuple):
            yield f"{path}{key}", " ".join(value)
        else:
            yield f"{path}{key}", value


def unit_of(metric: str) -> str:
    """Return the unit of a metric, by the ending of its name or of the object it stands in.

    Counts have the unit `1`.
    """
    if any(part in metric for part in COUNTED):
        return "1"
    if metric.endswith(".share"):
        return "share"
    if metric.startswith("bytes_"):
        return "bytes"
    for part in reversed(metric.split(".")):
        for ending, unit in UNITS:
            if part.endswith(ending):
                return unit
    return "1"
