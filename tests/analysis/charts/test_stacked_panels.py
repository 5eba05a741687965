"""Panels above each other."""

from itertools import pairwise

import pytest

from control_plane.analysis.charts.axes import window_axis
from control_plane.analysis.charts.figure import EndLabel, line, y_axis
from control_plane.analysis.charts.stacked_panels import Panel, stacked


def panel(title: str, *marks: EndLabel, weight: float = 1.0, limit: float | None = None) -> Panel:
    return Panel(title, y_axis(range=[0, 10]), [line([0], [1], "$ink")], marks, weight, limit)


def test_panels_share_the_time_and_do_not_overlap():
    found = stacked([panel("a", weight=3), panel("b"), panel("c")], window_axis(5.0), "h440")
    layout = found["layout"]
    domains = [layout[key]["domain"] for key in ("yaxis", "yaxis2", "yaxis3")]
    assert all(above[0] > below[1] for above, below in pairwise(domains))
    assert domains[-1][0] == 0
    assert layout["xaxis"]["anchor"] == "y3"
    assert [trace["yaxis"] for trace in found["data"]] == ["y", "y2", "y3"]
    assert domains[0][1] - domains[0][0] > 2.9 * (domains[1][1] - domains[1][0])


def test_labels_at_one_place_are_spread():
    marks = (EndLabel("p50 1 ms", "p50", "$ink", 5.0), EndLabel("p99 1 ms", "p99", "$ink", 5.0))
    found = stacked([panel("", *marks)], window_axis(5.0), "h220")
    labels = found["layout"]["annotations"]
    assert abs(labels[0]["yshift"] - labels[1]["yshift"]) == 15
    assert [one["text"] for one in found["narrow"]["annotations"]] == ["p50", "p99"]


def test_a_limit_is_dashed_over_the_whole_width():
    (shape,) = stacked([panel("a"), panel("b", limit=1.0)], window_axis(5.0), "h220")["layout"][
        "shapes"
    ]
    assert (shape["yref"], shape["y0"], shape["x0"], shape["x1"]) == ("y2", 1.0, 0, 1)


@pytest.mark.parametrize(
    ("text", "room"),
    [("p50 1 ms", 132), ("target mean 0.45 %", 132), ("x" * 16 + " p99 1.23 ms", 198)],
)
def test_the_longest_label_has_room_at_the_right(text, room):
    found = stacked([panel("a", EndLabel(text, "", "$ink", 5.0))], window_axis(5.0), "h220")
    assert found["layout"]["margin"]["r"] == room
