"""Runs and comparisons as files, and the numbers behind each figure."""

from collections.abc import Iterable, Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from control_plane.analysis.charts.figure import Figure, TableValue
from control_plane.analysis.charts.throughput_bars import BarChart
from control_plane.analysis.comparison import Comparison
from control_plane.analysis.comparison import compare as compared_runs
from control_plane.analysis.prose.comparison_sentences import described_comparison
from control_plane.dependencies import RunId, RunServiceDep, StoreDep
from control_plane.domain.documents import run_document
from control_plane.domain.errors import NotFound
from control_plane.pages.compare.compare_view import compared, comparison_figures, drawn_stream
from control_plane.pages.compare.routes import CompareQueryDep, read_details
from control_plane.pages.compare_query import CompareQuery
from control_plane.pages.exports.csv_tables import (
    COMPARE_COLUMNS,
    RUN_COLUMNS,
    compare_rows,
    csv_text,
    run_rows,
)
from control_plane.pages.exports.markdown import markdown
from control_plane.pages.run.routes import TrialNumber
from control_plane.pages.run.run_view import run_figures
from control_plane.store.store import Store

NAMED = 4

router = APIRouter(include_in_schema=False)

FigureName = Annotated[str, Path(pattern=r"^[a-z-]{1,20}$")]


@router.get("/runs/{run_id}.json")
def run_json(run_id: RunId, store: StoreDep, service: RunServiceDep) -> JSONResponse:
    """Return a run as JSON, as the API has it."""
    run = store.run(run_id)
    document = run_document(run, service.progress(run_id), service.hints(run))
    return JSONResponse(document, headers=_file(f"run-{run_id}.json"))


@router.get("/runs/{run_id}.csv")
def run_csv(run_id: RunId, store: StoreDep) -> Response:
    """Return all numbers of a run as CSV."""
    return _csv(f"run-{run_id}", RUN_COLUMNS, run_rows(store.run(run_id)))


@router.get("/runs/{run_id}/figures/{name}.csv")
def run_figure(
    run_id: RunId, name: FigureName, store: StoreDep, trial: TrialNumber = None
) -> Response:
    """Return the numbers behind a figure of a run as CSV."""
    figures = run_figures(store.detail(run_id, slices=True), int(trial) if trial else None)
    return _figure_csv(f"run-{run_id}", name, figures)


@router.get("/compare.json")
def compare_json(query: CompareQueryDep, store: StoreDep) -> JSONResponse:
    """Return a comparison as JSON, as the API has it."""
    document = described_comparison(_compared(store, query))
    return JSONResponse(document, headers=_file(f"{_named(query)}.json"))


@router.get("/compare.csv")
def compare_csv(query: CompareQueryDep, store: StoreDep) -> Response:
    """Return all numbers of a comparison as CSV."""
    return _csv(_named(query), COMPARE_COLUMNS, compare_rows(_compared(store, query)))


@router.get("/compare.md")
def compare_markdown(request: Request, query: CompareQueryDep, store: StoreDep) -> Response:
    """Return a comparison as Markdown."""
    address = f"{str(request.base_url).rstrip('/')}{query.page}"
    text = markdown(_compared(store, query), address)
    name = _file(f"{_named(query)}.md")
    return Response(text, media_type="text/markdown; charset=utf-8", headers=name)


@router.get("/compare/figures/{name}.csv")
def compare_figure(query: CompareQueryDep, name: FigureName, store: StoreDep) -> Response:
    """Return the numbers behind a figure of a comparison as CSV."""
    details = read_details(store, query)
    comparison = compared(details, query)
    drawn = comparison_figures(details, comparison, drawn_stream(comparison, query.stream))
    return _figure_csv(_named(query), name, drawn.figures if drawn else ())


def _compared(store: Store, query: CompareQuery) -> Comparison:
    runs = [store.run(run_id) for run_id in query.ids]
    return compared_runs(runs, query.baseline, anyway=query.anyway, deleted=query.deleted)


def _figure_csv(of: str, name: str, figures: Iterable[Figure | BarChart]) -> Response:
    found = next((figure for figure in figures if figure.name == name), None)
    if found is None:
        raise NotFound(f"There is no figure {name!r} here.")
    return _csv(f"{of}-{name}", found.table.columns, found.table.rows)


def _csv(name: str, columns: Sequence[str], rows: Iterable[Sequence[TableValue]]) -> Response:
    return Response(
        csv_text(columns, rows), media_type="text/csv; charset=utf-8", headers=_file(f"{name}.csv")
    )


def _named(query: CompareQuery) -> str:
    """Return `compare-` and the first `NAMED` of the ids: names of files may not be long."""
    more = len(query.ids) - NAMED
    rest = [f"{more}-more"] if more > 0 else []
    return "-".join(["compare", *query.ids[:NAMED], *rest])


def _file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}
