"""Interleaved pairs of measurements and the median of their ratios."""

import statistics
from collections.abc import Callable

Measure = Callable[[], float]


def median_ratio(name: str, ours: Measure, other: Measure, pairs: int) -> float:
    """Median over the pairs of ours / other; who begins changes from pair to pair."""
    ratios = []
    for pair in range(pairs):
        first, second = (ours, other) if pair % 2 == 0 else (other, ours)
        one, two = first(), second()
        mine, theirs = (one, two) if pair % 2 == 0 else (two, one)
        ratios.append(mine / theirs)
        print(f"{name} pair {pair + 1}: {mine:,.4g} / {theirs:,.4g} = {ratios[-1]:.3f}", flush=True)
    return statistics.median(ratios)


def verdict(name: str, value: float, limit: float, *, most: bool) -> bool:
    """One line that says whether the figure is reached; `most`: the limit is an upper one."""
    reached = value <= limit if most else value >= limit
    wanted = "at most" if most else "at least"
    word = "reached" if reached else "MISSED"
    print(f"{name}: {value:.3f}, wanted {wanted} {limit}: {word}", flush=True)
    return reached
