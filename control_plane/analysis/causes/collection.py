"""Garbage collection stopped the workers."""

from control_plane.analysis.causes.evidence import Evidence, Finding

COLLECTION_SHARE = 0.1
"""Below a tenth of the window no collection could give back a tenth of the throughput."""


def garbage_collection(evidence: Evidence) -> Finding | None:
    """The share of the time in which workers were watched; None where it was not seen."""
    spent, watched_s, most, interval_s = 0.0, 0.0, 0.0, 0.0
    for worker in evidence.workers:
        known = [value for value in worker.series.gc_s if value is not None]
        spent += sum(known)
        watched_s += len(known) * worker.interval_s
        most, interval_s = max([most, *known]), worker.interval_s
    if not watched_s:
        return None
    share = spent / watched_s
    facts = {"gc_share": share, "most_s": most, "interval_s": interval_s}
    return Finding("garbage_collection", share >= COLLECTION_SHARE, facts)
