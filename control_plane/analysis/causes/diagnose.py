"""The causes of a run: each that was judged, those found first, then those not decided."""

from collections.abc import Callable

from control_plane.analysis.causes.blocked_loop import loop_blocked
from control_plane.analysis.causes.cause_messages import text_of
from control_plane.analysis.causes.cpu_limits import client_limited, server_cpu
from control_plane.analysis.causes.evidence import Diagnosis, Evidence
from control_plane.analysis.causes.gc_pauses import garbage_collection
from control_plane.analysis.causes.starvation import never_served
from control_plane.analysis.causes.thread_pool_full import pool_exhausted
from control_plane.analysis.causes.uneven_workers import workers_uneven
from control_plane.domain.result import Cause

JUDGES: tuple[Callable[[Evidence], Diagnosis | None], ...] = (
    loop_blocked,
    pool_exhausted,
    workers_uneven,
    garbage_collection,
    server_cpu,
    client_limited,
    never_served,
)
"""In the order in which they explain: a blocked loop also leaves connections unserved."""


def diagnose(evidence: Evidence) -> tuple[Cause, ...]:
    """One for each cause that could be judged; empty for a run without trials."""
    if not evidence.trials or not evidence.streams:
        return ()
    judged = [finding for judge in JUDGES if (finding := judge(evidence)) is not None]
    found = {one.cause for one in judged if one.found}
    causes = [Cause(one.cause, text_of(one), one.facts, one.found) for one in judged]
    return tuple(sorted(causes, key=lambda one: (_place(one), _follows(one, found))))


def _place(cause: Cause) -> int:
    return (True, None, False).index(cause.found)


def _follows(cause: Cause, found: set[str]) -> bool:
    """Threads wait for a full processor, and requests for the threads."""
    return cause.cause == "pool_exhausted" and "server_cpu" in found
