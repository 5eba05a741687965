"""Ticks and ranges."""

import math

import numpy as np
import pytest

from control_plane.analysis.charts import axes
from tests.analysis.samples import with_spaces


@pytest.mark.parametrize(
    ("share", "place"), [(0.5, 0.30103), (0.9, 1.0), (0.99, 2.0), (0.999, 3.0), (0.9999, 4.0)]
)
def test_percentiles_stand_at_their_nines(share, place):
    assert axes.nines(share) == pytest.approx(place)
    assert axes.shares(np.array([place]))[0] == pytest.approx(share)


def test_the_largest_sample_has_no_place():
    assert axes.nines(1.0) == math.inf


@pytest.mark.parametrize(
    ("end_s", "ticks"),
    [
        (4.0, [0, 1, 2, 3, 4]),
        (5.2, [0, 1, 2, 3, 4, 5]),
        (61.0, [0, 20, 40, 60]),
        (0.4, [0, 0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_seconds_before_the_window_have_no_ticks(end_s, ticks):
    assert axes.window_axis(end_s, -2.5)["tickvals"] == ticks


@pytest.mark.parametrize(
    ("value_s", "text"),
    [
        (1e-9, "1 ns"),
        (5e-6, "5 µs"),
        (5e-5, "50 µs"),
        (1e-4, "0.1 ms"),
        (5e-4, "0.5 ms"),
        (0.02, "20 ms"),
        (1.0, "1 s"),
        (100.0, "100 s"),
        (5_000.0, "5,000 s"),
    ],
)
def test_round_times(value_s, text):
    assert with_spaces(axes.time_text(value_s)) == text


@pytest.mark.parametrize(
    ("low_s", "high_s", "most", "expected"),
    [
        (0.0004, 0.06, 7, [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05]),
        (0.0009, 1.2, 7, [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1]),
        (0.0009, 1.2, 4, [0.001, 0.01, 0.1, 1]),
        (0.0009, 1.2, 3, [0.01, 1]),
        (0.0021, 0.0049, 7, []),
    ],
)
def test_ticks_of_times(low_s, high_s, most, expected):
    found = axes.time_ticks(math.log10(low_s), math.log10(high_s), most)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("low", "high"), [(0.001, 0.001), (0.001, 0.0011), (1e-6, 100.0)])
def test_a_log_range_has_room_and_a_least_span(low, high):
    bottom, top = axes.log_range(low, high)
    assert bottom < math.log10(low) <= math.log10(high) < top
    assert top - bottom >= 0.6 - 1e-9


@pytest.mark.parametrize("bounds", [axes.log_range(one, one) for one in (0.0003, 0.002, 0.0045)])
def test_every_time_axis_has_a_tick(bounds):
    assert axes.time_axis(bounds)["tickvals"]


def test_rates_start_at_zero():
    assert axes.zero_based_axis(100.0)["range"] == [0, 108.0]
    assert axes.zero_based_axis(0.0)["range"] == [0, 1]


@pytest.mark.parametrize(
    ("high", "texts"),
    [
        (1.0, ["0", "50 %", "100 %"]),
        (1.2, ["0", "50 %", "100 %"]),
        (3.9, ["0", "200 %", "400 %"]),
    ],
)
def test_shares_of_cores(high, texts):
    assert [with_spaces(one) for one in axes.core_axis(high)["ticktext"]] == texts


@pytest.mark.parametrize(
    ("value_s", "text"),
    [(1.5, "1.5 s"), (0.0068, "6.8 ms"), (0.00047, "0.47 ms"), (0.00005, "50 µs")],
)
def test_brief_times(value_s, text):
    assert with_spaces(axes.short_time(value_s)) == text


@pytest.mark.parametrize(
    ("value_s", "expected"), [(2.0, (1.0, "s")), (-0.5, (1e3, "ms")), (0.0, (1e6, "µs"))]
)
def test_the_unit_that_makes_a_time_readable(value_s, expected):
    assert axes.scale_of(value_s) == expected


@pytest.mark.parametrize(
    ("value", "text"), [(30.0, "+30"), (-2.5, "−2.5"), (0.0, "0"), (1_500.0, "+1,500")]
)
def test_signed_numbers(value, text):
    assert axes.signed(value) == text


def test_numbers_are_shortened():
    assert axes.rounded(np.array([1.234567, 98_765.4])) == [1.235, 98_770]
    assert axes.milliseconds(0.00123456) == 1.235
    assert axes.milliseconds(None) is None
