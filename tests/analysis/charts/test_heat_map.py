"""Response times of each second as a heat map."""

import pytest

from control_plane.analysis.charts.heat_map import MOST_COLUMNS, SHADES, heat_map, shades
from control_plane.analysis.charts.trial_axis import TrialSegment, trial_segments
from control_plane.domain.result import Slices, Timeline
from tests.analysis.samples import second, with_spaces

BOUNDS, PIXELS = (-3.5, 0.5), 160


def track(*rows, last_s: float = 1.0) -> list[TrialSegment]:
    many = len(rows)
    times = (0.5,) * many
    line = Timeline((1,) * many, (0,) * many, times, times, times, last_s)
    return trial_segments([line, line], [Slices.of(rows)] * 2)[:1]


def cells(found):
    """Rows and columns with their counts, from the bottom left."""
    (one,) = found
    return {
        (one["y"][row], one["x"][column]): value
        for row, values in enumerate(one["z"])
        for column, value in enumerate(values)
        if value
    }


def test_each_request_is_counted_where_it_ended():
    found = cells(heat_map(track(second(0, 1.0, 1.01), second(1, 1_050.0)), BOUNDS, PIXELS))
    assert found == {(0.001, 0): 2, (1.0, 1): 1}


def test_hovering_names_the_time_with_its_unit():
    (one,) = heat_map(track(second(0, 1.0, 1.01), second(1, 1_050.0)), BOUNDS, PIXELS)
    said = [with_spaces(text) for row in one["text"] for text in row if text]
    assert said == ["1.1 ms: 2 requests", "1.1 s: 1 request"]


def test_nothing_is_drawn_where_nothing_ended():
    (one,) = heat_map(track(second(0, 1.0)), BOUNDS, PIXELS)
    assert sum(value is not None for row in one["z"] for value in row) == 1
    assert heat_map(track(second(0)), BOUNDS, PIXELS) == []
    assert heat_map([TrialSegment(0.0, track(second(0, 1.0))[0].timeline)], BOUNDS, PIXELS) == []


def test_a_short_last_second_is_narrow():
    (one,) = heat_map(track(second(0, 1.0), second(1, 1.0), last_s=0.4), BOUNDS, PIXELS)
    assert one["x"] == [0, 1, 1.4]
    assert len(one["z"][0]) == 2
    assert len(one["y"]) == len(one["z"]) + 1


def test_long_windows_have_columns_of_several_seconds():
    rows = [second(index, 1.0) for index in range(3 * MOST_COLUMNS)]
    (one,) = heat_map(track(*rows), BOUNDS, PIXELS)
    assert len(one["x"]) <= MOST_COLUMNS + 1
    assert sum(value or 0 for row in one["z"] for value in row) == 3 * MOST_COLUMNS


@pytest.mark.parametrize("most", [1, 7, 100_000])
def test_shades_are_steps_of_equal_ratio(most):
    found = shades(most)
    places = [place for place, _ in found]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, 1)
    assert [shade for _, shade in found[::2]] == list(SHADES)
