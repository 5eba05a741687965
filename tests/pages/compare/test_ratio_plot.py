"""Ratios on one scale: right is always better."""

from dataclasses import replace
from typing import Any

import pytest

from control_plane.analysis.charts.metric_charts import metric_ratios
from control_plane.analysis.comparison import Comparison, compare
from control_plane.domain.run import RunDetail
from control_plane.pages.compare.numbers_table import numbers_table, ratio_table
from control_plane.pages.compare.ratio_plot import ratio_plot
from control_plane.pages.exports import comparison_markdown
from control_plane.pages.run.run_numbers import axis_position, padded_range, round_ticks
from tests.builders.records import Shape
from tests.builders.runs import ASYNC, FAILING, detail_of, items
from tests.builders.trials import known


def _two(second: Shape, *, anyway: bool = False, **changes: Any) -> Comparison:
    runs = [
        detail_of(items(**changes), shape, run_id).run
        for shape, run_id in ((ASYNC, "a000000000"), (second, "b000000000"))
    ]
    return compare(runs, "a000000000", anyway=anyway)


def _marks(second: Shape) -> dict[str, tuple[float, str]]:
    """Place and ratio of the second run, by metric."""
    view = ratio_plot(_two(second), "items")
    assert view is not None
    marks = {group.label: group.marks[0] for group in view.groups}
    return {label: (mark.at, mark.text) for label, mark in marks.items() if mark.at is not None}


def test_more_throughput_and_less_time_stand_right() -> None:
    marks = _marks(replace(ASYNC, rate_per_s=28_600, median_s=0.0034))
    assert marks["Throughput"][0] > 50
    assert marks["Throughput"][1] == "×2.00"
    assert marks["p50 response time"][0] > 50
    assert marks["p50 response time"][1].startswith("÷2.0")


def test_less_throughput_and_more_time_stand_left() -> None:
    marks = _marks(replace(ASYNC, rate_per_s=1_430, median_s=0.068))
    assert marks["Throughput"][0] < 50
    assert marks["Throughput"][1] == "÷10.0"
    assert marks["p99 response time"][0] < 50


def test_the_scale_is_even_and_its_ticks_do_not_meet() -> None:
    view = ratio_plot(_two(replace(ASYNC, rate_per_s=1_430, median_s=0.068)), "items")
    assert view is not None
    places = sorted(tick.at for tick in view.ticks)
    assert places == [pytest.approx(100 - at) for at in reversed(places)]
    apart = [after - before for before, after in zip(places, [*places[1:], 200], strict=True)]
    assert min(apart) >= 11
    assert all(0 <= mark.at <= 100 for group in view.groups for mark in group.marks if mark.at)


def test_the_first_byte_stands_in_the_tables_where_answers_begin_early() -> None:
    streamed = replace(ASYNC, first_byte_share=0.2)
    for second, shown in ((ASYNC, False), (streamed, True)):
        compared = _two(second)
        heads = [head.text for head in numbers_table(compared, "items").heads]
        assert ("First byte p50" in heads) is shown
        assert ("| p50 time to first byte |" in comparison_markdown(compared, "http://x/")) is shown
        plotted = known(ratio_plot(compared, "items")).groups
        assert ("p50 time to first byte" in [group.label for group in plotted]) is shown
        columns = metric_ratios(compared, "items").table.columns
        assert ("first byte, ratio" in columns) is shown
    older = replace(ASYNC, first_byte_share=None)
    (stream,) = ratio_table(compare([detail_of(items(), older).run], "k7m2000000"))
    assert not [row for row in (*stream.rows, *stream.folded) if "first byte" in row.label]


def test_nothing_to_draw_without_a_ratio() -> None:
    assert ratio_plot(_two(FAILING), "items") is None


def test_an_invalid_run_stays_marked_where_it_is_compared_anyway() -> None:
    compared = _two(FAILING, anyway=True)
    view = ratio_plot(compared, "items")
    assert view is not None
    marks = [mark for group in view.groups for mark in group.marks]
    assert {(mark.outcome, mark.level) for mark in marks} == {("invalid", "void")}
    (stream,) = ratio_table(compared)
    for row in (*stream.rows, *stream.folded):
        assert row.cells[1].level == ("hidden" if row.cells[1].text == "no answer" else "void")
        assert row.cells[1].below_level == ("void" if row.cells[1].below else "full")
    numbers = numbers_table(compared, "items")
    assert numbers.rows[1].note == "invalid"
    known = [cell for cell in numbers.rows[1].cells if cell.text != "no answer"]
    assert {cell.level for cell in known} == {"void", "alarm"}


def test_a_valid_run_against_an_invalid_one_is_void_too() -> None:
    runs = [detail.run for detail in (_detail(FAILING, "a"), _detail(ASYNC, "b"))]
    compared = compare(runs, "a000000000", anyway=True)
    numbers = numbers_table(compared, "items")
    below = {cell.below_level for cell in numbers.rows[1].cells if cell.below}
    assert (below, numbers.rows[1].note) == ({"void"}, "ratio to A, invalid")
    assert {cell.level for cell in numbers.rows[1].cells} == {"full", "greyed"}


@pytest.mark.parametrize(
    ("requests", "level", "text"), [(20_000, "full", "×1.00"), (2_000, "greyed", "×1.00")]
)
def test_ratios_of_percentiles_follow_their_support(requests: int, level: str, text: str) -> None:
    compared = _two(ASYNC, stop={"requests": requests}, trials=1)
    view = ratio_plot(compared, "items")
    assert view is not None
    (mark,) = next(group for group in view.groups if group.label == "p99 response time").marks
    assert (mark.level, mark.text) == (level, text)
    (stream,) = ratio_table(compared)
    cells = next(
        row for row in (*stream.rows, *stream.folded) if row.label == "p99 response time"
    ).cells
    assert [cell.level for cell in cells] == [level, level]
    assert [cell.below_level for cell in cells] == ["full", level]


def test_percentiles_with_too_few_samples_have_no_ratio() -> None:
    compared = _two(ASYNC, stop={"requests": 200}, trials=1)
    view = ratio_plot(compared, "items")
    assert view is not None
    assert "p99 response time" not in {group.label for group in view.groups}
    (stream,) = ratio_table(compared)
    cells = next(
        row for row in (*stream.rows, *stream.folded) if row.label == "p99 response time"
    ).cells
    assert [(cell.text, cell.level, cell.below) for cell in cells] == [("–", "hidden", "")] * 2


def _detail(shape: Shape, letter: str) -> RunDetail:
    return detail_of(items(), shape, f"{letter}000000000")


def test_the_table_has_every_metric_with_its_ratio_below() -> None:
    (stream,) = ratio_table(_two(replace(ASYNC, rate_per_s=28_600)))
    rows = {row.label: row.cells for row in (*stream.rows, *stream.folded)}
    assert all((row.factor or 0) <= 1 for row in stream.folded)
    assert [cell.below for cell in rows["Throughput"]] == ["", "×2.00"]
    assert [cell.text for cell in rows["Errors"]] == ["0\N{NO-BREAK SPACE}%"] * 2
    assert len(rows) == 24


@pytest.mark.parametrize(
    ("first", "second", "factor"),
    [({}, {"reset": 5}, 0.2), ({"reset": 5}, {}, 0.2), ({"reset": 5}, {"reset": 85}, 3.2)],
)
def test_errors_that_rose_stay_in_view(
    first: dict[str, int], second: dict[str, int], factor: float
) -> None:
    shapes = (replace(ASYNC, errors=errors) for errors in (first, second))
    runs = [_detail(shape, letter).run for shape, letter in zip(shapes, "ab", strict=True)]
    (stream,) = ratio_table(compare(runs, "a000000000"))
    (row,) = (row for row in stream.rows if row.label == "Errors")
    assert row.factor == pytest.approx(factor, rel=0.01)


def test_the_same_share_of_errors_is_folded() -> None:
    same = replace(ASYNC, errors={"reset": 5})
    (stream,) = ratio_table(compare([_detail(same, each).run for each in "ab"], "a000000000"))
    assert "Errors" in [row.label for row in stream.folded]


def test_errors_that_make_a_run_invalid_stay_in_view_beside_valid_runs() -> None:
    details = (_detail(ASYNC, "a"), _detail(replace(ASYNC, rate_per_s=9_000), "b"))
    runs = [*(detail.run for detail in details), _detail(FAILING, "c").run]
    (stream,) = ratio_table(compare(runs, "a000000000"))
    assert "Errors" in [row.label for row in stream.rows]
    assert stream.folded


@pytest.mark.parametrize(
    ("bound", "share", "is_told"),
    [("b000000000", 0.5, True), ("b000000000", 0.99, False), ("b000000000", 2, False),
     ("a000000000", 2, True), ("a000000000", 1.01, False), ("a000000000", 0.5, False)],
)  # fmt: skip
def test_a_bound_stays_in_view_that_lies_beyond_the_other_side_and_noise(
    bound: str, share: float, *, is_told: bool
) -> None:
    """`share` of the second value is the first."""
    compared = _two(ASYNC)
    row = compared.row("items", "response_time_s.p50")
    values = {"a000000000": 0.01 * share, "b000000000": 0.01}
    changed = replace(row, values=values, ratios=dict.fromkeys(values), at_least=(bound,))
    rows = tuple(changed if each is row else each for each in compared.rows)
    (stream,) = ratio_table(replace(compared, rows=rows))
    assert (row.metric in [each.metric for each in stream.rows]) is is_told


@pytest.mark.parametrize(
    ("changes", "value", "telling"),
    [
        ({}, 0.0, True),
        ({}, 1e-3, False),
        ({"at_least": ("b000000000",)}, 0.0, True),
        ({"at_least": ("b000000000",)}, 1e3, False),
        ({"at_least": ("a000000000", "b000000000")}, 1e-3, False),
        ({"unanswered": ("a000000000",)}, None, True),
        ({"unanswered": ("a000000000", "b000000000")}, None, False),
    ],
)
def test_what_one_side_has_alone_stays_in_view(
    changes: dict[str, Any], value: float | None, *, telling: bool
) -> None:
    compared = _two(ASYNC)
    row = compared.row("items", "response_time_s.p99")
    values = {**row.values, "a000000000": value}
    changed = replace(row, values=values, ratios=dict.fromkeys(row.ratios), **changes)
    rows = tuple(changed if each is row else each for each in compared.rows)
    (stream,) = ratio_table(replace(compared, rows=rows))
    shown = [each.factor_text for each in stream.rows if each.metric == row.metric]
    assert shown == ["–"] * telling


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (850, 1_000, [850, 900, 950, 1_000]),
        (0.1, 0.13, [0.1, 0.11, 0.12, 0.13]),
    ],
)
def test_round_steps(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high) == ticks


@pytest.mark.parametrize(
    ("value", "at"), [(0, 0), (5, 50), (10, 100), (-1, 0), (11, 100), (3.3333, 33.33)]
)
def test_places(value: float, at: float) -> None:
    assert axis_position(value, 0, 10) == at


def test_room_around_values() -> None:
    assert padded_range([100, 100]) == (95, 105)
    assert padded_range([0, 10])[0] == 0
