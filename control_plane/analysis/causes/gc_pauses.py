"""Garbage collection stopped the workers."""

from control_plane.analysis.causes.evidence import Diagnosis, Evidence, Measurements, WorkerTrial

COLLECTION_SHARE = 0.1
"""Below a tenth of the window no collection could give back a tenth of the throughput."""

_LONGER = "it lasted longer than the workers ran, so other programs had the processor in between"


def garbage_collection(evidence: Evidence) -> Diagnosis | None:
    """The share of the time in which workers were watched.

    None where it was not seen. Not decided where collections lasted longer than workers ran.
    """
    known = [(one, seen) for one in evidence.workers if (seen := _seen(one))]
    watched_s = sum(len(seen) * one.interval_s for one, seen in known)
    if not watched_s:
        return None
    share = sum(sum(seen) for _, seen in known) / watched_s
    ran = [one.cpu_share for one, _ in known if one.cpu_share is not None]
    interval_s = known[0][0].interval_s
    most_s = min(interval_s, max(max(seen) for _, seen in known))
    facts: Measurements = {"gc_share": min(1.0, share), "most_s": most_s, "interval_s": interval_s}
    if share >= COLLECTION_SHARE and ran and share > sum(ran) / len(ran):
        return Diagnosis("garbage_collection", None, {**facts, "why": _LONGER})
    return Diagnosis("garbage_collection", share >= COLLECTION_SHARE, facts)


def _seen(worker: WorkerTrial) -> list[float]:
    return [value for value in worker.series.gc_s if value is not None]
