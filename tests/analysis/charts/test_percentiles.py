"""The percentile chart: support decides how far lines go and how they are drawn."""

import time

import numpy as np
import pytest

from control_plane.analysis.charts.curve import curves_of_runs, nines
from control_plane.analysis.charts.figure import FIRST
from control_plane.analysis.charts.percentiles import DOTTED, last_place, percentile_chart
from control_plane.analysis.run_labels import label_runs
from tests.analysis.charts.curves import curves, measured
from tests.analysis.charts.plotted import annotations, checked
from tests.builders.trials import spread


def lines(figure):
    return [trace for trace in figure.plot["data"] if trace["mode"] == "lines"]


def test_plotly_takes_it():
    assert len(checked(percentile_chart(curves(0.5, 3.2, 6.8))).data) == 9


@pytest.mark.parametrize(
    ("samples", "beyond", "share"), [(20_000, 100, 0.995), (20_000, 10, 0.9995), (50, 10, 0.8)]
)
def test_lines_end_where_support_ends(samples, beyond, share):
    (curve,) = curves(1.0, count=samples)
    assert last_place(curve, beyond) == pytest.approx(nines(share))


def test_solid_then_dotted_then_nothing():
    (curve,) = curves(1.0, count=20_000)
    solid, dotted = lines(percentile_chart([curve]))
    assert "dash" not in solid["line"]
    assert dotted["line"]["dash"] == "dot"
    assert (solid["x"][0], solid["x"][-1]) == pytest.approx((FIRST, nines(0.995)), abs=1e-3)
    assert dotted["x"][0] == pytest.approx(solid["x"][-1])
    assert dotted["x"][-1] == pytest.approx(nines(0.9995), abs=1e-3)


@pytest.mark.parametrize(("samples", "drawn"), [(19, 0), (20, 0), (50, 1), (500, 2)])
def test_few_samples(samples, drawn):
    figure = percentile_chart(curves(1.0, count=samples))
    checked(figure)
    assert len(lines(figure)) == drawn


def test_marks_stand_where_support_is_full():
    marks = [
        trace for trace in percentile_chart(curves(1.0)).plot["data"] if trace["mode"] == "markers"
    ]
    assert marks[0]["x"] == pytest.approx([nines(0.5), nines(0.9), nines(0.99)], abs=1e-3)


def test_marks_are_the_numbers_of_the_table():
    figure = percentile_chart(curves(1.0))
    marks = next(trace for trace in figure.plot["data"] if trace["mode"] == "markers")
    assert [1_000 * value for value in marks["y"]] == pytest.approx(figure.table.rows[0][1:4])


def test_the_table_leaves_out_what_has_no_support():
    (row,) = percentile_chart(curves(1.0, count=5_000)).table.rows
    assert row[0] == "A r0"
    assert [value is None for value in row[1:6]] == [False, False, False, True, True]
    assert row[6] == 5_000


def test_times_rise_along_a_line():
    for trace in lines(percentile_chart(curves(0.5, 6.8))):
        assert np.all(np.diff(trace["y"]) >= 0)
        assert np.all(np.diff(trace["x"]) >= 0)


@pytest.mark.parametrize(
    ("medians", "title"),
    [
        ((0.5, 3.2, 6.8), "A is fastest at every percentile"),
        ((6.8, 0.5), "B is faster at every percentile"),
        ((1.0, 1.0), "No run is clearly faster at every percentile"),
    ],
)
def test_the_title_says_what_is_seen(medians, title):
    figure = percentile_chart(curves(*medians))
    assert (figure.title, figure.note) == (title, "up to p99")


def test_lines_that_cross_have_two_leaders():
    jumpy = measured("a", *[1.0] * 19_000, *[90.0] * 1_000)
    steady = measured("b", *spread(3.0, 20_000))
    labels = label_runs([jumpy.run, steady.run])
    crossing = curves_of_runs([jumpy, steady], labels, "items")
    figure = percentile_chart(crossing)
    assert (figure.title, figure.note) == ("A is faster at p50, B at p99", "in these runs")
    assert percentile_chart(crossing, "stream").note == "in this run"


def test_streams_of_a_run_are_no_runs():
    figure = percentile_chart(curves(1.0, 1.0), "stream")
    assert (figure.title, figure.note) == (
        "No stream is clearly faster at every percentile",
        "up to p99",
    )


def test_one_run_is_set_against_its_own_median():
    figure = percentile_chart(curves(1.0))
    assert figure.title == "p99 is 2.5 times p50"


def test_an_invalid_run_leads_nothing():
    figure = percentile_chart(curves(0.5, 3.2, 6.8, invalid=(0,)))
    assert figure.title == "B is faster at every percentile"
    assert "A r0, invalid" in annotations(figure)


def test_runs_that_are_all_invalid_make_no_claim():
    assert percentile_chart(curves(0.5, invalid=(0,))).title == "Response time"


def test_no_samples_at_all():
    figure = percentile_chart([])
    checked(figure)
    assert figure.title == "Too few samples for percentiles"
    assert figure.empty
    assert figure.table.rows == ()


def test_curves_of_few_samples_are_not_told_to_have_none():
    few = percentile_chart(curves(1.0, count=150))
    assert few.title == "Few samples: its percentiles are rough"
    assert not few.empty
    two = percentile_chart(curves(0.5, 3.2, count=150))
    assert two.title == "Too few samples to say which is faster"


def test_labels_are_short_on_a_small_screen():
    figure = percentile_chart(curves(0.5, 3.2))
    assert annotations(figure) == ["A r0", "B r1", DOTTED]
    assert annotations(figure, "narrow") == ["A", "B"]


def test_ten_runs_take_a_few_milliseconds():
    ten = curves(*range(1, 11))
    percentile_chart(ten)
    spent = []
    for _ in range(5):
        start = time.process_time()
        percentile_chart(ten)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.05
