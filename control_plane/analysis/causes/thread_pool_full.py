"""Every thread of the pool was busy, and requests of `def` endpoints waited for one."""

from control_plane.analysis.causes.evidence import Diagnosis, Evidence

WAITING_SHARE = 0.1
"""A queue that a sample in ten does not see has not held back a tenth of the requests."""


def pool_exhausted(evidence: Evidence) -> Diagnosis | None:
    """None where no thread pool was seen from inside."""
    waiting, busy = [], []
    for worker in evidence.workers:
        waiting += [number for number in worker.series.tokens_waiting if number is not None]
        busy += [number for number in worker.series.tokens_busy if number is not None]
    if not waiting or not busy:
        return None
    totals = [one.series.tokens_total for one in evidence.workers]
    share = sum(number > 0 for number in waiting) / len(waiting)
    facts = {
        "waiting_share": share,
        "most_waiting": max(waiting),
        "most_busy": max(busy),
        "threads": max((one for one in totals if one is not None), default=None),
    }
    return Diagnosis("pool_exhausted", share >= WAITING_SHARE, facts)
