"""Shares of failed requests: against scipy, and where nothing failed."""

from math import inf

import pytest
from scipy import stats

from control_plane.analysis.deciding.critical_values import student
from control_plane.analysis.deciding.effects import Interval
from control_plane.analysis.deciding.error_shares import (
    FailedShare,
    design_effect,
    share_difference,
    share_interval,
    wilson,
    zero_bound,
)


@pytest.mark.parametrize(("failed", "requests"), [(0, 10), (3, 1_000), (10, 10), (500, 1_000)])
@pytest.mark.parametrize("level", [0.05, 0.1])
def test_the_score_interval_is_that_of_scipy(failed: int, requests: int, level: float) -> None:
    wanted = stats.binomtest(failed, requests).proportion_ci(1 - level, method="wilson")
    found = wilson(failed, requests, student(level, inf))
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-9)


def test_nothing_failed() -> None:
    assert zero_bound(3_000) == pytest.approx(1e-3, rel=0.01)
    alike = FailedShare((0, 0), (1_500, 1_500))
    assert share_interval(alike) == Interval(0, zero_bound(3_000))
    assert share_interval(alike, earlier=4) == Interval(0, zero_bound(750))
    other = FailedShare((0,), (100,))
    assert share_difference(alike, other) == Interval(-zero_bound(3_000), zero_bound(100))
    assert share_interval(FailedShare((), ())) == Interval(0, 1)


def test_trials_that_vary_more_than_chance_widen_it() -> None:
    steady, jumping = FailedShare((10,) * 4, (1_000,) * 4), FailedShare((0, 0, 0, 40), (1_000,) * 4)
    assert design_effect(steady) == 1
    assert design_effect(jumping) > 20
    widths = [share_interval(share).high - share_interval(share).low for share in (steady, jumping)]
    assert widths[1] > 3 * widths[0]


def test_a_difference_is_known_as_far_as_both_sides_are() -> None:
    few, many = FailedShare((5,) * 4, (1_000,) * 4), FailedShare((50,) * 4, (1_000,) * 4)
    found = share_difference(few, many)
    assert found.low > 0.03
    assert found.holds(0.045)
    back = share_difference(many, few)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
