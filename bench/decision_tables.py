"""Simulates what decisions look up, with fixed seeds, and writes it where they read it.

    .venv/bin/python -m bench.decision_tables

`spreads`: the ratio of the largest residual variance of an arm to the smallest, which equal ones
exceed once in a hundred times. `factors`: by what nominal levels of looks shrink, so that t
statistics err as often as they may. `stop_levels`: those of an interval that stops by its width.
"""

import json

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

from control_plane.analysis.deciding.critical_values import TABLES, nominal_levels
from control_plane.domain.experiment import FIRST_STOP

ARMS = (3, 4, 5, 6, 7, 8, 10, 13, 20, 35, 65)
BLOCKS = (3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 50, 99)
MAXIMA = (*range(3, 25), 27, 30, 35, 40, 50, 60, 80, 100)
FIRST = 3
DRAWN = 2_000_000
MOST_EXPERIMENTS = 100_000
MANY = 8_000_000
ALPHAS = (0.05, 0.1)
STOP_MAXIMA = (6, 7, 8, 10, 12, 15, 20, 30, 50, 100)
STOPPED = 50_000
SDS = tuple(0.7 * 1.15**step for step in range(17))
"""Of a block's log-ratio, in units of the half-width that is asked for."""


def spread(arms: int, blocks: int) -> float:
    """Return the 99th percentile of the ratio of variances under equal ones."""
    chance = np.random.default_rng(20_000 + 100 * arms + blocks)
    experiments = min(MOST_EXPERIMENTS, MANY // (arms * blocks))
    part = max(1, DRAWN // (arms * blocks))
    ratios: list[NDArray[np.float64]] = []
    for begin in range(0, experiments, part):
        count = min(part, experiments - begin)
        noise = chance.standard_normal((count, arms, blocks))
        noise -= noise.mean(axis=1, keepdims=True)
        noise -= noise.mean(axis=2, keepdims=True)
        variances = (noise**2).mean(axis=2)
        ratios.append(variances.max(axis=1) / variances.min(axis=1))
    return float(np.quantile(np.concatenate(ratios), 0.99))


def factors(maximum: int) -> list[float]:
    """Return by what the levels of each alpha shrink, of a declared maximum of blocks."""
    looks = tuple(block / maximum for block in range(FIRST, maximum + 1))
    levels = [nominal_levels(looks, alpha) for alpha in ALPHAS]
    chance = np.random.default_rng(maximum)
    values = chance.standard_normal((MOST_EXPERIMENTS, maximum))
    sums, squares = values.cumsum(axis=1), (values**2).cumsum(axis=1)
    least = np.full((len(ALPHAS), len(values)), np.inf)
    for place, block in enumerate(range(FIRST, maximum + 1)):
        total, square = sums[:, block - 1], squares[:, block - 1]
        t = total / np.sqrt(block * (square - total**2 / block) / (block - 1))
        p = 2 * stdtr(block - 1, -np.abs(t))
        for row, nominal in enumerate(levels):
            if nominal[place] > 0:
                least[row] = np.minimum(least[row], p / nominal[place])
    return [
        round(min(1.0, float(np.quantile(ratios, alpha))), 4)
        for ratios, alpha in zip(least, ALPHAS, strict=True)
    ]


def stop_levels(maximum: int) -> list[float]:
    """Return the level of each alpha at which an interval that stops by its width misses so often.

    The width that is asked for is 1; the worst of many true standard deviations counts.
    """
    chance = np.random.default_rng(40_000 + maximum)
    values = chance.standard_normal((STOPPED, maximum))
    counts = np.arange(1, maximum + 1)
    means = values.cumsum(axis=1) / counts
    squares = (values**2).cumsum(axis=1) / counts
    errors = np.sqrt(
        np.maximum(squares - means**2, 0)[:, FIRST_STOP - 1 :] / (counts - 1)[FIRST_STOP - 1 :]
    )
    means, df = means[:, FIRST_STOP - 1 :], (counts - 1)[FIRST_STOP - 1 :]

    def excess(level: float, alpha: float) -> float:
        reach = np.asarray(stdtrit(df, 1 - level / 2) * errors, np.float64)
        return max(_missed_at(reach, means, sd) for sd in SDS) - alpha

    return [
        alpha
        if excess(alpha, alpha) <= 0
        else round(float(brentq(excess, alpha / 4, alpha, args=(alpha,), xtol=1e-4)), 4)
        for alpha in ALPHAS
    ]


def _missed_at(reach: NDArray[np.float64], means: NDArray[np.float64], sd: float) -> float:
    """Return how often the interval at the stop misses 0, for a true standard deviation."""
    narrow = reach * sd <= 1
    narrow[:, -1] = True
    at = narrow.argmax(axis=1)
    rows = np.arange(len(means))
    return float((np.abs(means[rows, at]) > reach[rows, at]).mean())


def main() -> None:
    """Write the file."""
    tables = {
        "arms": ARMS,
        "blocks": BLOCKS,
        "spreads": [[round(spread(arms, blocks), 3) for blocks in BLOCKS] for arms in ARMS],
        "alphas": ALPHAS,
        "maxima": MAXIMA,
        "factors": [factors(maximum) for maximum in MAXIMA],
        "stop_maxima": STOP_MAXIMA,
        "stop_levels": [stop_levels(maximum) for maximum in STOP_MAXIMA],
    }
    TABLES.write_text(json.dumps(tables, indent=None).replace("], [", "],\n [") + "\n")


if __name__ == "__main__":
    main()
