"""Critical values: how many standard errors an interval reaches to either side.

All of them are deterministic: sums over fixed nodes, solved for by Brent's method. scipy is
imported where something is computed, so that nobody waits for it who decides nothing.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isinf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TABLES = Path(__file__).with_name("simulated.json")
"""What was simulated before, by bench/decision_tables.py: nobody waits for that."""

_NORMAL_REACH = 9.0
_SPARED = 1e-8
"""What lies beyond the nodes of the scale, as a share of the level that is looked for."""


def student(level: float, df: float) -> float:
    """Return the two-sided critical value of Student's t; infinite at level 0."""
    from scipy.special import stdtrit

    return -float(stdtrit(df, level / 2)) if level > 0 else inf


@lru_cache(maxsize=1_000)
def dunnett(contenders: int, df: float, level: float, fineness: int = 1) -> float:
    """Return the two-sided critical value of several comparisons with one baseline.

    With the probability `level` at least one of `contenders` statistics of Student's t, whose
    correlations are ½, lies further from 0 (C. W. Dunnett, 1955). `df` are the degrees of freedom
    of their common variance; infinite where it is known. `fineness` divides the steps.
    """
    if contenders == 1 or level <= 0:
        return student(level, df)
    from scipy.optimize import brentq

    nodes = _nodes(df, level, fineness)
    # One comparison alone is exceeded less often, and the sum of all of them more often.
    low, high = student(level, df), student(level / contenders, df)
    return float(brentq(lambda value: _exceeded(value, contenders, nodes) - level, low, high))


@dataclass(frozen=True)
class _Nodes:
    """Nodes and weights of the baseline's error, shape (1, n), and of the scale, shape (m, 1)."""

    errors: NDArray[np.float64]
    error_weights: NDArray[np.float64]
    scales: NDArray[np.float64]
    scale_weights: NDArray[np.float64]


def _nodes(df: float, level: float, fineness: int) -> _Nodes:
    """Return what the sums run over: equal steps, which converge fast where both ends vanish."""
    step = 0.15 / fineness
    errors = np.arange(-_NORMAL_REACH, _NORMAL_REACH + step, step)
    error_weights = np.exp(-(errors**2) / 2) * step / sqrt(2 * np.pi)
    scales, scale_weights = _scale_nodes(df, level, fineness)
    return _Nodes(errors[None, :], error_weights[None, :], scales[:, None], scale_weights[:, None])


def _scale_nodes(
    df: float, level: float, fineness: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return estimates of a standard deviation of 1 with weights, in steps of the logarithm."""
    if isinf(df):
        return np.ones(1), np.ones(1)
    from scipy.special import chdtri, gammaincinv, gammaln

    beyond = level * _SPARED
    lowest, highest = 2 * float(gammaincinv(df / 2, beyond)), float(chdtri(df, beyond))
    low, high = (np.log(chi2 / df) / 2 for chi2 in (lowest, highest))
    step = 0.3 / sqrt(2 * df) / fineness
    logs = np.linspace(low, high, max(3, round((high - low) / step)))
    density = df * logs - df / 2 * np.exp(2 * logs)
    scaled = density + df / 2 * np.log(df / 2) - gammaln(df / 2) + np.log(2)
    return np.exp(logs), np.exp(scaled) * (logs[1] - logs[0])


def _exceeded(value: float, contenders: int, nodes: _Nodes) -> float:
    """Return the probability that at least one of the contenders lies beyond `value`."""
    from scipy.special import ndtr

    reach = sqrt(2) * value * nodes.scales
    outside = ndtr(-(reach + nodes.errors)) + ndtr(nodes.errors - reach)
    with np.errstate(divide="ignore"):
        any_outside = -np.expm1(contenders * np.log1p(-outside))
    return float((any_outside * nodes.error_weights * nodes.scale_weights).sum())


_GRID = 401


@lru_cache(maxsize=200)
def nominal_levels(looks: tuple[float, ...], alpha: float) -> tuple[float, ...]:
    """Return the two-sided level that each look may use, where all together may err `alpha` often.

    `looks` are the shares of the declared maximum at which is looked, ascending, at most 1. Spent
    is as O'Brien and Fleming's boundary does (K. K. G. Lan and D. L. DeMets, "Discrete sequential
    boundaries for clinical trials", 1983), half on either side; the levels follow by numerical
    integration (P. Armitage, C. K. McPherson, B. C. Rowe, 1969). 0 where nothing can be spent yet.
    """
    from scipy.special import ndtr

    spent = [alpha_spent(share, alpha) for share in looks]
    walk, before, levels = _Walk.started(), 0.0, []
    for share, until_now in zip(looks, spent, strict=True):
        bound = walk.bound(share, until_now - before)
        levels.append(2 * float(ndtr(-bound)))
        walk, before = walk.continued(share, bound), until_now
    return tuple(levels)


def alpha_spent(share: float, alpha: float) -> float:
    """Return how much of `alpha` may be spent at a share of the maximum, up to it in all."""
    from scipy.special import ndtr, ndtri

    return 4 * float(ndtr(ndtri(alpha / 4) / sqrt(share)))


@dataclass(frozen=True)
class _Walk:
    """A Brownian motion that has not left its bounds: where it is, with which weight."""

    share: float
    places: NDArray[np.float64]
    weights: NDArray[np.float64]

    @staticmethod
    def started() -> "_Walk":
        return _Walk(0.0, np.zeros(1), np.ones(1))

    def bound(self, share: float, spend: float) -> float:
        """Return the bound in standard deviations that it leaves with the probability `spend`."""
        from scipy.optimize import brentq
        from scipy.special import ndtr

        sd = sqrt(share - self.share)

        def excess(bound: float) -> float:
            at = bound * sqrt(share)
            out = ndtr((self.places - at) / sd) + ndtr((-at - self.places) / sd)
            return float(self.weights @ out) - spend

        most = 38.0
        return inf if excess(most) >= 0 or spend < 1e-300 else float(brentq(excess, 0.0, most))

    def continued(self, share: float, bound: float) -> "_Walk":
        """Return the walk at `share` where it lies within `bound` standard deviations."""
        sd = sqrt(share - self.share)
        # Nowhere beyond eight of them is anything of a weight that counts.
        edge = min(bound, 8.5) * sqrt(share)
        places, step = np.linspace(-edge, edge, _GRID, retstep=True)
        jumps = np.exp(-(((places[:, None] - self.places[None, :]) / sd) ** 2) / 2)
        density = jumps @ self.weights / (sd * sqrt(2 * np.pi))
        return _Walk(share, places, density * _simpson(_GRID) * float(step))


def _simpson(nodes: int) -> NDArray[np.float64]:
    weights = np.where(np.arange(nodes) % 2, 4.0, 2.0)
    weights[0] = weights[-1] = 1.0
    return weights / 3


@lru_cache(maxsize=1)
def _tables() -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(TABLES.read_text())
    return tables


def _small_sample_factor(maximum: int, alpha: float) -> float:
    """Return by what the nominal levels shrink, so that t statistics err `alpha` often.

    Boundaries are those of a known variance. Where it is estimated anew at each look, successive
    statistics are less alike, and more of them cross.
    """
    tables = _tables()
    factors = np.array(tables["factors"])[:, tables["alphas"].index(alpha)]
    return float(np.interp(maximum, tables["maxima"], factors))


@lru_cache(maxsize=500)
def largest_spread(arms: int, blocks: int) -> float:
    """Return the ratio of the largest residual variance of an arm to the smallest that equal ones
    exceed once in a hundred times; infinite with fewer than three blocks.

    Between arms and blocks that were simulated it is interpolated in logarithms.
    """
    tables = _tables()
    if blocks < tables["blocks"][0]:
        return inf
    spreads = np.log(np.array(tables["spreads"]))
    at = np.log(min(max(arms, tables["arms"][0]), tables["arms"][-1]))
    for_blocks = [np.interp(at, np.log(tables["arms"]), column) for column in spreads.T]
    known = np.log(np.array(tables["blocks"]) - 1)
    return float(np.exp(np.interp(np.log(blocks - 1), known, for_blocks)))


def _looks(maximum: int, first: int) -> tuple[float, ...]:
    return tuple(block / maximum for block in range(first, maximum + 1))


def level_at(block: int, maximum: int, first: int, alpha: float) -> float:
    """Return the level of the look after `block` blocks, of one after each from `first` on.

    0 before the first look. The same for one contender and for several, whose joint error is
    smaller.
    """
    if block < first:
        return 0.0
    nominal = nominal_levels(_looks(maximum, first), alpha)[block - first]
    return nominal * _small_sample_factor(maximum, alpha)


def level_at_stop(maximum: int, alpha: float) -> float:
    """Return the level at which an interval misses `alpha` often where it stops by being narrow.

    Where it stops depends on the variance that it found: where that is low by chance it stops too
    early. Simulated for many true variances; the worst of them counts.
    """
    tables = _tables()
    levels = np.array(tables["stop_levels"])[:, tables["alphas"].index(alpha)]
    return float(np.interp(maximum, tables["stop_maxima"], levels))
