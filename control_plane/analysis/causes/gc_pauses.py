"""Garbage collection stopped the workers."""

from control_plane.analysis.causes.evidence import (
    CauseRule,
    Diagnosis,
    Evidence,
    Measurements,
    number_in,
    share_in,
)
from control_plane.domain.units import seconds

COLLECTION_SHARE = 0.1
"""Below a tenth of the window no collection could give back a tenth of the throughput."""

_LONGER = "it lasted longer than the workers ran, so other programs had the processor in between"


def garbage_collection(evidence: Evidence) -> Diagnosis | None:
    """Judge the share of collections in the time in which workers were watched.

    None where it was not seen. Not decided where collections lasted longer than workers ran.
    """
    measured = [
        (worker, [value for value in worker.series.gc_s if value is not None])
        for worker in evidence.workers
    ]
    known = [(worker, seen) for worker, seen in measured if seen]
    watched_s = sum(len(seen) * worker.interval_s for worker, seen in known)
    if not watched_s:
        return None
    share = sum(sum(seen) for _, seen in known) / watched_s
    ran = [worker.cpu_share for worker, _ in known if worker.cpu_share is not None]
    interval_s = known[0][0].interval_s
    most_s = min(interval_s, max(max(seen) for _, seen in known))
    measurements: Measurements = {
        "gc_share": min(1.0, share),
        "most_s": most_s,
        "interval_s": interval_s,
    }
    if share >= COLLECTION_SHARE and ran and share > sum(ran) / len(ran):
        return Diagnosis(None, {**measurements, "why": _LONGER})
    return Diagnosis(share >= COLLECTION_SHARE, measurements)


def _collected(measurements: Measurements) -> str:
    return f"garbage collection took {share_in(measurements, 'gc_share')} of the window"


def _most_collected(measurements: Measurements) -> str:
    most_s, interval_s = number_in(measurements, "most_s"), number_in(measurements, "interval_s")
    return f"at most {seconds(most_s)} within {seconds(interval_s)}" if most_s else ""


GARBAGE_COLLECTION = CauseRule(
    id="garbage_collection",
    label="Garbage collection",
    short="collections",
    judge=garbage_collection,
    value=lambda measurements: f"{share_in(measurements, 'gc_share')} of window",
    found=_collected,
    ruled_out=_collected,
    detail=_most_collected,
    watched="garbage collection",
)
