"""Whether a window was steady: the drift of its one-second medians, and the gate on it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from control_plane.analysis.validity.gate import (
    GateLimits,
    Judgement,
    MeasuredRun,
    judgement,
    percent,
)
from control_plane.domain.stream_record import Second
from control_plane.domain.units import share

LEAST_SECONDS = 8
LEAST_SAMPLES = 10
"""The median of fewer says little."""

MOST_TREND_POINTS = 300


def drift_share(seconds: Sequence[Second], duration_s: float) -> float | None:
    """Return the rise of the medians over the window, as a share of the median; a fall is negative.

    The slope is Theil's and Sen's: the median of those between all pairs of seconds, which single
    outliers do not move (P. K. Sen, 1968). None with fewer than 8 whole seconds that hold enough.
    """
    whole = [
        second
        for second in seconds
        if second.index + 1 <= duration_s and second.response.total >= LEAST_SAMPLES
    ]
    if len(whole) < LEAST_SECONDS:
        return None
    at_s = np.array([second.index for second in whole], np.float64)
    medians = np.array([second.response.quantile_ns(0.5) for second in whole])
    typical = float(np.median(medians))
    slope = theil_sen(*_thinned(at_s, medians))
    return slope * duration_s / typical if typical else None


def theil_sen(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return the median slope between all pairs; shapes (n,), n at least 2, x without ties."""
    first, second = np.triu_indices(len(x), k=1)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))


DRIFT = 0.1
STEADINESS = GateLimits("≤", suspect=DRIFT)


def not_steady(run: MeasuredRun) -> Judgement | None:
    """Judge the stream and trial with the largest drift; None where windows are too short."""
    measured = [(trial, stream, stream.drift_share) for trial, stream in run.streams]
    cases = [(trial, stream, drift) for trial, stream, drift in measured if drift is not None]
    if not cases:
        return None
    trial, worst, drift = max(cases, key=lambda case: abs(case[2]))
    value, named = abs(drift), f" of {worst.name}" if len(trial.streams) > 1 else ""
    way = "rose" if drift > 0 else "fell"
    text = f"The median response time{named} {way} by {share(value)} over the window"
    text += run.where(trial)
    doubt = f" (limit {percent(DRIFT)}): use a longer warm-up, or ask what fills up or warms up."
    return judgement(STEADINESS, value, text, doubt)


def _thinned(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return medians of neighbours: the pairs of thousands of seconds would not fit in memory."""
    parts = min(len(x), MOST_TREND_POINTS)
    groups = list(zip(np.array_split(x, parts), np.array_split(y, parts), strict=True))
    return np.array([np.median(a) for a, _ in groups]), np.array([np.median(b) for _, b in groups])
