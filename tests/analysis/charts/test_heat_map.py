"""Response times of each second as a heat map, and the drift of a window that was not steady."""

from dataclasses import replace

import numpy as np
import pytest

from control_plane.analysis.charts.heat_map import (
    MOST_COLUMNS,
    SECONDS_AT_ONCE,
    SHADES,
    heat_map,
    shades,
)
from control_plane.analysis.charts.response_time_panels import trend_labels, trend_lines
from control_plane.analysis.charts.timeline import timeline_chart
from control_plane.analysis.charts.timeline_series import TrialSegment
from control_plane.domain.histogram import middle_ns
from control_plane.domain.result import Timeline, WarmUp
from control_plane.domain.stream_record import Slices
from tests.analysis.charts.plotted import annotations, checked
from tests.builders.segments import trial_segments
from tests.builders.trials import detail, result, run, second, spread

BOUNDS, PIXELS = (-3.5, 0.5), 160


def track(*rows, last_s: float = 1.0) -> list[TrialSegment]:
    many = len(rows)
    times = (0.5,) * many
    line = Timeline((1,) * many, (0,) * many, times, times, times, last_s)
    return trial_segments([line, line], [Slices.of(rows)] * 2)[:1]


def cells(found):
    """Rows and columns with their counts, from the bottom left."""
    (heat,) = found
    return {
        (heat["y"][row], heat["x"][column]): value
        for row, values in enumerate(heat["z"])
        for column, value in enumerate(values)
        if value
    }


def test_each_request_is_counted_where_it_ended():
    found = cells(heat_map(track(second(0, 1.0, 1.01), second(1, 1_050.0)), BOUNDS, PIXELS))
    assert found == {(0.001, 0): 2, (1.0, 1): 1}


def test_cells_are_counted_as_each_entry_alone_would_be():
    rng = np.random.default_rng(3)
    rows = [second(index, *spread(20, 3, index + 2)) for index in range(-1, SECONDS_AT_ONCE + 4)]
    whole = Slices.of(rows)
    slices = Slices(
        np.concatenate([whole.seconds, rng.integers(-9, 99, 5)]),
        np.concatenate([whole.sizes, [1] * 5]),
        np.concatenate([whole.indices, rng.integers(0, 20_000, 5)]),
        np.concatenate([whole.counts, [1] * 5]),
    )
    (segment,) = track(*rows[1:])
    warmup = WarmUp((30,), (0,), (0.02,), (0.02,), (0.02,), length_s=1.0)
    warmed = replace(segment.timeline, warmup=warmup)
    (heat,) = heat_map([replace(segment, timeline=warmed, slices=slices)], BOUNDS, PIXELS)
    expected = np.zeros((len(heat["z"]), len(heat["z"][0])), int)
    edges, last = np.array(heat["y"]), len(heat["x"]) - 2
    seconds = np.repeat(slices.seconds, slices.sizes)
    for at, bucket, count in zip(seconds, slices.indices, slices.counts, strict=True):
        middle_s = max(int(middle_ns(np.array([bucket]))[0]), 1) / 1e9
        row = np.clip(np.searchsorted(edges, middle_s, "right") - 1, 0, len(expected) - 1)
        column = np.clip(np.searchsorted(heat["x"], max(int(at), -1) + 1e-3, "right") - 1, 0, last)
        expected[row, column] += count
    assert [[value or 0 for value in line] for line in heat["z"]] == expected.tolist()


def test_nothing_is_drawn_where_nothing_ended():
    (heat,) = heat_map(track(second(0, 1.0)), BOUNDS, PIXELS)
    assert sum(value is not None for row in heat["z"] for value in row) == 1
    assert heat_map(track(second(0)), BOUNDS, PIXELS) == []
    assert heat_map([TrialSegment(0.0, track(second(0, 1.0))[0].timeline)], BOUNDS, PIXELS) == []


def test_a_short_last_second_is_narrow():
    (heat,) = heat_map(track(second(0, 1.0), second(1, 1.0), last_s=0.4), BOUNDS, PIXELS)
    assert heat["x"] == [0, 1, 1.4]
    assert len(heat["z"][0]) == 2
    assert len(heat["y"]) == len(heat["z"]) + 1


def test_long_windows_have_columns_of_several_seconds():
    rows = [second(index, 1.0) for index in range(3 * MOST_COLUMNS)]
    (heat,) = heat_map(track(*rows), BOUNDS, PIXELS)
    assert len(heat["x"]) <= MOST_COLUMNS + 1
    assert sum(value or 0 for row in heat["z"] for value in row) == 3 * MOST_COLUMNS


@pytest.mark.parametrize("most", [1, 7, 100_000])
def test_shades_are_steps_of_equal_ratio(most):
    found = shades(most)
    places = [place for place, _ in found]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, 1)
    assert [shade for _, shade in found[::2]] == list(SHADES)


TRACK = trial_segments([Timeline((1,) * 4, (0,) * 4, (0.1,) * 4, (0.1,) * 4, (0.1,) * 4, 1.0)])


@pytest.mark.parametrize(
    ("drift", "ends"), [(None, None), (0.1, None), (0.4, [0.08, 0.12]), (-3.0, [0.25, 0.005])]
)
def test_a_drift_over_the_limit_is_a_line_through_the_middle(drift, ends):
    lines = trend_lines(TRACK, [drift])
    assert [line["y"] for line in lines] == ([] if ends is None else [pytest.approx(ends)])
    assert bool(trend_labels(TRACK, [drift], 0)) is bool(lines)


def test_the_largest_drift_is_named():
    (mark,) = trend_labels(TRACK * 2, [0.2, -0.5], -1.0)
    assert (mark.text.replace("\N{NO-BREAK SPACE}", " "), mark.place) == ("drift −50 %", -1.0)


@pytest.mark.parametrize(("growth", "drawn"), [(0.0, False), (0.05, True)])
def test_the_timeline_of_an_unsteady_run_shows_it(growth, drawn):
    rows = [second(index, *spread(5 * (1 + growth * index), 200, index)) for index in range(12)]
    figure = timeline_chart(detail(run(), result(*rows)))
    checked(figure)
    assert any("drift +" in text for text in annotations(figure)) is drawn
