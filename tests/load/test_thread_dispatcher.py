import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np

from control_plane.load.arrivals import ArrivalQueue
from control_plane.load.clock import clock_ns
from control_plane.load.phase import OpenPhase
from control_plane.load.thread_dispatcher import ThreadDispatcher

GAP_NS = 2_000_000


def phase_of(users: int, arrivals: int) -> OpenPhase:
    """One arrival each 2 ms."""

    def pacing(begin_ns: int) -> ArrivalQueue:
        steps = np.arange(64) * GAP_NS
        return ArrivalQueue(begin_ns + GAP_NS * first + steps for first in count(0, 64))

    return OpenPhase(users, pacing, limit=arrivals)


def drive(users: int, arrivals: int, service_s: float) -> list[tuple[int, int]]:
    """User and lateness of each request, in the order in which they were sent."""
    phase = phase_of(users, arrivals)
    baton, sent, gate = ThreadDispatcher(phase), list[tuple[int, int]](), threading.Barrier(users)

    def user(number: int) -> None:
        if gate.wait() == 0:
            phase.start()
        gate.wait()
        due_ns = baton.first(number)
        while due_ns is not None:
            sent.append((number, clock_ns() - due_ns))
            time.sleep(service_s)
            due_ns = baton.after(due_ns, clock_ns())

    with ThreadPoolExecutor(users) as threads:
        list(threads.map(user, range(users)))
    return sent


def test_every_arrival_is_sent_once_and_never_early() -> None:
    sent = drive(users=100, arrivals=100, service_s=0)
    assert len(sent) == 100
    assert all(late_ns >= 0 for _, late_ns in sent)
    # Those that were idle last go first: in turn, each of the users would be needed.
    assert len({user for user, _ in sent}) < 100


def test_what_waits_is_taken_by_whoever_gets_free() -> None:
    sent = drive(users=3, arrivals=30, service_s=0.01)
    assert len(sent) == 30
    assert {user for user, _ in sent} == {0, 1, 2}
