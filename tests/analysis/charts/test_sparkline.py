"""The sparkline of the history."""

import pytest

from control_plane.analysis.charts.sparkline import sparkline
from control_plane.analysis.summary import times
from control_plane.domain.histogram import EMPTY
from tests.builders.trials import histogram


def test_a_flat_line_is_a_short_tail():
    found = sparkline(times(histogram(*[5.0] * 20_000)))
    assert [x for x, _ in found.points] == pytest.approx([0, 25.9, 37.1, 62.9, 100], abs=0.2)
    assert {y for _, y in found.points} == {100}
    assert found.label == "p99.9 is 1.0 times p50"


@pytest.mark.parametrize(
    ("factor", "height"), [(1.0, 100.0), (10.0, 50.0), (100.0, 0.0), (5_000.0, 0.0)]
)
def test_the_scale_is_a_hundred_times_the_median(factor, height):
    found = sparkline(times(histogram(*[1.0] * 8_000, *[factor] * 2_000)))
    assert found.points[-1][1] == pytest.approx(height, abs=0.1)


@pytest.mark.parametrize(
    ("samples", "points"), [(19, 0), (99, 0), (100, 2), (200, 3), (1_000, 4), (10_000, 5)]
)
def test_it_ends_where_samples_end(samples, points):
    assert len(sparkline(times(histogram(*[1.0] * samples))).points) == points


def test_points_as_an_svg_takes_them():
    assert sparkline(times(histogram(*[5.0] * 100))).text == "0,100 25.9,100"


def test_nothing_measured():
    found = sparkline(times(EMPTY))
    assert (found.points, found.text, found.label) == ((), "", "not measured")
