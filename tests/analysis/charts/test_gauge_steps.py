"""What was sampled, on the axis of the trials."""

from dataclasses import replace

import pytest

from control_plane.analysis.charts.gauge_steps import (
    EACH,
    MOST_POINTS,
    added,
    average,
    by_second,
    fan,
    highest,
    role_cpu,
    sampled,
)
from control_plane.analysis.charts.track import segments
from control_plane.domain.result import Gauges, GaugeSeries, Timeline
from tests.analysis.samples import gauges


def line(seconds: int) -> Timeline:
    times = (0.5,) * seconds
    return Timeline((1,) * seconds, (0,) * seconds, times, times, times, 1.0)


def target(one: Gauges) -> list[float]:
    return role_cpu(one, "target")


def test_processes_of_a_role_are_added():
    found = Gauges(
        0.5,
        (
            GaugeSeries(1, "target", (0.5, 0.6), (1, 1)),
            GaugeSeries(2, "target", (0.5,), (1,)),
            GaugeSeries(3, "client", (0.1, 0.1), (1, 1)),
        ),
    )
    assert role_cpu(found, "target") == [1.0, 0.6]
    assert role_cpu(found, "control") == []


@pytest.mark.parametrize(
    ("way", "expected"), [(average, [0.3, 1.0, None]), (max, [0.4, 1.0, None])]
)
def test_the_samples_of_a_second_become_one(way, expected):
    assert by_second([0.2, 0.4, None, 1.0], 0.5, 3, way) == pytest.approx(expected)


def test_what_was_not_seen_counts_for_nothing():
    series = [(1.0, None, None), (2.0, 3.0)]
    assert added(series) == [3.0, 3.0, None]
    assert highest(series) == [2.0, 3.0, None]


def test_samples_follow_their_trial():
    track = segments([line(1), line(1)])
    x, y = sampled(track, [gauges(2, target=0.3), gauges(2, target=0.4)], target)
    assert x == [0.0, 0.5, 1.0, 1.0, 1.0, 1.5, 2.0]
    assert y == [0.3, 0.3, 0.3, None, 0.4, 0.4, 0.4]
    assert sampled(track, [Gauges(0.5, ())], target) == ([], [])


def test_a_long_window_shows_the_largest_of_each_few_samples():
    busy = replace(gauges(2 * MOST_POINTS).processes[0], cpu_share=(0.1, 0.9) * MOST_POINTS)
    x, y = sampled(segments([line(MOST_POINTS)]), [Gauges(0.5, (busy,))], target)
    assert (len(x), set(y)) == (MOST_POINTS + 1, {0.9})


@pytest.mark.parametrize(("many", "lines"), [(0, 0), (1, 1), (EACH, EACH), (EACH + 1, 2)])
def test_few_get_a_line_each_and_more_a_band(many, lines):
    one = Gauges(0.5, tuple(GaugeSeries(at, "target", (at, at), (1, 1)) for at in range(many)))
    found = fan(segments([line(1)]), [one], lambda each: [x.cpu_share for x in each.processes])
    assert len(found) == lines
    if many > EACH:
        assert [steps[1][0] for steps in found] == [0, many - 1]
