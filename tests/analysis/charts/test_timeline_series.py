"""Trials laid one after the other."""

from dataclasses import replace

import pytest

from control_plane.analysis.charts.response_time_panels import percentile_values
from control_plane.analysis.charts.timeline_series import (
    EACH,
    MOST_POINTS,
    begin_s,
    end_s,
    maxima,
    mean,
    per_second,
    placed_segments,
    role_cpu,
    sample_line,
    step_line,
    summed,
    window_starts,
    worker_lines,
)
from control_plane.domain.observations import Gauges, GaugeSeries
from control_plane.domain.result import Timeline, WarmUp
from tests.builders.segments import trial_segments
from tests.builders.trials import gauges


def timeline(*completed: int, last_s: float = 1.0, p50: float | None = 0.5) -> Timeline:
    many = len(completed)
    times = (p50,) * many
    return Timeline(completed, (0,) * many, times, times, times, last_s)


def test_each_trial_starts_where_the_last_one_ended():
    found = trial_segments([timeline(1, 2, last_s=0.5), timeline(3)])
    assert [segment.start_s for segment in found] == [0.0, 1.5]
    assert end_s(found) == 2.5
    assert end_s([]) == 0.0


@pytest.mark.parametrize(
    ("last_s", "last"), [(1.0, 50.0), (0.5, 100.0), (0.25, 200.0), (0.2, None)]
)
def test_the_last_second_counts_with_its_own_length(last_s, last):
    (found,) = trial_segments([timeline(100, 50, last_s=last_s)])
    assert found.window.rates_per_s == [100.0, last]


def test_steps_have_an_end_and_break_between_trials():
    track = trial_segments([timeline(1, 2), timeline(3, last_s=0.5)])
    x, y = step_line(track, lambda series: series.rates_per_s)
    assert x == [0, 1, 2, 2, 2, 2.5]
    assert y == [1, 2, 2, None, 6, 6]


def test_missing_seconds_stay_missing():
    assert step_line(trial_segments([timeline(0, p50=None)]), percentile_values("p50")) == (
        [0, 1],
        [None, None],
    )


def test_a_second_before_a_missing_one_is_drawn_to_its_end():
    (segment,) = trial_segments([timeline(1, 1, 1)])
    assert step_line([segment], lambda _: [5, None, 7]) == ([0, 1, 1, 2, 3], [5, 5, None, 7, 7])


def test_no_seconds_no_steps():
    assert step_line(
        trial_segments([Timeline((), (), (), (), (), 1.0)]), percentile_values("p50")
    ) == (
        [],
        [],
    )


def warmed(*completed: int, length_s: float) -> Timeline:
    times = (0.5,) * len(completed)
    warmup = WarmUp(completed, (0,) * len(completed), times, times, times, length_s)
    return replace(timeline(7, 8), warmup=warmup)


def test_a_warm_up_lies_before_its_window():
    first, second = track = trial_segments([warmed(3, 4, length_s=1.5), warmed(5, length_s=1.0)])
    assert (begin_s(track), first.start_s, second.start_s, end_s(track)) == (-1.5, 0, 3, 5)
    x, y = step_line(track, lambda series: series.rates_per_s)
    assert x == [-1.5, -1, 0, 0, 1, 2, 2, 2, 3, 3, 4, 5]
    assert y == [6, 4, 4, 7, 8, 8, None, 5, 5, 7, 8, 8]


def test_the_streams_of_a_trial_begin_together():
    short, long = timeline(1), timeline(1, 2, 3)
    assert window_starts([[short, short, short], [long, long]]) == [0, 3, 6]
    assert window_starts([]) == []


def test_a_window_that_opens_later_stands_later_on_the_axis():
    late = replace(warmed(3, length_s=1.0), opens_s=0.5)
    both = [[timeline(1, 2), timeline(1, 2)], [late, late]]
    assert window_starts(both) == [0, 3.0]
    (found, second) = placed_segments(both[1], (), window_starts(both))
    assert (found.begin_s, found.opens_s, found.end_s) == (-0.5, 0.5, 2.5)
    assert found.window.edges == [0.5, 1.5, 2.5]
    assert (second.start_s, second.opens_s) == (3.0, 3.5)


def test_a_trial_begins_with_its_first_window():
    """Even where the warm-up of this stream began after it."""
    late = replace(warmed(3, length_s=1.0), opens_s=5.0)
    (found,) = trial_segments([late])
    assert (found.begin_s, found.series[0].edges) == (0.0, [4.0, 5.0])


@pytest.mark.parametrize(("values", "expected"), [([], None), ([None], None), ([1, None, 3], 2)])
def test_means_pass_over_what_is_missing(values, expected):
    assert mean(values) == expected


def line(seconds: int) -> Timeline:
    times = (0.5,) * seconds
    return Timeline((1,) * seconds, (0,) * seconds, times, times, times, 1.0)


def target(trial_gauges: Gauges) -> list[float]:
    return role_cpu(trial_gauges, "target")


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
    ("way", "expected"),
    [("mean", [0.3, 1.0, None]), ("max", [0.4, 1.0, None]), ("sum", [0.6, 1.0, None])],
)
def test_the_samples_of_a_second_become_one(way, expected):
    assert per_second([0.2, 0.4, None, 1.0], 0.5, 3, way) == pytest.approx(expected)


@pytest.mark.parametrize(("way", "expected"), [("mean", 0.3), ("max", 0.4), ("sum", 0.6)])
def test_samples_after_the_last_second_belong_to_none(way, expected):
    assert per_second([0.2, 0.4, 9.0], 0.5, 1, way) == pytest.approx([expected])


def test_what_was_not_seen_counts_for_nothing():
    series = [(1.0, None, None), (2.0, 3.0)]
    assert summed(series) == [3.0, 3.0, None]
    assert maxima(series) == [2.0, 3.0, None]


def test_samples_follow_their_trial():
    track = trial_segments([line(1), line(1)])
    x, y = sample_line(track, [gauges(2, target=0.3), gauges(2, target=0.4)], target)
    assert x == [0.0, 0.5, 1.0, 1.0, 1.0, 1.5, 2.0]
    assert y == [0.3, 0.3, 0.3, None, 0.4, 0.4, 0.4]
    assert sample_line(track, [Gauges(0.5, ())], target) == ([], [])


def test_a_long_window_shows_the_largest_of_each_few_samples():
    busy = replace(gauges(2 * MOST_POINTS).processes[0], cpu_share=(0.1, 0.9) * MOST_POINTS)
    x, y = sample_line(trial_segments([line(MOST_POINTS)]), [Gauges(0.5, (busy,))], target)
    assert (len(x), set(y)) == (MOST_POINTS + 1, {0.9})


@pytest.mark.parametrize(("many", "lines"), [(0, 0), (1, 1), (EACH, EACH), (EACH + 1, 2)])
def test_few_get_a_line_each_and_more_a_band(many, lines):
    only = Gauges(0.5, tuple(GaugeSeries(at, "target", (at, at), (1, 1)) for at in range(many)))
    found = worker_lines(
        trial_segments([line(1)]), [only], lambda each: [x.cpu_share for x in each.processes]
    )
    assert len(found) == lines
    if many > EACH:
        assert [steps[1][0] for steps in found] == [0, many - 1]
