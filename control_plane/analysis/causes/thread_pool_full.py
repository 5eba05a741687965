"""Every thread of the pool was busy, and requests of `def` endpoints waited for one."""

from control_plane.analysis.causes.evidence import (
    CauseRule,
    Diagnosis,
    Evidence,
    Measurements,
    count_in,
    number_in,
    share_in,
)

WAITING_SHARE = 0.1
"""A queue that a sample in ten does not see has not held back a tenth of the requests."""


def pool_exhausted(evidence: Evidence) -> Diagnosis | None:
    """Judge in how many samples requests waited; None where no thread pool was seen."""
    waiting, busy = [], []
    for worker in evidence.workers:
        waiting += [number for number in worker.series.tokens_waiting if number is not None]
        busy += [number for number in worker.series.tokens_busy if number is not None]
    if not waiting or not busy:
        return None
    totals = [worker.series.tokens_total for worker in evidence.workers]
    share = sum(number > 0 for number in waiting) / len(waiting)
    measurements = {
        "waiting_share": share,
        "most_waiting": max(waiting),
        "most_busy": max(busy),
        "threads": max((total for total in totals if total is not None), default=None),
    }
    return Diagnosis(share >= WAITING_SHARE, measurements)


def _threads(measurements: Measurements) -> str:
    return count_in(measurements, "threads") if measurements["threads"] else "the pool's"


def _waited(measurements: Measurements) -> str:
    threads, share = _threads(measurements), share_in(measurements, "waiting_share")
    return f"requests waited for one of {threads} threads in {share} of the samples"


def _no_wait(measurements: Measurements) -> str:
    return (
        _waited(measurements)
        if number_in(measurements, "waiting_share")
        else "no request waited for a thread"
    )


def _pool(measurements: Measurements) -> str:
    if number_in(measurements, "waiting_share"):
        return f"up to {count_in(measurements, 'most_waiting')} waited at once"
    if not number_in(measurements, "most_busy"):
        return f"none of {_threads(measurements)} was busy"
    return f"at most {count_in(measurements, 'most_busy')} of {_threads(measurements)} were busy"


POOL_EXHAUSTED = CauseRule(
    id="pool_exhausted",
    label="Thread pool full",
    short="pool full",
    judge=pool_exhausted,
    value=lambda measurements: (
        f"{count_in(measurements, 'most_busy')} of {_threads(measurements)} busy"
    ),
    found=_waited,
    ruled_out=_no_wait,
    detail=_pool,
    watched="thread pool",
)
