"""Connections without a response in the whole window, while others were served again and again.

Seen with 100 users on a blocked uvloop server: 75 of their connections were not read once in 80 s.
"""

from collections.abc import Iterator

from control_plane.analysis.causes.evidence import (
    CauseRule,
    Diagnosis,
    Evidence,
    Measurements,
    count_in,
)
from control_plane.domain.result import Summary
from control_plane.domain.units import seconds

TURNS = 2
"""Where those that were served had as many turns, the others were left out. With one turn each they
may still wait for their first.
"""

NEAR_SHARE = 0.5
"""Where a response can take half of the window, one that began before it can outlast it."""


def never_served(evidence: Evidence) -> Diagnosis | None:
    """Judge the stream and trial with most of them; None for users with think time."""
    cases = list(_cases(evidence))
    if not cases:
        return None
    number, users, worst = max(cases, key=lambda case: case[2].censored.unserved or 0)
    unserved = worst.censored.unserved or 0
    measurements: Measurements = {
        "unserved": unserved,
        "connections": users,
        "completed": worst.completed,
        "stream": worst.name,
        "trial": number,
    }
    if unserved and (why := _undecided_because(worst, users - unserved)):
        return Diagnosis(None, {**measurements, "why": why})
    return Diagnosis(bool(unserved), measurements)


def _undecided_because(stream: Summary, served: int) -> str:
    """Return why connections may only be slow; empty where they were left out."""
    if not stream.completed:
        return "no other one had an answer, so nothing tells them apart"
    if stream.completed < TURNS * max(1, served):
        return "the others had fewer than two turns each, so these may wait for their first"
    longest_s = stream.response_time_s.max if stream.response_time_s else 0.0
    if longest_s >= NEAR_SHARE * stream.duration_s:
        return f"one that was answered took {seconds(longest_s)}, so these may only be slow"
    return ""


def _cases(evidence: Evidence) -> Iterator[tuple[int, int, Summary]]:
    """Return the number of the trial, its users, and the stream."""
    users = {
        stream.name: stream.load.busy_users
        for stream in evidence.spec.workload.streams
        if stream.load.busy_users
        and stream.stop.duration_s is not None
        and len(stream.requests) == 1
    }
    for number, trial in enumerate(evidence.trials, start=1):
        for stream in trial.streams:
            if stream.name in users and stream.censored.unserved is not None:
                yield number, users[stream.name], stream


def _unserved(measurements: Measurements) -> str:
    unserved = count_in(measurements, "unserved")
    connections = count_in(measurements, "connections")
    return f"{unserved} of {connections} connections had no answer during the whole window"


def _others_served(measurements: Measurements) -> str:
    return (
        f"the others completed {count_in(measurements, 'completed')} requests"
        if measurements["unserved"] and measurements["completed"]
        else ""
    )


NEVER_SERVED = CauseRule(
    id="never_served",
    label="Connections not served",
    short="not all served",
    judge=never_served,
    value=lambda measurements: (
        f"{count_in(measurements, 'unserved')} of {count_in(measurements, 'connections')}"
    ),
    found=_unserved,
    ruled_out=lambda _: "every connection had an answer during the window",
    detail=_others_served,
)
