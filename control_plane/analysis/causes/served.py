"""Connections that no request came back on, while the others were served again and again.

Seen with 100 users on a blocked uvloop server: 75 of their connections were not read once in 80 s.
"""

from collections.abc import Iterator

from control_plane.analysis.causes.evidence import Evidence, Facts, Finding
from control_plane.domain.loads import Closed
from control_plane.domain.result import Summary
from control_plane.domain.spec import StopDuration

TURNS = 2
"""Where those that were served had as many turns, the others were left out. With one turn each they
may still wait for their first.
"""


def never_served(evidence: Evidence) -> Finding | None:
    """The stream and trial with most of them; judged for users without think time.

    None also where some were not served, but the window was too short to tell why.
    """
    cases = list(_judged(evidence))
    if not cases:
        return None
    place, users, worst = max(cases, key=lambda case: case[2].censored.unserved or 0)
    unserved = worst.censored.unserved or 0
    if unserved and worst.completed < TURNS * max(1, users - unserved):
        return None
    facts: Facts = {
        "unserved": unserved,
        "connections": users,
        "completed": worst.completed,
        "stream": worst.name,
        "trial": place,
    }
    return Finding("never_served", bool(unserved), facts)


def _judged(evidence: Evidence) -> Iterator[tuple[int, int, Summary]]:
    """Place of the trial, users, and the stream."""
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
            if stream.name in users and stream.censored.unserved is not None:
                yield place, users[stream.name], stream
