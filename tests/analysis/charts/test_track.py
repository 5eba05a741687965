"""Trials laid one after the other."""

import pytest

from control_plane.analysis.charts.track import (
    cpu_steps,
    end_s,
    mean,
    percentile,
    role_cpu,
    second_cpu,
    segments,
    stepped,
)
from control_plane.domain.result import Gauges, GaugeSeries, Timeline
from tests.analysis.samples import gauges


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
    assert list(found.rates_per_s) == [100.0, last]


def test_steps_have_an_end_and_break_between_trials():
    track = segments([timeline(1, 2), timeline(3, last_s=0.5)])
    x, y = stepped(track, lambda one: one.rates_per_s)
    assert x == [0, 1, 2, 2, 2, 2.5]
    assert y == [1, 2, 2, None, 6, 6]


def test_missing_seconds_stay_missing():
    assert stepped(segments([timeline(0, p50=None)]), percentile("p50")) == ([0, 1], [None, None])


def test_no_seconds_no_steps():
    assert stepped(segments([Timeline((), (), (), (), (), 1.0)]), percentile("p50")) == ([], [])


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


def test_cpu_of_each_second():
    found = Gauges(0.5, (GaugeSeries(1, "target", (0.2, 0.4, 1.0), (1, 1, 1)),))
    assert second_cpu(found, "target", 3) == [pytest.approx(0.3), 1.0, None]
    assert second_cpu(found, "client", 2) == [None, None]


def test_cpu_steps_follow_their_trial():
    track = segments([timeline(1), timeline(1)])
    x, y = cpu_steps(track, [gauges(2, target=0.3), gauges(2, target=0.4)], "target")
    assert x == [0.0, 0.5, 1.0, 1.0, 1.0, 1.5, 2.0]
    assert y == [0.3, 0.3, 0.3, None, 0.4, 0.4, 0.4]
    assert cpu_steps(track, [Gauges(0.5, ())], "target") == ([], [])


@pytest.mark.parametrize(("values", "expected"), [([], None), ([None], None), ([1, None, 3], 2)])
def test_means_pass_over_what_is_missing(values, expected):
    assert mean(values) == expected
