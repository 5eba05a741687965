"""Equal stacks together, the heaviest first."""

from dataclasses import replace

import pytest

from control_plane.analysis.causes.stacks import stack_groups
from control_plane.domain.result import Gauges
from tests.analysis.causes.watched import IDLE, SLEEPING, evidence, stalls


def test_stacks_are_grouped_over_trials_and_sorted_by_their_time():
    (gauges,) = evidence().gauges
    first = replace(gauges, stalls=(*stalls(3, 0.2), *stalls(1, 0.3, IDLE), *stalls(1, 0.1, ())))
    second = replace(gauges, stalls=stalls(2, 0.5))
    heavy, waited, unknown = stack_groups([first, second])
    assert (heavy.count, heavy.longest_s) == (5, 0.5)
    assert (heavy.trial, heavy.at_s) == (2, 0.0)
    assert [(trial, round(at_s, 1)) for trial, at_s in heavy.begins] == [
        (1, 0.0), (1, 3.3), (1, 6.7), (2, 0.0), (2, 5.0),
    ]  # fmt: skip
    assert heavy.total_s == pytest.approx(1.6)
    assert heavy.share == pytest.approx(0.8)
    assert heavy.place is not None
    assert heavy.place.short == "movies.py, line 38, in look_up_blocking"
    assert [one.application for one in heavy.frames] == [True, True, False, False]
    assert len(heavy.frames) == len(SLEEPING)
    assert (waited.waited, heavy.waited) == (True, False)
    assert (unknown.place, unknown.frames) == (None, ())


def test_no_stall_no_stack():
    assert stack_groups([Gauges(0.5, ())]) == ()
