"""Effects: how a contender differs from the baseline, with one estimate and one standard error.

The unit is the trial. `values` are ln(metric), shape (arms, blocks); row 0 is the baseline, and NaN
stands where a block lacks the trial of an arm. An effect is a difference of means over blocks,
told as a ratio: the geometric mean of the ratios of the blocks. `places` have the shape of the
values: at which place of its block each trial stood, for a linear term where arms did not stand at
all places equally often; its effect is that at the same place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isfinite, log, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from control_plane.analysis.deciding.critical_values import dunnett, largest_spread, student

IntervalMethod = Literal["paired", "moderated", "dunnett", "bonferroni", "sessions"]

LEAST_BLOCKS = 3
"""Fewer complete blocks give no interval."""

_FAR_APART = log(3)

_RESOLUTION = 0.001
"""Metrics are told no finer than this share of themselves: the width of a bucket of a histogram."""
LEAST_VARIANCE = 2 * _RESOLUTION**2 / 12
"""That of the difference of two numbers that are as fine as that, alike as they may look."""
_FORESEEN = 0.99


@dataclass(frozen=True)
class Interval:
    """A ratio of contender to baseline that is known to lie between `low` and `high`."""

    low: float
    high: float

    def within(self, low: float, high: float) -> bool:
        """Return whether it lies wholly between two bounds."""
        return low <= self.low and self.high <= high

    def holds(self, value: float) -> bool:
        """Return whether a value may be the true one."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Effect:
    """How far a contender lies from the baseline: `log_ratio` with its `standard_error`.

    `family`: of so many contenders intervals hold at once. `blocks`: how many had both.
    """

    log_ratio: float
    standard_error: float
    df: float
    blocks: int
    method: IntervalMethod
    family: int = 1

    @property
    def ratio(self) -> float:
        """Contender over baseline."""
        return exp(self.log_ratio)

    def reach(self, level: float) -> float:
        """Return how far an interval of its logarithm reaches to either side."""
        if not self.standard_error:
            return 0.0
        if self.method in {"bonferroni", "sessions"}:
            return student(level / self.family, self.df) * self.standard_error
        return dunnett(self.family, self.df, level) * self.standard_error

    def interval(self, level: float) -> Interval:
        """Return the interval that misses the true ratio with the probability `level`.

        Where it is one of a family: that any of theirs does.
        """
        half = self.reach(level)
        return Interval(_exp(self.log_ratio - half), _exp(self.log_ratio + half))


def _exp(value: float) -> float:
    return exp(min(value, 700.0))


@dataclass(frozen=True)
class VariancePrior:
    """What earlier sessions say of the variance of a block's log-ratio, with its weight in `df`."""

    variance: float
    df: float


def paired_effect(
    baseline: NDArray[np.float64],
    contender: NDArray[np.float64],
    prior: VariancePrior | None = None,
    apart: NDArray[np.float64] | None = None,
) -> Effect | None:
    """Return the effect over blocks that have both; shapes (blocks,). None with fewer than 3.

    The variance is moderated by the prior, whose weight is at most twice that of the blocks, unless
    that makes this variance one of a hundred. `apart`: by how many places the contender stood
    behind the baseline.
    """
    ratios = contender - baseline
    known = np.isfinite(ratios)
    ratios = ratios[known]
    blocks = len(ratios)
    if blocks < LEAST_BLOCKS:
        return None
    line = None if apart is None else _line(apart[known], ratios)
    df, variance = blocks - 1, max(float(ratios.var(ddof=1)), LEAST_VARIANCE)
    mean, scale = float(ratios.mean()), 1 / blocks
    if line is not None:
        mean, scale, df = line.at_same_place, line.scale, blocks - 2
        variance = max(line.variance, LEAST_VARIANCE)
    method: IntervalMethod = "paired"
    total = float(df)
    if prior is not None:
        weight = min(prior.df, 2.0 * df)
        if variance <= prior.variance * largest_ratio(df, weight):
            variance = (weight * prior.variance + df * variance) / (weight + df)
            method, total = "moderated", weight + df
    return Effect(mean, sqrt(variance * scale), total, blocks, method)


@dataclass(frozen=True)
class _Line:
    """Ratios over how far apart the sides stood: where that is 0, and the variance around it.

    `scale` is the variance of the former for a variance of 1.
    """

    at_same_place: float
    scale: float
    variance: float


_LEAST_DF = 3
"""A linear term takes a degree of freedom, which fewer cannot spare."""


def _line(apart: NDArray[np.float64], ratios: NDArray[np.float64]) -> _Line | None:
    """Return the line through ratios; None where it costs too much, or nothing tells its slope."""
    df, off = len(ratios) - 2, apart - apart.mean()
    spread = float(off @ off)
    if df < _LEAST_DF or spread < 1e-9 or abs(apart.mean()) < 1e-9:
        return None
    slope = float(off @ ratios) / spread
    left = ratios - ratios.mean() - slope * off
    middle = float(apart.mean())
    scale = 1 / len(ratios) + middle**2 / spread
    return _Line(float(ratios.mean()) - slope * middle, scale, float(left @ left) / df)


def largest_ratio(df: float, prior_df: float) -> float:
    """Return the ratio of a variance to its prior that is exceeded once in a hundred times."""
    from scipy.special import fdtri

    return float(fdtri(df, prior_df, _FORESEEN))


def contender_effects(
    values: NDArray[np.float64],
    prior: VariancePrior | None = None,
    *,
    control: bool = False,
    family: int | None = None,
    places: NDArray[np.float64] | None = None,
) -> tuple[Effect | None, ...]:
    """Return the effect of each row after the first, the baseline's; None with under 3 blocks.

    Shape (arms, blocks). One contender is paired with the baseline. Several share one variance,
    that of an additive model of arm and block, and hold at once (Dunnett); where their variances
    are unlike, or an arm is more than three times another, each has its own, at a level that is
    shared out (Bonferroni). `control`: the last row is the baseline once more, which adds to the
    variance and is no contender; its effect is the last one, of its own pairs. `family`: so many
    contenders were declared, of which some may lack numbers.
    """
    arms = len(values) - control
    count = family or arms - 1
    apart = [None] * len(values) if places is None else list(places - places[0])
    paired = [
        paired_effect(values[0], row, prior, off)
        for row, off in zip(values[1:], apart[1:], strict=True)
    ]
    if count == 1:
        return tuple(paired)
    fitted = _fit(values, places) if arms > 2 and all(paired[: arms - 1]) else None
    if fitted is None or _unlike(values, fitted.residuals):
        alone = [
            paired_effect(values[0], row, None, off)
            for row, off in zip(values[1:arms], apart[1:arms], strict=True)
        ]
        effects = tuple(effect and _shared_out(effect, count) for effect in alone)
    else:
        effects = tuple(fitted.effect(row, count) for row in range(1, arms))
    return (*effects, *paired[arms - 1 :])


def _shared_out(effect: Effect, family: int) -> Effect:
    return Effect(
        effect.log_ratio, effect.standard_error, effect.df, effect.blocks, "bonferroni", family
    )


@dataclass(frozen=True)
class _Fit:
    """An additive model: effects of the arms against the baseline, and what it leaves over.

    `scales` are the variances of the effects for a variance of 1; `residuals` have the shape of
    the values, NaN where they have.
    """

    effects: NDArray[np.float64]
    scales: NDArray[np.float64]
    variance: float
    df: int
    residuals: NDArray[np.float64]

    def effect(self, row: int, family: int) -> Effect:
        variance = max(self.variance, LEAST_VARIANCE / 2)
        error = sqrt(variance * float(self.scales[row - 1]))
        both = np.isfinite(self.residuals[0]) & np.isfinite(self.residuals[row])
        mean = float(self.effects[row - 1])
        return Effect(mean, error, self.df, int(both.sum()), "dunnett", family)


def _fit(values: NDArray[np.float64], places: NDArray[np.float64] | None = None) -> _Fit | None:
    """Fit arm, block and place by least squares; None where no degree of freedom is left."""
    arms, blocks = values.shape
    if places is None and np.isfinite(values).all():
        return _fit_of_all(values)
    arm, block = np.nonzero(np.isfinite(values))
    model = np.zeros((len(arm), arms - 1 + blocks))
    rows = np.arange(len(arm))
    model[rows[arm > 0], arm[arm > 0] - 1] = 1
    model[rows, arms - 1 + block] = 1
    used = model[:, model.any(axis=0)]
    if places is not None:
        wider = np.column_stack((used, places[arm, block]))
        # Where place is told by arm and block already, nothing is known of it.
        more = np.linalg.matrix_rank(wider) > np.linalg.matrix_rank(used)
        used = wider if more and len(arm) - wider.shape[1] >= _LEAST_DF else used
    observed = values[arm, block]
    solution, _, rank, _ = np.linalg.lstsq(used, observed, rcond=None)
    df = len(observed) - int(rank)
    if df < 1:
        return None
    left = observed - used @ solution
    residuals = np.full_like(values, np.nan)
    residuals[arm, block] = left
    covariance = np.linalg.pinv(used.T @ used)[: arms - 1, : arms - 1]
    effects = np.asarray(solution[: arms - 1], np.float64)
    return _Fit(effects, covariance.diagonal(), float(left @ left) / df, df, residuals)


def _fit_of_all(values: NDArray[np.float64]) -> _Fit:
    """Fit blocks that lack nothing, where means are all that is needed."""
    arms, blocks = values.shape
    of_arm = values.mean(axis=1)
    residuals = values - of_arm[:, None] - values.mean(axis=0) + values.mean()
    df = (arms - 1) * (blocks - 1)
    scales = np.full(arms - 1, 2 / blocks)
    return _Fit(of_arm[1:] - of_arm[0], scales, float((residuals**2).sum()) / df, df, residuals)


def _unlike(values: NDArray[np.float64], residuals: NDArray[np.float64]) -> bool:
    """Return whether the arms cannot share a variance, or lie more than three times apart."""
    means = np.nanmean(values, axis=1)
    if float(means.max() - means.min()) > _FAR_APART:
        return True
    spread = np.nanmean(residuals**2, axis=1)
    blocks = int(np.isfinite(residuals).all(axis=0).sum())
    least = float(spread.min())
    return least <= 0 or float(spread.max()) / least > largest_spread(len(values), blocks)


def block_variance(values: NDArray[np.float64]) -> tuple[float, float] | None:
    """Return the variance of a block's log-ratio of two arms, with its degrees of freedom.

    Shape (arms, blocks); None with fewer than two arms or three blocks.
    """
    arms, blocks = values.shape
    fitted = _fit(values) if arms > 1 and blocks >= LEAST_BLOCKS else None
    return None if fitted is None else (2 * fitted.variance, float(fitted.df))


def mean_interval(values: NDArray[np.float64], level: float) -> tuple[float, Interval] | None:
    """Return the geometric mean of a metric over trials, with its interval; None with under 3.

    `values` are ln(metric), shape (trials,).
    """
    known = values[np.isfinite(values)]
    if len(known) < LEAST_BLOCKS or not level:
        return None
    variance = max(float(known.var(ddof=1)), LEAST_VARIANCE / 2)
    half = student(level, len(known) - 1) * sqrt(variance / len(known))
    mean = float(known.mean())
    return _exp(mean), Interval(_exp(mean - half), _exp(mean + half))


def session_effect(
    baseline: Sequence[float], contender: Sequence[float], family: int = 1
) -> Effect | None:
    """Return the effect of runs that were not interleaved, by Welch's t over sessions.

    One ln(metric) for each session, in their order, three at least on each side; None with fewer.
    Of the side that has more the newest count: Welch's t errs too often where few meet many. The
    level is shared out among a `family` of contenders.
    """
    sessions = min(len(baseline), len(contender))
    if sessions < LEAST_BLOCKS:
        return None
    sides = (np.array(baseline[-sessions:]), np.array(contender[-sessions:]))
    mean = float(sides[1].mean() - sides[0].mean())
    parts = [max(float(side.var(ddof=1)), LEAST_VARIANCE / 2) / sessions for side in sides]
    total = sum(parts)
    df = total**2 * (sessions - 1) / sum(part**2 for part in parts)
    return Effect(mean, sqrt(total), df, sessions, "sessions", family)


def geometric_mean(values: Sequence[float | None]) -> float | None:
    """Return the geometric mean of a metric over blocks, without those that an arm lacks (NaN).

    None where a trial has no number, or none is above 0.
    """
    known = [log(x) for x in values if x is not None and isfinite(x) and x > 0]
    return exp(sum(known) / len(known)) if known and None not in values else None


def log_values(rows: Sequence[Sequence[float | None]]) -> NDArray[np.float64]:
    """Return ln of metrics, shape (arms, blocks); NaN where a value is missing or not above 0."""
    return np.array(
        [
            [log(x) if x is not None and isfinite(x) and x > 0 else np.nan for x in row]
            for row in rows
        ]
    )
