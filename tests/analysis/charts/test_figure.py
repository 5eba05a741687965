"""Labels apart, texts safe for Plotly, layouts without frames."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.analysis.charts.figure import (
    LABEL_GAP,
    Annotations,
    EndLabel,
    annotation,
    end_labels,
    escaped,
    line,
    line_plot,
    plot,
    plot_height,
    spread,
    x_axis,
    y_axis,
)


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


def test_a_mark_without_a_short_text_is_left_out_of_the_narrow_layout():
    marks = [EndLabel("long", "", "$ink", 1), EndLabel("other", "o", "$ink", 90)]
    assert [one["text"] for one in end_labels(marks, AXIS, 200, short=True)] == ["o"]


def test_notes_stand_on_the_wide_layout_only():
    note = {"text": "note"}
    drawn = line_plot(
        [line([0], [1], "$ink")], (x_axis(), AXIS), [EndLabel("a", "a", "$ink", 1)], "h220", [note]
    )
    assert [one["text"] for one in drawn["layout"]["annotations"]] == ["a", "note"]
    assert [one["text"] for one in drawn["narrow"]["annotations"]] == ["a"]
