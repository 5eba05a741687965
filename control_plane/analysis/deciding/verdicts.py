"""Verdicts: what may be said of an effect, from its intervals alone, and of shares of errors.

A margin of 0.03 stands for a difference that nobody cares about: a ratio between 1/1.03 and 1.03.
A share of requests that failed has no ratio, since it may be 0: differences are in shares, 0.001 is
0.1 percentage points.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf, log1p, sqrt
from typing import Literal

from control_plane.analysis.deciding.critical_values import level_at, level_at_stop, student
from control_plane.analysis.deciding.effects import LEAST_BLOCKS, Effect, Interval
from control_plane.domain.experiment import FIRST_LOOK, FIRST_STOP
from control_plane.domain.metrics_and_objectives import (
    DEFAULT_MARGIN,
    Metric,
    ObjectiveOutcome,
    Prediction,
)

VerdictName = Literal[
    "better",
    "worse",
    "small_but_real",
    "equivalent",
    "likely_better",
    "likely_worse",
    "inconclusive",
    "no_verdict",
]
NoVerdictReason = Literal[
    "machine_moved",
    "control_gone",
    "changed_in_pause",
    "not_interleaved",
    "invalid_side",
    "failed_side",
    "deleted_side",
    "no_number",
    "too_few_blocks",
    "not_precise",
]
GuardrailOutcome = Literal["held", "broken", "undecided"]
PredictionOutcome = Literal["as predicted", "contradicted", "undecided"]


@dataclass(frozen=True)
class LookLevels:
    """How often the "95 %" and the "90 %" interval of a look may miss, all looks taken together."""

    for_95: float
    for_90: float


FIXED = LookLevels(0.05, 0.10)
"""Where is looked once."""
NO_LOOK = LookLevels(0.0, 0.0)
"""Where nothing may be said yet."""


def levels_of_look(blocks: int, maximum: int) -> LookLevels:
    """Return the levels of the look after `blocks` blocks where it is looked after each of them."""
    looked = min(blocks, maximum)
    return LookLevels(
        level_at(looked, maximum, FIRST_LOOK, FIXED.for_95),
        level_at(looked, maximum, FIRST_LOOK, FIXED.for_90),
    )


def levels_at_stop(maximum: int) -> LookLevels:
    """Return the levels of the only look of an experiment that stops where it is precise."""
    return LookLevels(level_at_stop(maximum, FIXED.for_95), level_at_stop(maximum, FIXED.for_90))


def precise(
    effects: Sequence[Effect | None], blocks: int, margin: float, levels: LookLevels
) -> bool:
    """Return whether intervals reach no further than half the margin to either side."""
    known = [effect for effect in effects if effect is not None]
    reached = (effect.reach(levels.for_95) <= log1p(margin) / 2 for effect in known)
    return blocks >= FIRST_STOP and bool(known) and all(reached)


@dataclass(frozen=True)
class Verdict:
    """What is found, with the intervals that say so; `more_blocks` would settle what is open.

    `effect` and the intervals are None where there is no interval, and `reason` says why.
    """

    finding: VerdictName
    effect: Effect | None = None
    within_95: Interval | None = None
    within_90: Interval | None = None
    reason: NoVerdictReason | None = None
    more_blocks: int | None = None


def decide(
    effect: Effect | None,
    *,
    less_is_better: bool,
    margin: float = DEFAULT_MARGIN,
    levels: LookLevels = FIXED,
    foresees: bool = True,
) -> Verdict:
    """Return the verdict of an effect; where it is open and `foresees`, also what would settle it.

    No verdict without an effect, or at a look at which nothing can be spent yet.
    """
    if effect is None or not levels.for_95:
        return Verdict("no_verdict", effect, reason="too_few_blocks")
    within_95, within_90 = effect.interval(levels.for_95), effect.interval(levels.for_90)
    finding = _finding(effect, within_95, within_90, margin, less_is_better=less_is_better)
    told = foresees and finding in _OPEN and within_95.high < _WIDE * within_95.low
    more = _more_blocks(effect, margin) if told else None
    return Verdict(finding, effect, within_95, within_90, more_blocks=more)


_OPEN: frozenset[VerdictName] = frozenset({"likely_better", "likely_worse", "inconclusive"})
_MOST_BLOCKS = 1_000
_WIDE = 10.0
"""From so wide an interval, high over low, nothing is foreseen."""


def _finding(
    effect: Effect, within_95: Interval, within_90: Interval, margin: float, *, less_is_better: bool
) -> VerdictName:
    low, high = 1 / (1 + margin), 1 + margin
    differs = not within_95.holds(1.0)
    if within_90.within(low, high):
        return "small_but_real" if differs else "equivalent"
    better = (effect.log_ratio < 0) == less_is_better
    if within_95.high < low or within_95.low > high:
        return "better" if better else "worse"
    if differs:
        return "likely_better" if better else "likely_worse"
    return "inconclusive"


def _more_blocks(effect: Effect, margin: float) -> int | None:
    """Return how many more blocks settle it, if effect and spread stay; None where 1,000 do not.

    Settled: wholly within the margin, or wholly beyond it.
    """
    spread = effect.standard_error * effect.blocks**0.5
    distance, bound = abs(effect.log_ratio), log1p(margin)

    def settled(blocks: int) -> bool:
        df = effect.df * (blocks - 1) / (effect.blocks - 1)
        grown = replace(effect, standard_error=spread / blocks**0.5, df=df, blocks=blocks)
        reach_90, reach_95 = grown.reach(FIXED.for_90), grown.reach(FIXED.for_95)
        return distance + reach_90 <= bound or distance - reach_95 > bound

    candidates = range(effect.blocks + 1, _MOST_BLOCKS + 1)
    first = bisect_left(candidates, x=True, key=settled)
    return candidates[first] - effect.blocks if first < len(candidates) else None


def withheld(verdict: Verdict, reason: NoVerdictReason) -> Verdict:
    """Return the verdict without its finding, whose numbers stay."""
    return replace(verdict, finding="no_verdict", reason=reason, more_blocks=None)


CONTROL_LEVEL = 0.01
"""How often the interval of a negative control may miss."""


def machine_moved(control: Effect | None, margin: float = DEFAULT_MARGIN) -> bool:
    """Return whether the baseline differs from itself, at 99 % and by more than the margin."""
    if control is None:
        return False
    beyond = not 1 / (1 + margin) <= control.ratio <= 1 + margin
    return beyond and not control.interval(CONTROL_LEVEL).holds(1.0)


def guard(
    effect: Effect | None, margin: float, *, less_is_better: bool, levels: LookLevels = FIXED
) -> GuardrailOutcome:
    """Return whether a metric got worse by more than its margin, one-sided at 95 %."""
    if effect is None or not levels.for_90:
        return "undecided"
    interval = effect.interval(levels.for_90)
    worst, best = (
        (interval.high, interval.low)
        if less_is_better
        else (1 / interval.low if interval.low else float("inf"), 1 / interval.high)
    )
    if worst <= 1 + margin:
        return "held"
    return "broken" if best > 1 + margin else "undecided"


def judge_objective(
    interval: Interval | None, *, at_most: float | None = None, at_least: float | None = None
) -> ObjectiveOutcome:
    """Return whether a value, known to lie in an interval, meets its bounds."""
    if interval is None:
        return "undecided"
    low = at_least if at_least is not None else float("-inf")
    high = at_most if at_most is not None else float("inf")
    if interval.within(low, high):
        return "passed"
    return "failed" if interval.low > high or interval.high < low else "undecided"


ABOUT = 1.25
"""What is expected to be about a number may be a quarter above it, or as many times below."""


def predicted_range(prediction: Prediction, metric: Metric, margin: float) -> tuple[float, float]:
    """Return the range within which a ratio or value is as predicted."""
    if prediction.about is not None:
        return prediction.about / ABOUT, prediction.about * ABOUT
    if prediction.word is None:
        return prediction.low or 0.0, inf if prediction.high is None else prediction.high
    if prediction.word == "the same":
        return 1 / (1 + margin), 1 + margin
    less = (prediction.word in {"better", "faster"}) == bool(metric.less_is_better)
    return (0.0, 1 / (1 + margin)) if less else (1 + margin, inf)


def judge_prediction(
    interval: Interval | None, blocks: int, *, low: float, high: float
) -> PredictionOutcome:
    """Return whether a range that was written down before holds; never with fewer than 4 blocks."""
    if interval is None or blocks <= LEAST_BLOCKS:
        return "undecided"
    if interval.within(low, high):
        return "as predicted"
    return "contradicted" if interval.low > high or interval.high < low else "undecided"


@dataclass(frozen=True)
class FailedShare:
    """How many requests of each trial failed, of how many."""

    failed: tuple[int, ...]
    requests: tuple[int, ...]

    @property
    def share(self) -> float:
        """The share of all of them; 0 of none."""
        total = sum(self.requests)
        return sum(self.failed) / total if total else 0.0


def wilson(failed: float, requests: float, z: float) -> Interval:
    """Return the score interval of a share (E. B. Wilson, 1927); `z`: standard errors to a side."""
    share = failed / requests
    middle = (share + z * z / (2 * requests)) / (1 + z * z / requests)
    half = (
        z
        / (1 + z * z / requests)
        * sqrt(share * (1 - share) / requests + z * z / (4 * requests**2))
    )
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def zero_bound(requests: float, level: float = 0.05) -> float:
    """Return the largest share that no failure of so many is likely to hide: 1 − level^(1/n).

    It holds for failures that are independent of each other alone.
    """
    return 1 - level ** (1 / requests) if requests else 1.0


def design_effect(trials: FailedShare) -> float:
    """Return how much more the shares of trials vary than chance alone makes them; 1 at least."""
    share, count = trials.share, len(trials.requests)
    if count < 2 or not 0 < share < 1:
        return 1.0
    expected = [(1 - share) * share * requests for requests in trials.requests]
    squares = [
        (failed - share * requests) ** 2 / variance
        for failed, requests, variance in zip(trials.failed, trials.requests, expected, strict=True)
        if variance
    ]
    return max(1.0, sum(squares) / (count - 1))


def share_interval(trials: FailedShare, level: float = 0.05, earlier: float = 1.0) -> Interval:
    """Return what the true share may be: a score interval, widened by the variance between trials.

    `earlier`: the design effect of earlier runs of the spec, where this one had no failure.
    """
    requests = sum(trials.requests)
    if not requests:
        return Interval(0.0, 1.0)
    if not sum(trials.failed):
        return Interval(0.0, zero_bound(requests / earlier, level))
    effect = design_effect(trials)
    # Where trials vary by more than chance, as many degrees of freedom as trials say by how much.
    reach = student(level, inf if effect == 1 else len(trials.requests) - 1)
    return wilson(sum(trials.failed) / effect, requests / effect, reach)


def share_difference(
    baseline: FailedShare, contender: FailedShare, level: float = 0.05
) -> Interval:
    """Return the difference of contender and baseline, in shares.

    From the score intervals of both (R. G. Newcombe, 1998, method 10). Where neither failed: from
    minus the bound of the baseline to that of the contender.
    """
    first, second = share_interval(baseline, level), share_interval(contender, level)
    if not sum(baseline.failed) and not sum(contender.failed):
        return Interval(-first.high, second.high)
    difference = contender.share - baseline.share
    below = sqrt((contender.share - second.low) ** 2 + (first.high - baseline.share) ** 2)
    above = sqrt((second.high - contender.share) ** 2 + (baseline.share - first.low) ** 2)
    return Interval(difference - below, difference + above)


Gaps = tuple[Interval, Interval]
"""How much more often a contender fails, as 95 % and as 90 % intervals."""


def share_gaps(
    baseline: FailedShare, contender: FailedShare, levels: LookLevels, family: int
) -> Gaps | None:
    """Return how much more often one of `family` contenders fails, at the levels of a look.

    None at a look that can say nothing yet.
    """
    if not levels.for_95:
        return None
    return (
        share_difference(baseline, contender, levels.for_95 / family),
        share_difference(baseline, contender, levels.for_90 / family),
    )


def guard_errors(gaps: Gaps | None, margin: float) -> GuardrailOutcome:
    """Return whether a contender fails more often by more than the margin, one-sided at 95 %."""
    if gaps is None:
        return "undecided"
    if gaps[1].high <= margin:
        return "held"
    return "broken" if gaps[1].low > margin else "undecided"
