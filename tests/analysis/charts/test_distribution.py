"""The distribution of response times."""

import numpy as np
import pytest

from control_plane.analysis.charts.curve import curves_of_runs
from control_plane.analysis.charts.distribution import distribution_chart
from control_plane.analysis.charts.figure import LABEL_GAP, plot_height
from control_plane.analysis.run_labels import label_runs
from tests.analysis.charts.curves import curves, measured
from tests.analysis.charts.plotted import annotations, checked
from tests.builders.trials import spread, with_spaces


def two_heaps():
    detail = measured("a", *spread(1.2, 8_900), *spread(900.0, 1_100))
    return curves_of_runs([detail], label_runs([detail.run]), "items")


@pytest.mark.parametrize("medians", [(1.0,), (1.0, 3.0), (1.0, 3.0, 9.0), ()])
def test_plotly_takes_it(medians):
    assert len(checked(distribution_chart(curves(*medians))).data) == len(medians)


@pytest.mark.parametrize(("count", "kind"), [(1, "bar"), (2, "bar"), (3, "scatter")])
def test_bars_up_to_two_then_outlines(count, kind):
    figure = distribution_chart(curves(*range(1, count + 1)))
    assert {trace["type"] for trace in figure.plot["data"]} == {kind}


@pytest.mark.parametrize("median", [0.0001, 0.5, 60_000.0])
def test_shares_add_up_to_all_requests(median):
    figure = distribution_chart(curves(median, count=3_000))
    assert sum(figure.plot["data"][0]["y"]) == pytest.approx(100, rel=0.01)


def test_each_request_is_in_the_bar_of_its_time():
    detail = measured("a", *[1.5] * 30, *[150.0] * 70)
    figure = distribution_chart(curves_of_runs([detail], label_runs([detail.run]), "items"))
    rows = np.array(figure.table.rows, float)
    assert rows[0][0] <= 1.5 <= rows[0][1]
    assert rows[1][0] <= 150 <= rows[1][1]
    assert rows[:, 2].tolist() == [30.0, 70.0]


def test_modes_are_named():
    figure = distribution_chart(two_heaps())
    assert figure.title == "Response times gather in two places"
    texts = [with_spaces(text) for text in annotations(figure)]
    assert texts[0].startswith("54 % near 1.")
    assert " % near " in texts[1]


def test_a_few_requests_are_no_kind():
    detail = measured("a", *[2_400.0] * 71, *[4_700.0] * 3)
    figure = distribution_chart(curves_of_runs([detail], label_runs([detail.run]), "items"))
    assert figure.title == "Where response times lie"
    assert annotations(figure) == []


def test_phrases_of_close_modes_stand_above_each_other():
    times = [*[10.0] * 5_000, *[16.0] * 5_000]
    detail = measured("a", *times)
    figure = distribution_chart(curves_of_runs([detail], label_runs([detail.run]), "items"))
    first, second = figure.plot["layout"]["annotations"]
    assert second["yshift"] >= first["yshift"] + 15


def test_one_mode():
    assert distribution_chart(curves(1.0)).title == "Response times gather in one place"


@pytest.mark.parametrize("middles", [(2.4, 4.4, 8.0, 15.0), (0.27, 0.5)])
def test_a_heap_with_several_humps_is_not_said_to_be_near_one(middles):
    humps = [middle * (time / 2.4) ** 0.4 for middle in middles for time in spread(2.4, 1_000)]
    detail = measured("a", *humps)
    figure = distribution_chart(curves_of_runs([detail], label_runs([detail.run]), "items"))
    assert figure.title == "Where response times lie"
    assert annotations(figure) == []


def test_bars_are_coarser_where_times_span_much():
    fine = distribution_chart(curves(1.0)).plot["data"][0]["x"]
    coarse = distribution_chart(two_heaps()).plot["data"][0]["x"]
    wide = [measured("a", 0.001, 10_000.0)]
    widest = distribution_chart(curves_of_runs(wide, label_runs([wide[0].run]), "items"))
    assert np.diff(fine)[0] == pytest.approx(0.05)
    assert np.diff(coarse)[0] == pytest.approx(0.1)
    assert len(widest.plot["data"][0]["x"]) < 90


def test_outlines_do_not_run_along_the_floor():
    figure = distribution_chart(curves(0.1, 1.0, 10.0))
    assert all(None in trace["y"] for trace in figure.plot["data"])


def test_labels_of_runs_are_letters_where_there_are_many():
    assert annotations(distribution_chart(curves(1.0, 5.0))) == ["A r0", "B r1"]
    assert annotations(distribution_chart(curves(1.0, 5.0, 9.0))) == ["A", "B", "C"]
    assert annotations(distribution_chart(curves(1.0, 5.0)), "narrow") == ["A", "B"]


@pytest.mark.parametrize("count", [3, 5, 12])
def test_names_of_one_place_stand_within_the_plot(count):
    figure = distribution_chart(curves(*[5.0] * count))
    height, pixels = figure.plot["layout"]["yaxis"]["range"][1], plot_height(figure.height)
    tops = [
        label["y"] / height * pixels + label["yshift"] + LABEL_GAP
        for label in figure.plot["layout"]["annotations"]
    ]
    assert len(tops) == count
    assert max(tops) <= pixels
