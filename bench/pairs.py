"""Interleaved pairs of measurements and the median of their ratios."""

import math
import statistics
from collections.abc import Callable, Sequence

import scipy

Measure = Callable[[], float]


def median_ratio(name: str, ours: Measure, other: Measure, pairs: int) -> float:
    return statistics.median(ratios(name, ours, other, pairs))


def ratios(name: str, ours: Measure, other: Measure, pairs: int) -> list[float]:
    """Of each pair ours / other; who begins changes from pair to pair."""
    found = []
    for pair in range(pairs):
        first, second = (ours, other) if pair % 2 == 0 else (other, ours)
        first_value, second_value = first(), second()
        mine, theirs = (first_value, second_value) if pair % 2 == 0 else (second_value, first_value)
        found.append(mine / theirs)
        print(f"{name} pair {pair + 1}: {mine:,.4g} / {theirs:,.4g} = {found[-1]:.3f}", flush=True)
    return found


def interval(found: Sequence[float]) -> tuple[float, float]:
    """Where the geometric mean of the ratios lies with 95 % confidence: paired t on logarithms."""
    logs = [math.log(ratio) for ratio in found]
    margin = scipy.stats.t.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    middle = statistics.fmean(logs)
    return math.exp(middle - margin), math.exp(middle + margin)


def verdict(name: str, value: float, limit: float, *, most: bool) -> bool:
    """One line that says whether the figure is reached; `most`: the limit is an upper one."""
    reached = value <= limit if most else value >= limit
    wanted = "at most" if most else "at least"
    word = "reached" if reached else "MISSED"
    print(f"{name}: {value:.3f}, wanted {wanted} {limit}: {word}", flush=True)
    return reached
