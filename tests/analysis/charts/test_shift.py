"""The shift plot."""

import pytest

from control_plane.analysis.charts.shift import shift_chart, signed
from tests.analysis.charts.curves import curves
from tests.analysis.charts.plotted import annotations, checked
from tests.builders.trials import known


def test_plotly_takes_it():
    assert len(checked(known(shift_chart(curves(0.5, 3.2, 6.8), "r0"))).data) == 3


@pytest.mark.parametrize("baseline", ["r0", "r1"])
def test_the_baseline_is_the_straight_line(baseline):
    figure = known(shift_chart(curves(1.0, 3.0), baseline))
    flat, other = figure.plot["data"]
    assert set(flat["y"]) == {0.0}
    assert all(value > 0 for value in other["y"]) is (baseline == "r0")
    assert figure.title == f"How much later than {'A' if baseline == 'r0' else 'B'}"


def test_differences_are_those_of_the_percentiles():
    slow, quick = curves(3.0, 1.0)
    (row,) = known(shift_chart([slow, quick], "r1")).table.rows
    expected = [
        (slow.samples.quantile_ns(share) - quick.samples.quantile_ns(share)) / 1e6
        for share in (0.5, 0.9, 0.99)
    ]
    assert row[0] == "A r0"
    assert list(row[1:4]) == pytest.approx(expected, rel=1e-3)
    assert row[4:] == (None, None)


def test_the_line_goes_as_far_as_both_are_supported():
    long, short = curves(1.0, count=50_000)[0], curves(1.0, 3.0, count=2_000)[1]
    figure = known(shift_chart([long, short], "r0"))
    assert figure.plot["data"][1]["x"][-1] == pytest.approx(1.301, abs=1e-3)


@pytest.mark.parametrize(
    ("medians", "unit"), [((0.5, 3.2), "ms"), ((500.0, 3_200.0), "s"), ((0.01, 0.02), "µs")]
)
def test_the_axis_has_one_unit(medians, unit):
    figure = known(shift_chart(curves(*medians), "r0"))
    ticks = figure.plot["layout"]["yaxis"]["ticktext"]
    assert all(tick.endswith(unit) for tick in ticks)
    assert any(tick.startswith("0") for tick in ticks)


def test_nothing_to_set_against_each_other():
    assert shift_chart(curves(1.0), "r0") is None
    assert shift_chart(curves(1.0, 2.0), "elsewhere") is None
    assert shift_chart([], "r0") is None


def test_runs_without_support_leave_the_baseline_alone():
    figure = known(shift_chart(curves(1.0, 2.0, count=50), "r0"))
    checked(figure)
    assert annotations(figure) == ["A r0"]
    assert "unknown" in figure.label
    assert figure.empty.startswith("Two runs with about 320 samples each are needed")
    assert not known(shift_chart(curves(1.0, 2.0), "r0")).empty


@pytest.mark.parametrize(
    ("value", "text"), [(30.0, "+30"), (-2.5, "−2.5"), (0.0, "0"), (1_500.0, "+1,500")]
)
def test_signed_numbers(value, text):
    assert signed(value) == text
