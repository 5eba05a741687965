"""Results of other tools and runs of Looplab side by side: page, CSV and Markdown."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from control_plane.analysis.charts.figure import Figure
from control_plane.analysis.charts.tool_charts import tool_percentile_chart
from control_plane.analysis.prose import escaped
from control_plane.analysis.tool_comparison import (
    CLOCKS,
    MeasuredMetric,
    Measurement,
    compared_metrics,
    measured_sides,
    other_machine,
    ratio_note,
)
from control_plane.dependencies import StoreDep
from control_plane.domain.ids import compared_ids
from control_plane.domain.units import NONE, ratio
from control_plane.pages.exports import attachment, csv_file, figure_file
from control_plane.pages.run_rows import Cell, CellLevel
from control_plane.pages.site import View
from control_plane.pages.site.templating import page
from control_plane.pages.urls import TOOL_RESULTS, tool_compare_url
from control_plane.store.store import Store

router = APIRouter(include_in_schema=False)

ShortText = Annotated[str, Query(max_length=200)]
CSV_HEADS = ("result", "title", "judgement", "clock", "metric", "value", "ratio")


@router.get("/peers/compare")
def compare(
    request: Request, store: StoreDep, results: ShortText = "", anyway: ShortText = ""
) -> Response:
    """Show results of other tools and runs side by side; `anyway=1` gives ratios."""
    return page(request, tool_compare_page(store, results, anyway))


@router.get("/peers/compare.csv")
def compare_csv(store: StoreDep, results: ShortText = "", anyway: ShortText = "") -> Response:
    """Return the numbers of a comparison, a row for each side and metric."""
    ids, _ = compared_ids(results, None)
    sides = _sides(store, ids)
    return csv_file("looplab-peers", CSV_HEADS, _csv_rows(sides, ratios=_gives(sides, anyway)))


@router.get("/peers/compare.md")
def compare_markdown(
    request: Request, store: StoreDep, results: ShortText = "", anyway: ShortText = ""
) -> Response:
    """Return a comparison as Markdown."""
    ids, _ = compared_ids(results, None)
    sides = _sides(store, ids)
    address = f"{str(request.base_url).rstrip('/')}{tool_compare_url(ids, anyway=anyway == '1')}"
    text = measured_markdown(sides, address, ratios=_gives(sides, anyway))
    headers = attachment("looplab-peers.md")
    return Response(text, media_type="text/markdown; charset=utf-8", headers=headers)


def measured_markdown(sides: Sequence[Measurement], address: str, *, ratios: bool) -> str:
    """Return the sides as a table, why they have no ratios, and a link."""
    lines = [
        ["", *(escaped(side.label.text) for side in sides)],
        ["---", *("---:" for _ in sides)],
        ["Measured", *(escaped(side.judgement) for side in sides)],
        ["A time counts", *(CLOCKS[side.clock] for side in sides)],
    ]
    for metric in compared_metrics(sides, ratios=ratios):
        cells = [
            f"{metric.text(place)} ({ratio(against)})" if against else metric.text(place)
            for place, against in enumerate(metric.ratios)
        ]
        lines.append([metric.label, *cells])
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    if len(sides) == 1:
        return f"{table}\n\n[Open the result](<{address}>)\n"
    note = escaped(ratio_note(sides, ratios=ratios))
    return f"{table}\n\n{note} [Open the comparison](<{address}>)\n"


def _sides(store: Store, ids: Sequence[str]) -> list[Measurement]:
    peers = {peer_id: store.tool_result(peer_id) for peer_id in store.tool_result_ids(ids)}
    return measured_sides(ids, peers, store.detail)


def _gives(sides: Sequence[Measurement], anyway: str) -> bool:
    """Whether ratios are given: where they are asked for, and between runs of one machine."""
    return anyway == "1" or not (any(side.of_tool for side in sides) or other_machine(sides))


def _csv_rows(
    sides: Sequence[Measurement], *, ratios: bool
) -> Iterator[tuple[str | float | None, ...]]:
    metrics = compared_metrics(sides, ratios=ratios)
    for place, side in enumerate(sides):
        about = side.label.id, side.label.name, side.judgement, side.clock
        for metric in metrics:
            yield *about, metric.name, metric.values[place], metric.ratios[place]


@router.get("/peers/compare/figures/percentiles.csv")
def compare_figure(store: StoreDep, results: ShortText = "") -> Response:
    """Return the numbers behind the chart of a comparison."""
    curves = tool_compare_page(store, results, "").curves
    return figure_file("looplab-peers", "percentiles", curves)


@dataclass(frozen=True)
class MeasuredRow:
    """One metric of each side."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class ToolComparePage(View):
    """Results of other tools and runs side by side. The first is what ratios are to.

    `first` are the addresses with each side as the first, `without` those without it. `anyway` is
    the address with ratios, or without them where the page has them.
    """

    template: ClassVar[str] = "pages/tool_compare.html"
    sides: tuple[Measurement, ...]
    clocks: tuple[str, ...]
    rows: tuple[MeasuredRow, ...]
    curves: tuple[Figure, ...]
    note: str
    has_ratios: bool
    anyway: str
    first: tuple[str, ...]
    without: tuple[str, ...]
    csv: str
    markdown: str
    report: str
    figure_file: str


def tool_compare_page(store: Store, results: str, anyway: str) -> ToolComparePage:
    """Return the page of results and runs side by side. Raises as `measured_sides`."""
    ids, _ = compared_ids(results, None)
    sides = _sides(store, ids)
    has_ratios = _gives(sides, anyway)
    metrics = compared_metrics(sides, ratios=has_ratios)
    query = urlencode({"results": ",".join(ids)}, safe=",")
    chart = tool_percentile_chart(sides)
    return ToolComparePage(
        sides=tuple(sides),
        clocks=tuple(CLOCKS[side.clock] for side in sides),
        rows=tuple(_compared_row(metric, sides) for metric in metrics),
        curves=(chart,) if chart else (),
        note=ratio_note(sides, ratios=has_ratios),
        has_ratios=has_ratios,
        anyway=tool_compare_url(ids, anyway=not has_ratios),
        first=tuple(
            tool_compare_url(
                (chosen, *(other for other in ids if other != chosen)), anyway=has_ratios
            )
            for chosen in ids
        ),
        without=tuple(
            tool_compare_url([other for other in ids if other != left], anyway=has_ratios)
            for left in ids
        ),
        csv=f"{TOOL_RESULTS}/compare.csv?{query}{'&anyway=1' if has_ratios else ''}",
        markdown=f"{TOOL_RESULTS}/compare.md?{query}{'&anyway=1' if has_ratios else ''}",
        report=f"{TOOL_RESULTS}/compare.html?{query}{'&anyway=1' if has_ratios else ''}",
        figure_file=f"{TOOL_RESULTS}/compare/figures/NAME.csv?{query}",
    )


def _compared_row(metric: MeasuredMetric, sides: Sequence[Measurement]) -> MeasuredRow:
    cells = []
    for place, side in enumerate(sides):
        text, against = metric.text(place), metric.ratios[place]
        level: CellLevel = "void" if side.outcome == "invalid" else "full"
        level = "hidden" if text == NONE else level
        cells.append(Cell(text, level, ratio(against) if against else ""))
    return MeasuredRow(metric.label, tuple(cells))
