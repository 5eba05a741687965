"""Panels above each other, and what is seen from inside the workers."""

from dataclasses import replace
from itertools import pairwise

import pytest

from control_plane.analysis.charts.figure import EndLabel, line, window_axis, y_axis
from control_plane.analysis.charts.panels import (
    Panel,
    collection_panel,
    core_axis,
    stacked,
)
from control_plane.domain.observations import WorkerSeries
from control_plane.domain.result import Timeline
from tests.builders.segments import trial_segments
from tests.builders.trials import gauges, known, with_spaces


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
    assert [label["text"] for label in found["narrow"]["annotations"]] == ["p50", "p99"]


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


@pytest.mark.parametrize("workers", [1, 10])
def test_the_mean_of_collection_is_that_of_all_workers_and_of_the_window(workers: int) -> None:
    """Also where more than four are drawn as a band: one of them collects half of the time."""
    watched = tuple(_worker(pid, 0.25 if pid == 0 else 0.0) for pid in range(workers))
    times = (0.5,) * 3
    track = trial_segments([Timeline((1,) * 3, (0,) * 3, times, times, times, 1.0)])
    panel = known(collection_panel(track, [replace(gauges(), workers=watched)]))
    said = {1: "mean 50 %", 10: "mean 5.0 %"}[workers]
    assert with_spaces(panel.labels[0].text) == said


def _worker(pid: int, gc_s: float) -> WorkerSeries:
    nothing = (None,) * 6
    return WorkerSeries(pid, nothing, nothing, nothing, nothing, nothing, (gc_s,) * 6)


@pytest.mark.parametrize(
    ("high", "texts"),
    [
        (1.0, ["0", "50 %", "100 %"]),
        (1.2, ["0", "50 %", "100 %"]),
        (3.9, ["0", "200 %", "400 %"]),
    ],
)
def test_shares_of_cores(high, texts):
    assert [with_spaces(text) for text in core_axis(high)["ticktext"]] == texts
