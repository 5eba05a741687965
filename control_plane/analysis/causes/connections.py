"""What happens to connections: some have no response in the whole window, or the server ends them.

Seen with 100 users on a blocked uvloop server: 75 of their connections were not read once in 80 s,
while others were served again and again. A server that ends kept connections makes requests connect
again; a pause as long as its keep-alive makes it chance whether one finds its connection open.
"""

from collections.abc import Iterator

from control_plane.analysis.causes.evidence import (
    CauseRule,
    Diagnosis,
    Evidence,
    Measurements,
    count_in,
    number_in,
    share_in,
)
from control_plane.domain.result import Summary, Trial
from control_plane.domain.spec import Stream
from control_plane.domain.units import SPACE, count, figures, number_of, seconds, were

TURNS = 2
"""Where those that were served had as many turns, the others were left out. With one turn each they
may still wait for their first.
"""

NEAR_SHARE = 0.5
"""Where a response can take half of the window, one that began before it can outlast it."""


def never_served(evidence: Evidence) -> Diagnosis | None:
    """Judge the stream and trial with most of them.

    None for users with think time, and where nobody had an answer.
    """
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
    if not unserved and not worst.completed:
        return None
    if unserved and (why := _undecided_because(worst, users - unserved)):
        return Diagnosis(None, {**measurements, "why": why})
    if not unserved and worst.errors.get("timeout"):
        why = "requests timed out, and a connection that is given up counts no longer"
        return Diagnosis(None, {**measurements, "why": why})
    return Diagnosis(bool(unserved), measurements)


def _undecided_because(stream: Summary, served: int) -> str:
    """Return why connections may only be slow; empty where they were left out."""
    if not stream.completed:
        return "no other one had an answer, so nothing tells them apart"
    if stream.completed < TURNS * max(1, served):
        return "the others had fewer than two turns each, so these may wait for their first"
    longest_s = stream.response_time_s.longest_completed if stream.response_time_s else 0.0
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
    connections = number_of(number_in(measurements, "connections"), "connection")
    return f"{unserved} of {connections} had no answer during the whole window"


def _others_served(measurements: Measurements) -> str:
    return (
        f"the others completed {number_of(number_in(measurements, 'completed'), 'request')}"
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


ENDED_SHARE = 0.1
"""Where fewer than one request in ten makes a connection, the median holds no connecting."""

NONE_KEPT_SHARE = 0.75
"""From here to one connection for each request, none carried a second one: a server that ends each
after its second makes it one half. Those made before the window are not counted, and a busy client
begins to count a little late.
"""

EQUAL_SHARE, EQUAL_S = 0.1, 0.25
"""How near a pause and a keep-alive are equal: both clocks are late by the load of the machine."""


def connections_ended(evidence: Evidence) -> Diagnosis | None:
    """Judge the stream and trial in which most of the requests made a connection.

    None where each request was to have its own, where none is read to the end of its response, and
    where connections were not counted.
    """
    cases = list(_kept_cases(evidence))
    if not cases:
        return None
    trial, stream, summary = max(cases, key=lambda case: _replaced_share(case[0], case[2]))
    name, replaced = summary.name, _replaced_share(trial, summary)
    idle_s, keep_alive_s = _idle_s(stream, summary), _keep_alive_s(evidence)
    measurements: Measurements = {
        "opened": trial.client.new_connections[name],
        "requests": summary.sent,
        "at_once": trial.client.connections[name],
        "replaced_share": replaced,
        "ended_by_client": sum(summary.errors.values()),
        "read_enough": trial.client.read_enough.get(name, 0),
        "sent_again": trial.client.sent_again.get(name, 0),
        "idle_s": idle_s or None,
        "keep_alive_s": keep_alive_s,
        "at_chance": int(_equal(idle_s, keep_alive_s)),
        "worker": _worker(evidence),
    }
    return Diagnosis(replaced >= ENDED_SHARE or _equal(idle_s, keep_alive_s), measurements)


def _kept_cases(evidence: Evidence) -> Iterator[tuple[Trial, Stream, Summary]]:
    if not evidence.spec.client.reuse_connections:
        return
    streams = {
        stream.name: stream
        for stream in evidence.spec.workload.streams
        if any(request.until is None for request in stream.requests)
    }
    for trial in evidence.trials:
        for summary in trial.streams:
            counted = summary.name in trial.client.new_connections and summary.sent
            if counted and summary.name in streams:
                yield trial, streams[summary.name], summary


def _replaced_share(trial: Trial, summary: Summary) -> float:
    """Return the requests that had to connect again, over all; the client itself ends a connection
    after an error, and where it has read enough.
    """
    opened, most = (
        trial.client.new_connections[summary.name],
        trial.client.connections[summary.name],
    )
    ended_by_client = sum(summary.errors.values())
    ended_by_client += trial.client.read_enough.get(summary.name, 0)
    return max(0, opened - most - ended_by_client) / summary.sent


def _idle_s(stream: Stream, summary: Summary) -> float:
    """Return how long a connection waits for its next request; 0 where that is not known."""
    times = summary.service_time_s
    busy_s = (times.p50 or 0.0) if times and stream.load.is_scheduled else 0.0
    return max(0.0, stream.load.idle_s - busy_s)


def _keep_alive_s(evidence: Evidence) -> float | None:
    started = evidence.spec.target.started
    return started.keep_alive_s if started else None


def _worker(evidence: Evidence) -> str | None:
    started = evidence.spec.target.started
    return started.worker if started else None


def _equal(idle_s: float, keep_alive_s: float | None) -> bool:
    if not keep_alive_s:
        return False
    return abs(idle_s - keep_alive_s) <= max(EQUAL_S, EQUAL_SHARE * keep_alive_s)


def _ended(measurements: Measurements) -> str:
    opened, requests = number_in(measurements, "opened"), number_in(measurements, "requests")
    idle_s = number_in(measurements, "idle_s")
    keep_alive_s = number_in(measurements, "keep_alive_s")
    if measurements["at_chance"]:
        return (
            f"connections are idle for {_seconds(idle_s)}, as long as the server keeps them "
            f"({_seconds(keep_alive_s)}), so chance decides which requests make a new one"
        )
    if keep_alive_s and idle_s > keep_alive_s:
        return (
            f"connections are idle for {_seconds(idle_s)}, longer than the server keeps them "
            f"({_seconds(keep_alive_s)}), so requests make new ones"
        )
    none_kept = opened >= NONE_KEPT_SHARE * (requests - number_in(measurements, "at_once"))
    sync = measurements.get("worker") == "sync"
    if idle_s >= EQUAL_S and not keep_alive_s and not sync:
        some = "each" if none_kept else "many"
        return f"connections are idle for {_seconds(idle_s)}, and the server ends {some} meanwhile"
    if none_kept:
        closes = "the server keeps no connection, it closes each one after its response"
        return f"{closes}, as sync workers do" if sync else closes
    return f"the server ends connections after {figures(requests / opened)} requests on average"


def _seconds(value_s: float) -> str:
    """Return it as a spec has it: `5 s`."""
    return f"{value_s:.3g}{SPACE}s"


def _requests(measurements: Measurements) -> str:
    return number_of(number_in(measurements, "requests"), "request")


def _kept(measurements: Measurements) -> str:
    if not number_in(measurements, "replaced_share"):
        return "the server kept every connection"
    return f"{share_in(measurements, 'replaced_share')} of the requests had to connect again"


def _counted(measurements: Measurements) -> str:
    opened, requests = number_in(measurements, "opened"), number_in(measurements, "requests")
    told = f"{number_of(opened, 'connection')} {were(opened)} opened for {_requests(measurements)}"
    if number_in(measurements, "ended_by_client"):
        told += "; the client itself ends one after an error"
    elif number_in(measurements, "read_enough"):
        told += "; the client itself ends one where it has read enough"
    elif 0 < requests - opened <= number_in(measurements, "at_once"):
        told += ", the first of which found some that were open before the window"
    again = number_in(measurements, "sent_again")
    if not again:
        return told if number_in(measurements, "opened") else ""
    return f"{told}, and {count(again)} of them found an ended one and went out again"


CONNECTIONS_ENDED = CauseRule(
    id="connections_ended",
    label="Connections ended by the server",
    short="connections ended",
    judge=connections_ended,
    value=lambda measurements: (
        f"{count_in(measurements, 'opened')} opened for {_requests(measurements)}"
    ),
    found=_ended,
    ruled_out=_kept,
    detail=_counted,
)
