"""Shares of requests that failed: how far they are known, and how two of them differ.

A share has no ratio, since it may be 0. Differences are in shares: 0.001 is 0.1 percentage points.
"""

from dataclasses import dataclass
from math import inf, sqrt

from control_plane.analysis.deciding.critical_values import student
from control_plane.analysis.deciding.effects import Interval
from control_plane.analysis.deciding.verdicts import GuardrailOutcome, LookLevels


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
