"""What is said of an effect: a table of the rules, and the looks of a sequence."""

from math import inf, log

import pytest
import scipy

from control_plane.analysis.deciding.critical_values import student
from control_plane.analysis.deciding.effects import Effect, Interval
from control_plane.analysis.deciding.verdicts import (
    FIXED,
    FailedShare,
    LookLevels,
    decide,
    design_effect,
    guard,
    judge_objective,
    judge_prediction,
    levels_at_stop,
    levels_of_look,
    machine_moved,
    precise,
    share_difference,
    share_interval,
    wilson,
    withheld,
    zero_bound,
)
from control_plane.analysis.prose.experiment_sentences import ratio_with_interval


def effect(ratio: float, error: float, blocks: int = 10) -> Effect:
    return Effect(log(ratio), error, blocks - 1, blocks, "paired")


@pytest.mark.parametrize(
    ("ratio", "error", "finding"),
    [
        (1.20, 0.010, "worse"),
        (0.80, 0.010, "better"),
        (1.00, 0.010, "equivalent"),
        (1.01, 0.002, "small_but_real"),
        (1.05, 0.015, "likely_worse"),
        (0.95, 0.015, "likely_better"),
        (1.02, 0.020, "inconclusive"),
        (1.50, 0.500, "inconclusive"),
    ],
)
def test_the_rules_in_their_order(ratio: float, error: float, finding: str) -> None:
    found = decide(effect(ratio, error), less_is_better=True)
    assert found.finding == finding
    turned = {"better": "worse", "worse": "better"}
    other = decide(effect(ratio, error), less_is_better=False).finding
    head, _, tail = finding.rpartition("_")
    assert other == "_".join(filter(None, (head, turned.get(tail, tail))))


def test_how_many_more_blocks_would_settle_it() -> None:
    open_ones = decide(effect(1.06, 0.03), less_is_better=True)
    assert open_ones.finding == "inconclusive"
    assert open_ones.more_blocks is not None
    settled = effect(1.06, 0.03 * (10 / (10 + open_ones.more_blocks)) ** 0.5,
                     10 + open_ones.more_blocks)  # fmt: skip
    assert decide(settled, less_is_better=True).finding == "worse"
    assert decide(effect(1.2, 0.01), less_is_better=True).more_blocks is None
    # A difference that lies on the margin is never settled.
    assert decide(effect(1.03, 0.02), less_is_better=True).more_blocks is None


def test_no_effect_and_no_look_give_no_verdict() -> None:
    assert decide(None, less_is_better=True).reason == "too_few_blocks"
    assert (
        decide(effect(2, 0.01), less_is_better=True, levels=LookLevels(0, 0)).finding
        == "no_verdict"
    )


def test_looks_are_stricter_before_the_last() -> None:
    seen = effect(1.05, 0.008)
    assert decide(seen, less_is_better=True).finding == "worse"
    early = decide(seen, less_is_better=True, levels=levels_of_look(4, 10))
    assert early.finding == "likely_worse"
    assert decide(seen, less_is_better=True, levels=levels_of_look(3, 10)).finding == "inconclusive"
    assert levels_of_look(2, 10) == LookLevels(0, 0)
    last = levels_of_look(10, 10)
    assert 0.02 < last.for_95 < FIXED.for_95
    assert 0.04 < last.for_90 < FIXED.for_90


def test_an_experiment_stops_where_its_intervals_are_narrow() -> None:
    levels = levels_at_stop(20)
    assert 0.01 < levels.for_95 < FIXED.for_95
    assert 0.02 < levels.for_90 < FIXED.for_90
    narrow, wide = effect(1.2, 0.004, 8), effect(1.2, 0.01, 8)
    assert precise([narrow, narrow], 8, 0.03, levels)
    assert not precise([narrow, wide], 8, 0.03, levels)
    assert not precise([narrow], 5, 0.03, levels)
    assert not precise([None], 8, 0.03, levels)


def test_a_verdict_that_is_withheld_keeps_its_numbers() -> None:
    found = withheld(decide(effect(1.2, 0.01), less_is_better=True), "machine_moved")
    assert (found.finding, found.reason) == ("no_verdict", "machine_moved")
    assert found.within_95 is not None


@pytest.mark.parametrize(
    ("control", "moved"),
    [(effect(1.10, 0.01), True), (effect(1.02, 0.001), False), (effect(1.10, 0.05), False),
     (None, False)],
)  # fmt: skip
def test_a_machine_that_moved(control: Effect | None, moved: bool) -> None:
    assert machine_moved(control) is moved


@pytest.mark.parametrize(
    ("ratio", "error", "found"),
    [(1.0, 0.01, "held"), (1.3, 0.02, "broken"), (1.1, 0.02, "undecided"), (0.7, 0.02, "held")],
)
def test_guardrails_are_one_sided(ratio: float, error: float, found: str) -> None:
    assert guard(effect(ratio, error), 0.10, less_is_better=True) == found
    assert guard(effect(1 / ratio, error), 0.10, less_is_better=False) == found
    assert guard(None, 0.10, less_is_better=True) == "undecided"


def test_objectives() -> None:
    interval = Interval(0.040, 0.048)
    assert judge_objective(interval, at_most=0.05) == "passed"
    assert judge_objective(interval, at_most=0.045) == "undecided"
    assert judge_objective(interval, at_least=0.05) == "failed"
    assert judge_objective(None, at_most=1) == "undecided"


def test_predictions_are_ranges() -> None:
    interval = Interval(2.6, 3.1)
    assert judge_prediction(interval, 4, low=2.4, high=3.75) == "as predicted"
    assert judge_prediction(interval, 4, low=1.6, high=2.5) == "contradicted"
    assert judge_prediction(interval, 4, low=3, high=4) == "undecided"
    assert judge_prediction(interval, 3, low=2.4, high=3.75) == "undecided"


@pytest.mark.parametrize(("failed", "requests"), [(0, 10), (3, 1_000), (10, 10), (500, 1_000)])
@pytest.mark.parametrize("level", [0.05, 0.1])
def test_the_score_interval_is_that_of_scipy(failed: int, requests: int, level: float) -> None:
    wanted = scipy.stats.binomtest(failed, requests).proportion_ci(1 - level, method="wilson")
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


@pytest.mark.parametrize(
    ("ratio", "interval", "told"),
    [
        (0.5, Interval(0.4, 0.625), "÷2.00 [1.60, 2.50]"),
        (0.585, Interval(0.237, 1.45), "÷1.71 [÷4.22, ×1.45]"),
        (1.28, Interval(0.5, 3.2), "×1.28 [0.500, 3.20]"),
        (0.9999, Interval(0.98, 1.02), "×1.00 [0.980, 1.02]"),
        (0.9976, Interval(0.98, 1.02), "×1.00 [0.980, 1.02]"),
        (0.5, Interval(0.0, 2.0), "×0.500 [too wide]"),
    ],
)
def test_a_ratio_below_one_is_turned_wherever_its_interval_lies(ratio, interval, told):
    assert " ".join(ratio_with_interval(ratio, interval)) == told
