"""Whether a window was steady: the drift of its medians, and the silence at its end. Pure."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from control_plane.analysis.validity import (
    SHARE,
    Gate,
    GateLimits,
    Judgement,
    MeasuredRun,
    judgement,
    percent,
)
from control_plane.domain.result import Summary
from control_plane.domain.spec import Stream
from control_plane.domain.stream_record import Second, StreamRecord
from control_plane.domain.units import seconds, share

LEAST_SECONDS = 8
LEAST_SAMPLES = 10
"""The median of fewer says little."""

MOST_TREND_POINTS = 300


def drift_share(of_window: Sequence[Second], duration_s: float) -> float | None:
    """Return the rise of the medians over the window, as a share of the median; a fall is negative.

    The slope is Theil's and Sen's: the median of those between all pairs of seconds, which single
    outliers do not move (P. K. Sen, 1968). None with fewer than 8 whole seconds that hold enough.
    """
    whole = [
        second
        for second in of_window
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
    return judgement(STEADINESS.limits, value, text, doubt)


STEADINESS = Gate(
    "not_steady", "Drift of the median", SHARE, GateLimits("≤", suspect=DRIFT),
    "the response time drifted", not_steady,
)  # fmt: skip


def silent_s(record: StreamRecord, least_waiting: int = 1) -> float:
    """Return for how many seconds before the end of the window nobody was answered who waited.

    Counted in whole seconds of the window, so it is a lower bound. 0 where fewer than
    `least_waiting` requests waited.
    """
    answered = [
        second.index
        for second in record.seconds
        if second.completed + second.errors > second.unanswered
    ]
    last = max(answered, default=-1)
    silence_s = max(0.0, record.duration_ns / 1e9 - (last + 1))
    given_up = sum(second.unanswered for second in record.seconds if second.index > last)
    if given_up + len(record.in_flight_ns) < least_waiting:
        return 0.0
    if given_up:
        return silence_s
    return min(silence_s, max(record.in_flight_ns, default=0) / 1e9)


SILENT_SHARE = 0.1


def least_waiting(stream: Stream) -> int:
    """Return how many requests without an answer at the end tell that the target hung.

    At the end of a number of requests fewer and fewer are left to be answered: there as many as
    all users send, or the part of an open load that a silence has to be of a window.
    """
    requests = stream.stop.requests
    if requests is None:
        return 1
    together = SILENT_SHARE * requests if stream.load.is_open else stream.load.users
    return max(2, math.ceil(min(together, requests)))


USUAL_TIMES = 2
"""A silence of up to so many times the longest completed request may be that of slow requests."""


def stuck(run: MeasuredRun) -> Judgement | None:
    """Judge the silence at the end of a window: from the last answer on nobody had one.

    What is no longer than completed requests of the run make plausible counts as none.
    """
    known = [case for case in run.streams if case[1].silent_s is not None and case[1].completed]
    if not known:
        return None
    trial, worst = max(known, key=lambda case: _silent_share(run, case[1]))
    value, longest_s = _silent_share(run, worst), _longest_s(run, worst.name)
    if not value:
        answered = "Requests were answered until the end of the window"
        return judgement(SILENCE.limits, 0, answered, "")
    named = f" of {worst.name}" if len(trial.streams) > 1 else ""
    text = (
        f"Nobody was answered in the last {seconds(worst.silent_s or 0.0)} of the window{named} of "
        f"{seconds(worst.duration_s)}{run.where(trial)}"
    )
    doubt = f", though no completed request took longer than {seconds(longest_s)}: the target hung."
    return judgement(SILENCE.limits, value, text, doubt)


SILENCE = Gate(
    "stuck", "Nobody answered at the end", SHARE,
    GateLimits("≤", suspect=SILENT_SHARE, invalid=0.25, note=" of the window"),
    "the target stopped answering", stuck,
)  # fmt: skip


def _silent_share(run: MeasuredRun, stream: Summary) -> float:
    silence_s = stream.silent_s or 0.0
    if silence_s <= USUAL_TIMES * _longest_s(run, stream.name) or not stream.duration_s:
        return 0.0
    return silence_s / stream.duration_s


def _longest_s(run: MeasuredRun, name: str) -> float:
    """Return the longest time of a completed request of a stream, in any trial."""
    found = [stream.response_time_s for _, stream in run.streams if stream.name == name]
    return max((times.longest_completed for times in found if times), default=0.0)


def _thinned(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return medians of neighbours: the pairs of thousands of seconds would not fit in memory."""
    parts = min(len(x), MOST_TREND_POINTS)
    groups = list(zip(np.array_split(x, parts), np.array_split(y, parts), strict=True))
    return np.array([np.median(a) for a, _ in groups]), np.array([np.median(b) for _, b in groups])
