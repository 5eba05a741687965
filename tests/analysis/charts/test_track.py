"""Trials laid one after the other."""

from dataclasses import replace

import pytest

from control_plane.analysis.charts.seconds import picked
from control_plane.analysis.charts.track import (
    begin_s,
    end_s,
    mean,
    placed,
    segments,
    starts,
    stepped,
)
from control_plane.domain.result import Timeline, WarmUp


def timeline(*completed: int, last_s: float = 1.0, p50: float | None = 0.5) -> Timeline:
    many = len(completed)
    times = (p50,) * many
    return Timeline(completed, (0,) * many, times, times, times, last_s)


def test_each_trial_starts_where_the_last_one_ended():
    found = segments([timeline(1, 2, last_s=0.5), timeline(3)])
    assert [one.start_s for one in found] == [0.0, 1.5]
    assert end_s(found) == 2.5
    assert end_s([]) == 0.0


@pytest.mark.parametrize(
    ("last_s", "last"), [(1.0, 50.0), (0.5, 100.0), (0.25, 200.0), (0.2, None)]
)
def test_the_last_second_counts_with_its_own_length(last_s, last):
    (found,) = segments([timeline(100, 50, last_s=last_s)])
    assert found.window.rates_per_s == [100.0, last]


def test_steps_have_an_end_and_break_between_trials():
    track = segments([timeline(1, 2), timeline(3, last_s=0.5)])
    x, y = stepped(track, lambda one: one.rates_per_s)
    assert x == [0, 1, 2, 2, 2, 2.5]
    assert y == [1, 2, 2, None, 6, 6]


def test_missing_seconds_stay_missing():
    assert stepped(segments([timeline(0, p50=None)]), picked("p50")) == ([0, 1], [None, None])


def test_a_second_before_a_missing_one_is_drawn_to_its_end():
    (one,) = segments([timeline(1, 1, 1)])
    assert stepped([one], lambda _: [5, None, 7]) == ([0, 1, 1, 2, 3], [5, 5, None, 7, 7])


def test_no_seconds_no_steps():
    assert stepped(segments([Timeline((), (), (), (), (), 1.0)]), picked("p50")) == ([], [])


def warmed(*completed: int, length_s: float) -> Timeline:
    times = (0.5,) * len(completed)
    warmup = WarmUp(completed, (0,) * len(completed), times, times, times, length_s)
    return replace(timeline(7, 8), warmup=warmup)


def test_a_warm_up_lies_before_its_window():
    first, second = track = segments([warmed(3, 4, length_s=1.5), warmed(5, length_s=1.0)])
    assert (begin_s(track), first.start_s, second.start_s, end_s(track)) == (-1.5, 0, 3, 5)
    x, y = stepped(track, lambda one: one.rates_per_s)
    assert x == [-1.5, -1, 0, 0, 1, 2, 2, 2, 3, 3, 4, 5]
    assert y == [6, 4, 4, 7, 8, 8, None, 5, 5, 7, 8, 8]


def test_the_streams_of_a_trial_begin_together():
    short, long = timeline(1), timeline(1, 2, 3)
    assert starts([[short, short, short], [long, long]]) == [0, 3, 6]
    assert starts([]) == []


def test_a_window_that_opens_later_stands_later_on_the_axis():
    late = replace(warmed(3, length_s=1.0), opens_s=0.5)
    both = [[timeline(1, 2), timeline(1, 2)], [late, late]]
    assert starts(both) == [0, 3.0]
    (found, second) = placed(both[1], (), starts(both))
    assert (found.begin_s, found.opens_s, found.end_s) == (-0.5, 0.5, 2.5)
    assert found.window.edges == [0.5, 1.5, 2.5]
    assert (second.start_s, second.opens_s) == (3.0, 3.5)


def test_a_trial_begins_with_its_first_window():
    """Even where the warm-up of this stream began after it."""
    late = replace(warmed(3, length_s=1.0), opens_s=5.0)
    (found,) = segments([late])
    assert (found.begin_s, found.stretches[0].edges) == (0.0, [4.0, 5.0])


@pytest.mark.parametrize(("values", "expected"), [([], None), ([None], None), ([1, None, 3], 2)])
def test_means_pass_over_what_is_missing(values, expected):
    assert mean(values) == expected
