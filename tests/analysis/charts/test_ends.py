"""Labels at the ends of lines."""

import pytest

from control_plane.analysis.charts.ends import Mark, end_labels, single
from control_plane.analysis.charts.figure import LABEL_GAP, line, x_axis, y_axis

AXIS = y_axis(range=[0, 100])


def test_neighbours_are_moved_apart_and_keep_their_place_on_the_axis():
    near = [Mark("one", "1", "$ink", 50), Mark("two", "2", "$bad", 51)]
    lower, upper = end_labels(near, AXIS, 200, short=False)
    assert (lower["y"], upper["y"]) == (50, 51)
    assert upper["yshift"] - lower["yshift"] + 2 == pytest.approx(LABEL_GAP)
    assert (lower["text"], lower["font"]["color"]) == ("one", "$ink")


def test_a_mark_without_a_short_text_is_left_out_of_the_narrow_layout():
    marks = [Mark("long", "", "$ink", 1), Mark("other", "o", "$ink", 90)]
    assert [one["text"] for one in end_labels(marks, AXIS, 200, short=True)] == ["o"]


def test_notes_stand_on_the_wide_layout_only():
    note = {"text": "note"}
    drawn = single(
        [line([0], [1], "$ink")], (x_axis(), AXIS), [Mark("a", "a", "$ink", 1)], "h220", [note]
    )
    assert [one["text"] for one in drawn["layout"]["annotations"]] == ["a", "note"]
    assert [one["text"] for one in drawn["narrow"]["annotations"]] == ["a"]
