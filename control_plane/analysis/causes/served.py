"""Connections that no request came back on, while the others were served again and again.

Seen with 100 users on a blocked uvloop server: 75 of their connections were not read once in 80 s.
"""

from collections.abc import Iterator

from control_plane.analysis.causes.evidence import Evidence, Finding
from control_plane.domain.loads import Closed
from control_plane.domain.result import Summary
from control_plane.domain.spec import StopDuration

TURNS = 2
"""Where each user could have been served this often, one that was not served is left out."""


def never_served(evidence: Evidence) -> Finding | None:
    """The stream and trial with most of them.

    Judged for users without think time, and only where enough was completed to tell being left
    out from waiting for a turn.
    """
    cases = [(place, users, one) for place, users, one in _judged(evidence)]
    if not cases:
        return None
    place, users, worst = max(cases, key=lambda case: case[2].censored.unserved or 0)
    facts = {
        "unserved": worst.censored.unserved,
        "connections": users,
        "completed": worst.completed,
        "stream": worst.name,
        "trial": place,
    }
    return Finding("never_served", bool(worst.censored.unserved), facts)


def _judged(evidence: Evidence) -> Iterator[tuple[int, int, Summary]]:
    users = {
        one.name: one.load.concurrency
        for one in evidence.spec.workload.streams
        if isinstance(one.load, Closed)
        and isinstance(one.stop, StopDuration)
        and len(one.requests) == 1
        and not one.load.think_time_s
    }
    for place, trial in enumerate(evidence.trials, start=1):
        for stream in trial.streams:
            known = stream.name in users and stream.censored.unserved is not None
            if known and stream.completed >= TURNS * users[stream.name]:
                yield place, users[stream.name], stream
