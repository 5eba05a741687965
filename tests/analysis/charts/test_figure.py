"""Labels apart, texts safe for Plotly, layouts without frames, ticks and ranges of axes."""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.analysis.charts.figure import (
    LABEL_GAP,
    Annotations,
    EndLabel,
    Plot,
    annotation,
    end_labels,
    escaped,
    line,
    line_plot,
    linear_time_axis,
    log_range,
    milliseconds,
    plot,
    plot_height,
    rounded,
    scale_of,
    scaled,
    short_time,
    spread,
    time_axis,
    time_text,
    time_ticks,
    window_axis,
    x_axis,
    y_axis,
    zero_based_axis,
)
from tests.builders.trials import with_spaces


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], []),
        ([7.0], [7.0]),
        ([0.0, 100.0], [0.0, 100.0]),
        ([50.0, 50.0], [42.5, 57.5]),
        ([10.0, 0.0], [12.5, -2.5]),
        ([0.0, 1.0, 2.0], [-14.0, 1.0, 16.0]),
    ],
)
def test_labels_are_spread_around_their_middle(places, expected):
    assert spread(places) == pytest.approx(expected)


@given(st.lists(st.floats(-1_000, 1_000), max_size=12))
def test_spread_labels_keep_order_and_distance(places):
    moved = spread(places)
    order = sorted(range(len(places)), key=lambda index: places[index])
    gaps = [moved[b] - moved[a] for a, b in pairwise(order)]
    assert all(gap >= LABEL_GAP - 1e-6 for gap in gaps)
    assert sum(moved) == pytest.approx(sum(places), abs=1e-6)


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("A async", "A async"),
        ("<b>x</b>", "&lt;b&gt;x&lt;/b&gt;"),
        ('<a href="javascript:x">', '&lt;a href="javascript:x"&gt;'),
        ("a & b", "a &amp; b"),
    ],
)
def test_names_are_not_taken_for_markup(text, safe):
    assert escaped(text) == safe
    assert annotation(text, "$ink", y=1)["text"] == safe


def test_a_layout_has_no_legend_frame_or_mode():
    found = plot([line([1], [2], "$run-1")], {"xaxis": x_axis(), "yaxis": y_axis()}, Annotations())
    assert found["layout"]["showlegend"] is False
    assert found["layout"]["paper_bgcolor"] == "rgba(0,0,0,0)"
    assert found["layout"]["xaxis"]["fixedrange"] is True
    assert found["narrow"]["margin"]["r"] < found["layout"]["margin"]["r"]


def test_chosen_keys_replace_the_usual_ones():
    assert x_axis(ticks="")["ticks"] == ""
    assert line([1], [2], "$bad", 1, stroke={"dash": "dot"})["line"] == {
        "color": "$bad",
        "width": 1,
        "dash": "dot",
    }


def test_the_plotting_area_is_lower_than_the_figure():
    assert plot_height("h320") == 278


AXIS = y_axis(range=[0, 100])


def test_neighbours_are_moved_apart_and_keep_their_place_on_the_axis():
    near = [EndLabel("one", "1", "$ink", 50), EndLabel("two", "2", "$bad", 51)]
    lower, upper = end_labels(near, AXIS, 200, short=False)
    assert (lower["y"], upper["y"]) == (50, 51)
    assert upper["yshift"] - lower["yshift"] + 2 == pytest.approx(LABEL_GAP)
    assert (lower["text"], lower["font"]["color"]) == ("one", "$ink")


def test_many_labels_near_the_top_stay_beside_the_plotting_area():
    many = [EndLabel(f"run {at}", "", "$ink", 96 + at / 4) for at in range(12)]
    places = [
        2 * label["y"] + label["yshift"] for label in end_labels(many, AXIS, 200, short=False)
    ]
    assert places[-1] == pytest.approx(200, abs=0.1)
    assert [b - a for a, b in pairwise(places)] == pytest.approx([LABEL_GAP] * 11, abs=0.1)
    crowd = [*many, *many]
    placed = end_labels(crowd, AXIS, 200, short=False)
    assert len({2 * label["y"] + label["yshift"] for label in placed}) == 24


def test_a_mark_without_a_short_text_is_left_out_of_the_narrow_layout():
    marks = [EndLabel("long", "", "$ink", 1), EndLabel("other", "o", "$ink", 90)]
    assert [label["text"] for label in end_labels(marks, AXIS, 200, short=True)] == ["o"]


def test_notes_stand_on_the_wide_layout_only():
    note = {"text": "note"}
    drawn = line_plot(
        [line([0], [1], "$ink")], (x_axis(), AXIS), [EndLabel("a", "a", "$ink", 1)], "h220", [note]
    )
    assert [text["text"] for text in drawn["layout"]["annotations"]] == ["a", "note"]
    assert [text["text"] for text in drawn["narrow"]["annotations"]] == ["a"]


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
    assert window_axis(end_s, -2.5)["tickvals"] == ticks


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
    assert with_spaces(time_text(value_s)) == text


@pytest.mark.parametrize(
    ("low_s", "high_s", "most", "expected"),
    [
        (0.0004, 0.06, 7, [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05]),
        (0.0009, 1.2, 7, [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1]),
        (0.0009, 1.2, 4, [0.001, 0.01, 0.1, 1]),
        (0.0009, 1.2, 3, [0.01, 1]),
        (0.0009, 1.2, 2, [0.01, 1]),
        (0.00022, 0.0094, 2, [0.0005, 0.005]),
        (0.0021, 0.0084, 7, [0.003, 0.008]),
        (0.0021, 0.0049, 7, [0.003, 0.004]),
        (0.0021, 0.0029, 7, []),
    ],
)
def test_ticks_of_times(low_s, high_s, most, expected):
    found = time_ticks(math.log10(low_s), math.log10(high_s), most)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("low", "high"), [(0.001, 0.001), (0.001, 0.0011), (1e-6, 100.0)])
def test_a_log_range_has_room_and_a_least_span(low, high):
    bottom, top = log_range(low, high)
    assert bottom < math.log10(low) <= math.log10(high) < top
    assert top - bottom >= 0.6 - 1e-9


@given(
    st.floats(1e-6, 100),
    st.floats(1, 1e6),
    st.integers(2, 7),
    st.sampled_from([time_axis, linear_time_axis]),
)
def test_every_time_axis_has_two_ticks_or_more(
    low_s: float, ratio: float, most: int, axis: Callable[[tuple[float, float], int], Plot]
) -> None:
    drawn = axis(log_range(low_s, low_s * ratio), most)
    assert 2 <= len(drawn["tickvals"]) <= most + 1
    assert len(set(drawn["ticktext"])) == len(drawn["tickvals"])


def test_rates_start_at_zero():
    assert zero_based_axis(100.0)["range"] == [0, 108.0]
    assert zero_based_axis(0.0)["range"] == [0, 1]


@pytest.mark.parametrize(
    ("value_s", "text"),
    [(1.5, "1.5 s"), (0.0068, "6.8 ms"), (0.00047, "0.47 ms"), (0.00005, "50 µs")],
)
def test_brief_times(value_s, text):
    assert with_spaces(short_time(value_s)) == text


@pytest.mark.parametrize(
    ("value_s", "expected"), [(2.0, (1.0, "s")), (-0.5, (1e3, "ms")), (0.0, (1e6, "µs"))]
)
def test_the_unit_that_makes_a_time_readable(value_s, expected):
    assert scale_of(value_s) == expected


def test_numbers_are_shortened():
    assert rounded(np.array([1.234567, 98_765.4])) == [1.235, 98_770]
    assert milliseconds(0.00123456) == 1.235
    assert milliseconds(None) is None


@given(st.lists(st.none() | st.floats(-1e9, 1e9).filter(lambda value: abs(value) > 1e-9)))
def test_four_figures_are_those_that_are_written(values: list[float | None]) -> None:
    expected = [None if value is None else float(f"{value:.4g}") for value in values]
    for found, wanted in zip(scaled(values), expected, strict=True):
        assert found == pytest.approx(wanted, rel=1.001e-3 if wanted else None)
        assert found is None or found == float(f"{found:.4g}")


def test_zero_and_what_is_no_number_stay() -> None:
    assert scaled([0.0, None, 1.23456, 123456.0], 2) == [0.0, None, 2.469, 246900.0]
    assert rounded(np.array([0.0, 9.99996, -0.000123449])) == [0.0, 10.0, -0.0001234]
