"""Whether a window was steady: the drift of its one-second medians, and the gate on it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from control_plane.analysis.validity.gate import percent, trial_suffix
from control_plane.domain.result import Reason, Trial
from control_plane.domain.stream_record import Second
from control_plane.domain.units import share

DRIFT = 0.1
LEAST_SLICES = 8
LEAST_SAMPLES = 10
"""The median of fewer says little."""

MOST_POINTS = 300


def drift_share(seconds: Sequence[Second], duration_s: float) -> float | None:
    """How much the medians rose (or fell, then negative) over the window, as a share of the median.

    The slope is Theil's and Sen's: the median of those between all pairs of seconds, which single
    outliers do not move (P. K. Sen, 1968). None with fewer than 8 whole seconds that hold enough.
    """
    whole = [
        one
        for one in seconds
        if one.index + 1 <= duration_s and one.response.total >= LEAST_SAMPLES
    ]
    if len(whole) < LEAST_SLICES:
        return None
    at_s = np.array([one.index for one in whole], np.float64)
    medians = np.array([one.response.quantile_ns(0.5) for one in whole])
    typical = float(np.median(medians))
    slope = theil_sen(*_thinned(at_s, medians))
    return slope * duration_s / typical if typical else None


def theil_sen(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The median slope between all pairs; shapes (n,), n at least 2, x without ties."""
    first, second = np.triu_indices(len(x), k=1)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))


def not_steady(trials: Sequence[Trial]) -> Reason | None:
    """The stream and trial with the largest drift."""
    cases = [
        (trial, one, one.drift_share)
        for trial in trials
        for one in trial.streams
        if one.drift_share is not None
    ]
    if not cases:
        return None
    trial, worst, value = max(cases, key=lambda case: abs(case[2]))
    named = f" of {worst.name}" if len(trial.streams) > 1 else ""
    way = "rose" if value > 0 else "fell"
    text = f"The median response time{named} {way} by {share(abs(value))} over the window"
    text += trial_suffix(trial, trials)
    if abs(value) <= DRIFT:
        return Reason("not_steady", "ok", f"{text}.", abs(value), DRIFT)
    text += f" (limit {percent(DRIFT)}): use a longer warm-up, or ask what fills up or warms up."
    return Reason("not_steady", "suspect", text, abs(value), DRIFT)


def _thinned(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Medians of neighbours, because the pairs of thousands of seconds would not fit in memory."""
    parts = min(len(x), MOST_POINTS)
    groups = list(zip(np.array_split(x, parts), np.array_split(y, parts), strict=True))
    return np.array([np.median(a) for a, _ in groups]), np.array([np.median(b) for _, b in groups])
