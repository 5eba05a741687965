"""The causes of a run in one list, and what is said of those that were found."""

from collections.abc import Sequence

from control_plane.analysis.causes.blocked_loop import LOOP_BLOCKED
from control_plane.analysis.causes.connections import CONNECTIONS_ENDED, NEVER_SERVED
from control_plane.analysis.causes.evidence import Evidence
from control_plane.analysis.causes.processor_time import (
    CLIENT_LIMITED,
    GARBAGE_COLLECTION,
    HELD_BACK,
    SERVER_CPU,
)
from control_plane.analysis.causes.workers_and_threads import (
    POOL_EXHAUSTED,
    WORKERS_FULL,
    WORKERS_RECYCLED,
    WORKERS_UNEVEN,
)
from control_plane.analysis.prose.sentence import joined
from control_plane.domain.result import Cause

_IN_ORDER = (
    HELD_BACK,
    LOOP_BLOCKED,
    POOL_EXHAUSTED,
    WORKERS_FULL,
    WORKERS_UNEVEN,
    WORKERS_RECYCLED,
    GARBAGE_COLLECTION,
    SERVER_CPU,
    CLIENT_LIMITED,
    NEVER_SERVED,
    CONNECTIONS_ENDED,
)

CAUSES = {rule.id: rule for rule in _IN_ORDER}
"""Every cause by its id, in the order in which they explain: a blocked loop also leaves
connections unserved."""


def diagnose(evidence: Evidence) -> tuple[Cause, ...]:
    """Return each cause that could be judged: those found, those not decided, those ruled out.

    Empty for a run without trials.
    """
    if not evidence.trials or not evidence.streams:
        return ()
    causes = [cause for rule in _IN_ORDER if (cause := rule.cause(evidence)) is not None]
    server_full = any(cause.found and cause.cause == SERVER_CPU.id for cause in causes)

    def place(cause: Cause) -> tuple[int, bool]:
        # Threads wait for a full processor, and requests for the threads.
        follows = server_full and cause.cause in {POOL_EXHAUSTED.id, WORKERS_FULL.id}
        return (True, None, False).index(cause.found), follows

    return tuple(sorted(causes, key=place))


def cause_clause(cause: Cause) -> str:
    """Return what was found, to stand in a sentence: `the event loop was blocked 53 % of …`."""
    return CAUSES[cause.cause].found(cause.evidence)


def none_found(causes: Sequence[Cause]) -> str:
    """Return that nothing was at its limit, and what was not watched.

    Empty where a cause was found, or one could not be decided.
    """
    if any(cause.found is not False for cause in causes):
        return ""
    judged = {cause.cause for cause in causes}
    unseen = [rule.watched for rule in _IN_ORDER if rule.watched and rule.id not in judged]
    if not unseen:
        return "Nothing that was watched was at its limit."
    return f"Nothing that was watched was at its limit. Not watched: {joined(unseen)}."
