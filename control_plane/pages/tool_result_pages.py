"""Results of other tools: their list, and the page of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from control_plane.analysis.charts.figure import Figure
from control_plane.analysis.charts.tool_charts import (
    tool_distribution_chart,
    tool_percentile_chart,
    tool_timeline,
)
from control_plane.analysis.prose import escaped
from control_plane.analysis.tool_comparison import (
    CLOCKS,
    COMPARED_PERCENTILES,
    measurement_of_tool,
)
from control_plane.dependencies import StoreDep
from control_plane.domain.run import State
from control_plane.domain.tool_result import ToolResult, ToolStream
from control_plane.domain.units import count, figures, number_of, rate, seconds, share, size
from control_plane.pages.exports import attachment, figure_file, markdown_file
from control_plane.pages.form import FormDep
from control_plane.pages.report import reports_of
from control_plane.pages.run.run_numbers import Tile
from control_plane.pages.run_rows import Cell, ColumnHead
from control_plane.pages.site import View
from control_plane.pages.site.templating import page
from control_plane.pages.tool_compare import (
    ShortText,
    measured_markdown,
    tool_compare_page,
)
from control_plane.pages.urls import TOOL_RESULTS, tool_compare_url
from control_plane.store.store import Store

router = APIRouter(include_in_schema=False)

MOST_BESIDE = 10
ToolResultPath = Annotated[str, Path(max_length=20)]
TILES = (("50", "p50"), ("90", "p90"), ("95", "p95"), ("99", "p99"), ("99.9", "p99.9"))


@dataclass(frozen=True)
class ToolResultListRow:
    """A result in the list; `compare` sets it beside what the page was asked for, else "" ."""

    result: ToolResult
    throughput: str
    p50: str
    p99: str
    failed: str
    compare: str


@dataclass(frozen=True)
class ToolResultsPage(View):
    """The results of other tools, the newest first. `beside` is the id to compare with, or ""."""

    template: ClassVar[str] = "pages/tool_results.html"
    rows: tuple[ToolResultListRow, ...]
    beside: str


@router.get("/peers")
def peers(request: Request, store: StoreDep, beside: ShortText = "") -> Response:
    """List the results of other tools; `beside`: offer each beside that run."""
    rows = tuple(_row(result, beside) for result in store.tool_results())
    return page(request, ToolResultsPage(rows, beside))


def _row(result: ToolResult, beside: str) -> ToolResultListRow:
    stream = result.report.streams[0]
    told = stream.times.percentiles
    return ToolResultListRow(
        result,
        rate(stream.throughput_per_s),
        seconds(told.get("50")),
        seconds(told.get("99")),
        count(stream.failed),
        tool_compare_url((result.id, beside)) if beside and beside != result.id else "",
    )


@dataclass(frozen=True)
class OfferedSide:
    """What could be set beside a result: its title, who measured it, and the comparison."""

    title: str
    about: str
    url: str


@dataclass(frozen=True)
class ToolStreamRow:
    """The numbers of one stream of a result; `errors` says which there were."""

    name: str
    errors: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ToolResultPage(View):
    """What the file of another tool tells, and nothing that it does not.

    `figure_file` has NAME for the name of a figure.
    """

    template: ClassVar[str] = "pages/tool_result.html"
    result: ToolResult
    headline: str
    clock: str
    tiles: tuple[Tile, ...]
    timeline: Figure | None
    curves: tuple[Figure, ...]
    heads: tuple[ColumnHead, ...]
    rows: tuple[ToolStreamRow, ...]
    others: tuple[OfferedSide, ...]
    figure_file: str


@router.get("/peers/compare.html")
def compare_html(
    request: Request, store: StoreDep, results: ShortText = "", anyway: ShortText = ""
) -> HTMLResponse:
    """Return a comparison as one file."""
    text = reports_of(request).one_file(tool_compare_page(store, results, anyway))
    return HTMLResponse(text, headers=attachment("looplab-peers.html"))


@router.get("/peers/{peer_id}.html")
def peer_html(request: Request, peer_id: ToolResultPath, store: StoreDep) -> HTMLResponse:
    """Return the page of a result as one file."""
    text = reports_of(request).one_file(tool_result_page(store.tool_result(peer_id), ()))
    return HTMLResponse(text, headers=attachment(f"looplab-result-{peer_id}.html"))


@router.get("/peers/{peer_id}.md")
def peer_markdown(request: Request, peer_id: ToolResultPath, store: StoreDep) -> Response:
    """Return a result as Markdown."""
    result = store.tool_result(peer_id)
    address = f"{str(request.base_url).rstrip('/')}{result.url}"
    table = measured_markdown([measurement_of_tool(result, 0)], address, ratios=False)
    text = f"**{escaped(_headline(result))}**, {escaped(result.judgement)}\n\n{table}"
    return markdown_file(text, f"result-{peer_id}")


@router.get("/peers/{peer_id}")
def peer(request: Request, peer_id: ToolResultPath, store: StoreDep) -> Response:
    """Show a result of another tool."""
    result = store.tool_result(peer_id)
    return page(request, tool_result_page(result, _offered(store, result)))


@router.get("/peers/{peer_id}/figures/{name}.csv")
def figure_csv(peer_id: ToolResultPath, name: str, store: StoreDep) -> Response:
    """Return the numbers behind a figure of a result."""
    shown = tool_result_page(store.tool_result(peer_id), ())
    drawn = (*shown.curves, *([shown.timeline] if shown.timeline else []))
    return figure_file("looplab-peers", name, drawn)


@router.post("/peers/{peer_id}/edit")
def edit(peer_id: ToolResultPath, form: FormDep, store: StoreDep) -> Response:
    """Give a result another title."""
    store.rename_tool_result(peer_id, form.text("title"))
    return RedirectResponse(f"{TOOL_RESULTS}/{peer_id}", 303)


@router.post("/peers/{peer_id}/delete")
def delete(peer_id: ToolResultPath, store: StoreDep) -> Response:
    """Delete a result for good."""
    store.delete_tool_result(peer_id)
    return RedirectResponse(TOOL_RESULTS, 303)


def tool_result_page(result: ToolResult, others: tuple[OfferedSide, ...]) -> ToolResultPage:
    """Return the page of a result."""
    streams = result.report.streams
    side = measurement_of_tool(result, 0)
    percents = [name for name in COMPARED_PERCENTILES if any(_told(s, name) for s in streams)]
    return ToolResultPage(
        result=result,
        headline=_headline(result),
        clock=CLOCKS[result.report.clock],
        tiles=tuple(_tiles(streams[0])),
        timeline=tool_timeline(streams[0]),
        curves=tuple(
            figure
            for figure in (tool_percentile_chart([side]), tool_distribution_chart([side]))
            if figure is not None
        ),
        heads=_heads(percents),
        rows=tuple(_stream_row(stream, percents) for stream in streams),
        others=others,
        figure_file=f"{result.url}/figures/NAME.csv",
    )


def _told(stream: ToolStream, percent: str) -> bool:
    return percent in stream.times.percentiles


def _headline(result: ToolResult) -> str:
    """Return `wrk measured 12,300 /s, p99 5.80 ms`, of what the file tells."""
    stream = result.report.streams[0]
    if stream.error_share == 1:
        failed = number_of(stream.requests or 0, "request")
        return f"{result.report.tool} measured nothing but failures: {failed}, none succeeded"
    parts = [] if stream.throughput_per_s is None else [rate(stream.throughput_per_s)]
    far = next((name for name in ("99", "95", "90", "50") if _told(stream, name)), None)
    if far is not None:
        parts.append(f"p{far} {seconds(stream.times.percentiles[far])}")
    return f"{result.report.tool} measured {', '.join(parts)}" if parts else result.title


def _tiles(stream: ToolStream) -> Iterator[Tile]:
    if stream.throughput_per_s is not None:
        ended = number_of(stream.requests, "request") if stream.requests is not None else ""
        duration = f" in {seconds(stream.duration_s)}" if stream.duration_s and ended else ""
        yield Tile("Throughput", figures(stream.throughput_per_s), "/s", f"{ended}{duration}")
    for percent, label in TILES:
        if _told(stream, percent):
            yield _time_tile(label, stream.times.percentiles[percent], "")
    if stream.times.max is not None:
        mean = stream.times.mean
        yield _time_tile("Maximum", stream.times.max, f"mean {seconds(mean)}" if mean else "")
    if stream.failed is not None:
        kinds = ", ".join(f"{count(many)} {kind}" for kind, many in stream.errors.items())
        of_all = (
            f"of {number_of(stream.requests, 'request')}" if stream.requests is not None else ""
        )
        tile = Tile("Errors", count(stream.failed), "", kinds[:80] or of_all)
        yield replace(tile, state="alarm") if stream.failed else tile


def _time_tile(label: str, value_s: float, note: str) -> Tile:
    value, _, unit = seconds(value_s).rpartition("\N{NO-BREAK SPACE}")
    return Tile(label, value, unit, note)


def _heads(percents: Sequence[str]) -> tuple[ColumnHead, ...]:
    names = ("Requests", "Failed", "Throughput", "Received", "Minimum", "Mean")
    return tuple(map(ColumnHead, (*names, *(f"p{name}" for name in percents), "Maximum")))


def _stream_row(stream: ToolStream, percents: Sequence[str]) -> ToolStreamRow:
    times = stream.times
    failed = Cell(count(stream.failed))
    if stream.failed:
        failed = Cell(count(stream.failed), "alarm", share(stream.error_share))
    cells = (
        Cell(count(stream.requests)),
        failed,
        Cell(rate(stream.throughput_per_s)),
        Cell(size(stream.bytes_received)),
        Cell(seconds(times.min)),
        Cell(seconds(times.mean)),
        *(Cell(seconds(times.percentiles.get(percent))) for percent in percents),
        Cell(seconds(times.max)),
    )
    errors = ", ".join(f"{kind}: {count(many)}" for kind, many in stream.errors.items())
    return ToolStreamRow(stream.name, errors, cells)


def _offered(store: Store, result: ToolResult) -> tuple[OfferedSide, ...]:
    """Return recent runs with a result, and other results of tools."""
    runs = store.runs(limit=MOST_BESIDE, state=State.FINISHED).runs
    found = [
        OfferedSide(run.title, "Looplab", tool_compare_url((result.id, run.id))) for run in runs
    ]
    newest = store.tool_results(MOST_BESIDE + 1)
    peers = [other for other in newest if other.id != result.id][:MOST_BESIDE]
    found += [
        OfferedSide(other.title, other.report.tool, tool_compare_url((result.id, other.id)))
        for other in peers
    ]
    return tuple(found)
