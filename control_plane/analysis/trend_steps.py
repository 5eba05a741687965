"""Steps of a series: where its level changed for good, by a windowed E-divisive with Student's t.

Splits are looked for by E-divisive (D. S. Matteson and N. A. James, "A nonparametric approach for
multiple change point analysis of multivariate data", 2014) in windows that overlap, and kept by a
t-test between their neighbours, the weakest removed first (M. Fleming et al., "Hunter: Using
change point detection to hunt for performance regressions", 2023, as Apache Otava does). Each is
then moved to where the squares left over are least, within a few points. Nothing is random.

A t-test takes a single wild point for a wide spread, in which a step is lost. So each point is
first brought to within a few standard deviations of the median around it (F. R. Hampel, "The
influence curve and its role in robust estimation", 1974); those that differ by noise alone stay.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import exp, sqrt

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from control_plane.domain.trend_runs import StepMark

WINDOW_POINTS = 50
"""So many points are looked at together; the next window begins in the middle of the last one."""

LEAST_SIDE = 3
"""A level that lasts for fewer points is no level: one bad night makes no step."""

P_VALUE, WEAK_P_VALUE, HIDING_P_VALUE = 0.001, 0.01, 0.0001
"""The t-test of a step that is kept, of a split in a window, of two that hide each other."""

WILD_SDS = 5
"""So far from the points and the median around it a point is wild."""

MOST_WILD, WILD_SHARE = 2, 0.05
"""Where more points than both are far off, they are no exceptions but a level that comes back."""

SAME_STEP = 5
"""A step that is found so many points from where it was before is the same one."""

_MOVED = 5
_SD_OF_DIFFERENCES = 1.4826 / sqrt(2)
"""A normal standard deviation over the median distance of two neighbours."""

_LOG_LIKELIHOOD = 3.68
"""What a place in the range of a step may lack of the likeliest one. A walk with drift to both
sides of the true place rises higher in one of 20 cases: (1 - exp(-x))² = 0.95 (D. Siegmund,
"Confidence sets in change-point problems", 1988).
"""

Levels = NDArray[np.float64]


@dataclass(frozen=True)
class FoundStep:
    """A lasting change of the level, between the points `at - 1` and `at`.

    `first` to `last` are the places that the points allow besides: it lies between the points
    `first - 1` and `last`.
    """

    at: int
    first: int
    last: int
    p_value: float

    def is_beside(self, at: int) -> bool:
        """Return whether who sets a step at a point may mean this one."""
        return self.first <= at <= self.last or abs(at - self.at) <= SAME_STEP


@lru_cache(maxsize=200)
def find_steps(points: tuple[float, ...], least_variance: float = 0.0) -> tuple[FoundStep, ...]:
    """Return the steps of a series, in their order.

    `least_variance` is that of the coarseness of the numbers, below which nothing differs.
    """
    values = _tamed(np.array(points), least_variance)
    sums = _Sums.of(values, least_variance)
    places = _moved(sums, _kept(sums, _weak_places(values, sums)))
    edges = [0, *places, len(values)]
    return tuple(
        FoundStep(at, *_range(sums, before, at, after), sums.p_value(before, at, after))
        for before, at, after in zip(edges, edges[1:], edges[2:], strict=False)
    )


@dataclass(frozen=True)
class _Sums:
    """Sums of the first points and of their squares, from which every part has its variance."""

    values: Levels
    squares: Levels
    least_variance: float

    @staticmethod
    def of(values: Levels, least_variance: float) -> "_Sums":
        centred = values - values.mean() if len(values) else values
        first, second = (np.concatenate(([0.0], x.cumsum())) for x in (centred, centred**2))
        return _Sums(first, second, least_variance)

    def __len__(self) -> int:
        return len(self.values) - 1

    def left_over(self, before: int, places: NDArray[np.intp], after: int) -> Levels:
        """Return the squares left over between two points where the level changes at `places`."""
        return self._spread(before, places) + self._spread(places, after)

    def p_value(self, before: int, at: int, after: int) -> float:
        """Return how often Student's t between two parts lies further from 0 by chance."""
        from scipy.special import stdtr

        left, right = at - before, after - at
        if min(left, right) < LEAST_SIDE:
            return 1.0
        means = (self._total(before, at) / left, self._total(at, after) / right)
        rest = float(self.left_over(before, np.array([at]), after)[0]) / (left + right - 2)
        error = sqrt(max(rest, self.least_variance) * (1 / left + 1 / right))
        apart = abs(float(means[0] - means[1]))
        if not error:
            return float(apart == 0)
        return 2 * float(stdtr(left + right - 2, -apart / error))

    def _total(self, begin: int, end: int) -> float:
        return float(self.values[end] - self.values[begin])

    def _spread(
        self, begin: int | NDArray[np.intp], end: int | NDArray[np.intp]
    ) -> NDArray[np.float64]:
        totals = self.values[end] - self.values[begin]
        spread = self.squares[end] - self.squares[begin] - totals**2 / (np.asarray(end) - begin)
        return np.asarray(np.maximum(spread, 0.0))


def _tamed(values: Levels, least_variance: float) -> Levels:
    """Return the values, a few wild ones brought to where they are just not wild.

    The deviation is that of the differences of neighbours, which a step and a wild point change
    little. Four points of a level within a series have the median around them, and stay, as do
    three at its end. Where the median lies between two values, a point near either stays. So does
    one with two others of the seven near it: a wild point moves the median beside a step.
    """
    if len(values) < 2 * LEAST_SIDE:
        return values
    differences = np.abs(np.diff(values))
    sd = max(float(np.median(differences)) * _SD_OF_DIFFERENCES, sqrt(least_variance))
    padded = np.pad(values, LEAST_SIDE, constant_values=np.nan)
    around, far = sliding_window_view(padded, 2 * LEAST_SIDE + 1), WILD_SDS * sd
    alone = np.count_nonzero(np.abs(around - values[:, None]) <= far, axis=1) < LEAST_SIDE
    near = np.sort(around, axis=1)
    many = np.count_nonzero(~np.isnan(near), axis=1)
    many[[0, -1]], near[[0, -1]] = many[[1, -2]], near[[1, -2]]
    row = np.arange(len(values))
    low, high = near[row, (many - 1) // 2], near[row, many // 2]
    tamed = np.where(alone, np.clip(values, low - far, high + far), values)
    most = max(MOST_WILD, WILD_SHARE * len(values))
    return tamed if np.count_nonzero(tamed != values) <= most else values


def _weak_places(values: Levels, sums: _Sums) -> list[int]:
    """Return the splits of all windows, each of which begins behind the last split of the one
    before, or half a window behind its begin.
    """
    found: set[int] = set()
    start = 0
    while start + 2 * LEAST_SIDE <= len(values):
        new = _splits(values, sums, start, min(start + WINDOW_POINTS, len(values)))
        found.update(new)
        start = max(start + WINDOW_POINTS // 2, *new, 0)
    return sorted(found)


def _splits(values: Levels, sums: _Sums, start: int, end: int) -> list[int]:
    """Return where a window falls apart, and its parts again, as long as that is significant."""
    window = values[start:end]
    distances = np.zeros((len(window) + 1, len(window) + 1))
    distances[1:, 1:] = np.abs(window[:, None] - window).cumsum(axis=0).cumsum(axis=1)
    found, parts = [], [(0, len(window))]
    while parts:
        begin, stop = parts.pop()
        split = _best_split(distances, begin, stop)
        if split is None:
            continue
        at, end = split
        p_value = sums.p_value(start + begin, start + at, start + stop)
        if p_value < WEAK_P_VALUE:
            found.append(start + at)
            parts += [(begin, at), (at, stop)]
        elif stop - end >= LEAST_SIDE and _both_stand(sums, start, (begin, at, end, stop)):
            found += [start + at, start + end]
            parts += [(begin, at), (at, end), (end, stop)]
    return found


def _both_stand(sums: _Sums, start: int, edges: Sequence[int]) -> bool:
    """Return whether two steps hide each other: the spread of the right side is that of the second,
    in which the first is lost.
    """
    begin, at, end, stop = (start + edge for edge in edges)
    return max(sums.p_value(begin, at, end), sums.p_value(at, end, stop)) < HIDING_P_VALUE


def _best_split(distances: Levels, begin: int, stop: int) -> tuple[int, int] | None:
    """Return the place around which points are furthest apart, by Matteson and James' statistic.

    With it comes where its right side ends, before `stop` where another step follows. `distances`
    are sums over the first points of both sides.
    None where a side would have too few points.
    """
    if stop - begin < 2 * LEAST_SIDE:
        return None
    at = np.arange(begin + LEAST_SIDE, stop - LEAST_SIDE + 1)[:, None]
    end = np.arange(begin + 2 * LEAST_SIDE, stop + 1)
    left, right = at - begin, np.maximum(end - at, LEAST_SIDE)
    corner, side, whole = distances[begin, begin], distances[begin, at], distances[at, at]
    to_end = distances[at, end]
    between = to_end - distances[begin, end] - whole + side
    in_left = whole - 2 * side + corner
    in_right = distances[end, end] - 2 * to_end + whole
    apart = 2 * between / (left * right)
    within = in_left / (left * (left - 1)) + in_right / (right * (right - 1))
    statistic = left * right / (left + right) * (apart - within)
    statistic[end - at < LEAST_SIDE] = -np.inf
    row, column = np.unravel_index(int(statistic.argmax()), statistic.shape)
    return int(at[row, 0]), int(end[column])


def _kept(sums: _Sums, places: Sequence[int]) -> list[int]:
    """Return those places that are significant between their neighbours, the weakest taken out
    first.
    """
    edges = [0, *places, len(sums)]
    p_values = [sums.p_value(*edges[index : index + 3]) for index in range(len(places))]
    while p_values and max(p_values) >= P_VALUE:
        weakest = p_values.index(max(p_values))
        del p_values[weakest], edges[weakest + 1]
        for index in range(max(weakest - 1, 0), min(weakest + 1, len(p_values))):
            p_values[index] = sums.p_value(*edges[index : index + 3])
    return edges[1:-1]


def _moved(sums: _Sums, places: Sequence[int]) -> list[int]:
    """Return each place moved by a few points to where the squares left over are least."""
    edges = [0, *places, len(sums)]
    for index in range(1, len(edges) - 1):
        before, at, after = edges[index - 1 : index + 2]
        near = np.arange(
            max(before + LEAST_SIDE, at - _MOVED), min(after - LEAST_SIDE, at + _MOVED) + 1
        )
        edges[index] = int(near[int(sums.left_over(before, near, after).argmin())])
    return edges[1:-1]


def _range(sums: _Sums, before: int, at: int, after: int) -> tuple[int, int]:
    """Return the first and the last place that explain the points nearly as well as `at`."""
    places = np.arange(before + 1, after)
    points = after - before
    left_over = sums.left_over(before, places, after) + points * sums.least_variance
    least = left_over[at - before - 1]
    if not least:
        return at, at
    able = places[left_over <= least * exp(2 * _LOG_LIKELIHOOD / points)]
    return int(able.min()), int(able.max())


def matched_marks(
    found: Sequence[FoundStep], marks: Sequence[StepMark], find: Callable[[int], int | None]
) -> dict[int, StepMark]:
    """Return the mark of each found step that has one, by its point: the nearest ones first."""
    pairs = sorted(
        (abs(at - step.at), step.at, mark.id, mark)
        for mark in marks
        if mark.found is not None and (at := find(mark.found)) is not None
        for step in found
        if abs(at - step.at) <= SAME_STEP
    )
    matched: dict[int, StepMark] = {}
    for _, at, _, mark in pairs:
        if at not in matched and mark not in matched.values():
            matched[at] = mark
    return matched
