"""Results as files and to paste: CSV, Markdown, JSON, tables, and the numbers of each figure."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from control_plane.analysis.charts.figure import Figure, Table, TableValue
from control_plane.analysis.charts.metric_charts import BarChart
from control_plane.analysis.comparison import Comparison
from control_plane.analysis.comparison import compare as compared_runs
from control_plane.analysis.prose import escaped, plain_text
from control_plane.analysis.prose.comparison_scope import asked_of_runs, deleted_runs
from control_plane.analysis.prose.comparison_sentences import (
    caveats,
    comparison_title,
    described_comparison,
    no_verdict,
    session_lines,
    shared_cause,
)
from control_plane.analysis.prose.experiment_and_trend_json import experiment_document
from control_plane.analysis.prose.markdown_and_junit import experiment_markdown
from control_plane.dependencies import ExperimentId, RunId, RunServiceDep, StoreDep
from control_plane.domain.api_documents import run_document
from control_plane.domain.errors import NotFound
from control_plane.domain.ids import experiment_address, run_address
from control_plane.domain.metrics_and_objectives import METRIC, Metric
from control_plane.domain.result import Summary
from control_plane.domain.run import Run
from control_plane.domain.times_and_percentiles import AT_LEAST_NOTE
from control_plane.domain.unanswered import failed_text
from control_plane.domain.units import NONE
from control_plane.jobs.experiment_job import compared_now, judged_now, judged_together
from control_plane.pages.compare import CompareQueryDep, over_blocks, read_details
from control_plane.pages.compare.compare_view import compared, comparison_figures, drawn_stream
from control_plane.pages.compare.numbers_table import FIRST_BYTE, comparison_grid, markdown_cell
from control_plane.pages.compare_query import CompareQuery
from control_plane.pages.experiment_pages import experiment_grid
from control_plane.pages.run import TrialNumber
from control_plane.pages.run.run_view import run_figures
from control_plane.store.store import Store

FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(
    columns: Sequence[str], rows: Iterable[Sequence[TableValue]], between: str = ","
) -> str:
    """Return UTF-8 text with CRLF; None is an empty cell, numbers stand as they are."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=between)
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
    "run", "title", "stream", "metric", "unit", "value", "ratio", "validity", "baseline_validity",
    "session_ratio", "session_low", "session_high", "verdict", "role",
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
        yield (gone.id, gone.title, *[None] * 5, "deleted", *[None] * 6)
    for row in comparison.rows:
        for run in comparison.runs:
            numbers = (row.values[run.id], row.ratios[run.id])
            judged = (outcome_of(run), base)
            found = row.verdicts.get(run.id)
            decided = (
                (found.ratio, found.low, found.high, found.verdict, found.role)
                if found
                else [None] * 5
            )
            named = (run.id, run.title, row.stream, row.metric, row.unit)
            yield (*named, *numbers, *judged, *decided)


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


NAMED = 4

router = APIRouter(include_in_schema=False)

FigureName = Annotated[str, Path(pattern=r"^[a-z-]{1,20}$")]


@router.get("/runs/{run_id}.json")
def run_json(run_id: RunId, store: StoreDep, service: RunServiceDep) -> JSONResponse:
    """Return a run as JSON, as the API has it."""
    run = store.run(run_id)
    document = run_document(run, service.progress(run_id), service.hints(run))
    return JSONResponse(document, headers=attachment(f"run-{run_id}.json"))


@router.get("/runs/{run_id}.csv")
def run_csv(run_id: RunId, store: StoreDep) -> Response:
    """Return all numbers of a run as CSV."""
    return csv_file(f"run-{run_id}", RUN_COLUMNS, run_rows(store.run(run_id)))


@router.get("/runs/{run_id}/figures/{name}.csv")
def run_figure(
    run_id: RunId, name: FigureName, store: StoreDep, trial: TrialNumber = None
) -> Response:
    """Return the numbers behind a figure of a run as CSV."""
    figures = run_figures(store.detail(run_id, slices=True), int(trial) if trial else None)
    return figure_file(f"run-{run_id}", name, figures)


@router.get("/runs/{run_id}.md")
def run_markdown(request: Request, run_id: RunId, store: StoreDep) -> Response:
    """Return a run as Markdown."""
    alone = compared_runs([store.run(run_id)], run_id)
    text = comparison_markdown(alone, _absolute(request, run_address(run_id)))
    return markdown_file(text, f"run-{run_id}")


@router.get("/runs/{run_id}.tsv")
def run_grid(run_id: RunId, store: StoreDep) -> Response:
    """Return a run as a table for a spreadsheet."""
    grid = comparison_grid(compared_runs([store.run(run_id)], run_id))
    return grid_file(grid, f"run-{run_id}")


@router.get("/experiments/{experiment_id}.md")
def experiment_comment(request: Request, experiment_id: ExperimentId, store: StoreDep) -> Response:
    """Return an experiment as Markdown."""
    found = experiment_document(judged_now(store, experiment_id))
    address = _absolute(request, experiment_address(experiment_id))
    return markdown_file(experiment_markdown(found, address), f"experiment-{experiment_id}")


@router.get("/experiments/{experiment_id}.tsv")
def experiment_table(experiment_id: ExperimentId, store: StoreDep) -> Response:
    """Return an experiment as a table for a spreadsheet."""
    grid = experiment_grid(experiment_document(judged_now(store, experiment_id)))
    return grid_file(grid, f"experiment-{experiment_id}")


@router.get("/experiments/{experiment_id}.csv")
def experiment_csv(experiment_id: ExperimentId, store: StoreDep) -> Response:
    """Return the verdicts of an experiment as CSV."""
    grid = experiment_grid(experiment_document(judged_now(store, experiment_id)))
    return csv_file(f"experiment-{experiment_id}", grid.columns, grid.rows)


@router.get("/compare.json")
def compare_json(query: CompareQueryDep, store: StoreDep) -> JSONResponse:
    """Return a comparison as JSON, as the API has it."""
    document = described_comparison(_compared(store, query))
    return JSONResponse(document, headers=attachment(f"{file_stem(query)}.json"))


@router.get("/compare.csv")
def compare_csv(query: CompareQueryDep, store: StoreDep) -> Response:
    """Return all numbers of a comparison as CSV."""
    return csv_file(file_stem(query), COMPARE_COLUMNS, compare_rows(_compared(store, query)))


@router.get("/compare.md")
def compare_markdown(request: Request, query: CompareQueryDep, store: StoreDep) -> Response:
    """Return a comparison as Markdown."""
    text = comparison_markdown(_compared(store, query), _absolute(request, query.page))
    return markdown_file(text, file_stem(query))


@router.get("/compare.tsv")
def compare_grid(query: CompareQueryDep, store: StoreDep) -> Response:
    """Return a comparison as a table for a spreadsheet."""
    return grid_file(comparison_grid(_compared(store, query)), file_stem(query))


@router.get("/compare/figures/{name}.csv")
def compare_figure(query: CompareQueryDep, name: FigureName, store: StoreDep) -> Response:
    """Return the numbers behind a figure of a comparison as CSV."""
    details = over_blocks(read_details(store, query), judged_together(store, query.ids))
    comparison = compared(details, query).called(store.pinned(query.ids))
    drawn = comparison_figures(details, comparison, drawn_stream(comparison, query.stream), query)
    return figure_file(file_stem(query), name, drawn.figures if drawn else ())


def _compared(store: Store, query: CompareQuery) -> Comparison:
    asked = (query.ids, query.baseline)
    made = compared_now(store, *asked, anyway=query.anyway, deleted=query.deleted)
    return made.called(store.pinned(query.ids))


def figure_file(of: str, name: str, figures: Iterable[Figure | BarChart]) -> Response:
    """Return a response with the numbers behind a figure. Raises NotFound."""
    found = next((figure for figure in figures if figure.name == name), None)
    if found is None:
        raise NotFound(f"There is no figure {name!r} here.")
    return csv_file(f"{of}-{name}", found.table.columns, found.table.rows)


def _absolute(request: Request, path: str) -> str:
    return f"{str(request.base_url).rstrip('/')}{path}"


def markdown_file(text: str, name: str) -> Response:
    """Return a response with Markdown."""
    headers = attachment(f"{name}.md")
    return Response(text, media_type="text/markdown; charset=utf-8", headers=headers)


def grid_file(grid: Table, name: str) -> Response:
    """Return a response with a table whose cells have tabs between them."""
    text = csv_text(grid.columns, grid.rows, between="\t")
    kind, headers = "text/tab-separated-values; charset=utf-8", attachment(f"{name}.tsv")
    return Response(text, media_type=kind, headers=headers)


def csv_file(name: str, columns: Sequence[str], rows: Iterable[Sequence[TableValue]]) -> Response:
    """Return a response with CSV."""
    return Response(
        csv_text(columns, rows),
        media_type="text/csv; charset=utf-8",
        headers=attachment(f"{name}.csv"),
    )


def file_stem(query: CompareQuery) -> str:
    """Return `compare-` and the first `NAMED` of the ids: names of files may not be long."""
    more = len(query.ids) - NAMED
    rest = [f"{more}-more"] if more > 0 else []
    return "-".join(["compare", *query.ids[:NAMED], *rest])


def attachment(name: str) -> dict[str, str]:
    """Return the headers of a file that is to be kept under that name."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}


TABLED = (
    "throughput_per_s",
    "response_time_s.p50",
    "response_time_s.p99",
    "response_time_s.max",
    FIRST_BYTE,
    "error_share",
    "bytes_received_per_request",
    "cpu_s_per_request",
    "peak_memory_bytes",
)


def comparison_markdown(comparison: Comparison, address: str) -> str:
    """Return the sentences, a table for each stream, the validity and a link."""
    parts = [
        escaped(deleted_runs(comparison)),
        escaped(plain_text(asked_of_runs(comparison))),
    ]
    parts.append(f"**{escaped(plain_text(comparison_title(comparison)))}**")
    if text := plain_text(caveats(comparison)):
        parts.append(escaped(text))
    parts += [_table(comparison, stream) for stream in comparison.streams]
    parts.append(escaped(shared_cause(comparison) or ""))
    parts += _notes(comparison)
    parts += _failures(comparison)
    parts += [f"- {escaped(line)}" for line in session_lines(comparison, TABLED)]
    decided = any(row.verdicts for row in comparison.rows)
    verdict = "" if decided else f"{escaped(no_verdict(comparison))} "
    what = "comparison" if len(comparison.runs) > 1 else "run"
    parts.append(f"{verdict}[Open the {what}](<{address}>)")
    return "\n\n".join(filter(None, parts)) + "\n"


def _table(comparison: Comparison, stream: str) -> str:
    heads = [escaped(stream), *(escaped(label.text) for label in comparison.labels)]
    lines = [heads, ["---", *("---:" for _ in comparison.labels)]]
    lines.append(["Configuration", *map(escaped, comparison.configurations)])
    lines += [_row(comparison, stream, METRIC[name]) for name in _tabled(comparison, stream)]
    lines.append(["Validity", *(_validity(run) for run in comparison.runs)])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _tabled(comparison: Comparison, stream: str) -> Iterator[str]:
    """Yield the metrics of a table: the first byte only where answers begin before they end."""
    begins_early = comparison.begins_early(stream)
    yield from (name for name in TABLED if name != FIRST_BYTE or begins_early)


def _row(comparison: Comparison, stream: str, metric: Metric) -> list[str]:
    row = comparison.row(stream, metric.name)
    return [metric.label, *(markdown_cell(comparison, row, run) for run in comparison.runs)]


def _notes(comparison: Comparison) -> Iterator[str]:
    """Return what the marks in the tables mean, where there are any."""
    levels = {
        row.trust[run.id]
        for row in comparison.rows
        if row.metric in TABLED
        for run in comparison.runs
    }
    if any(row.at_least or row.unanswered for row in comparison.rows if row.metric in TABLED):
        yield AT_LEAST_NOTE
    if "greyed" in levels:
        yield "Italic: 10 to 99 samples lie above it."
    if "void" in levels:
        yield "Struck out: the run, or the baseline of the ratio, is invalid."


def _failures(comparison: Comparison) -> Iterator[str]:
    """Return what else had no answer, and the first of each run that failed in each way."""
    for run, label in zip(comparison.runs, comparison.labels, strict=True):
        if text := failed_text(run.streams):
            yield f"{escaped(label.text)}: {escaped(text)}."
        if run.failures:
            lines = "; ".join(failed.line for failed in run.failures)
            yield f"First of what failed in {escaped(label.text)}: {escaped(lines)}."


def _validity(run: Run) -> str:
    if run.validity is None or run.validity.outcome is None:
        return run.state.value if run.streams else NONE
    return run.validity.outcome
