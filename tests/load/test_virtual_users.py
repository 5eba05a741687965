import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np

from control_plane.load.clock import TIMER_TICK_NS, BusyWait, clock_ns
from control_plane.load.schedule import ArrivalQueue, OpenPhase
from control_plane.load.virtual_users import AsyncDispatcher, ThreadDispatcher


def each_tick(begin_ns: int) -> ArrivalQueue:
    steps = np.arange(64) * TIMER_TICK_NS
    return ArrivalQueue(begin_ns + TIMER_TICK_NS * first + steps for first in count(0, 64))


def test_what_is_late_is_not_sent_after_the_end() -> None:
    """The loop stands still over the end: idle users do not work off what was due before it."""
    sent: list[int] = []

    async def run() -> None:
        begin_ns = clock_ns()
        phase = OpenPhase(20, each_tick, begin_ns=begin_ns, until_ns=begin_ns + 100 * TIMER_TICK_NS)

        def begin(_user: int, due_ns: int) -> None:
            sent.append((due_ns - begin_ns) // TIMER_TICK_NS)
            time.sleep(0.11)

        await AsyncDispatcher(phase, begin, BusyWait()).run()

    asyncio.run(run())
    assert sent == [0]


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
    dispatcher, sent, gate = (
        ThreadDispatcher(phase),
        list[tuple[int, int]](),
        threading.Barrier(users),
    )

    def user(number: int) -> None:
        if gate.wait() == 0:
            phase.start()
        gate.wait()
        due_ns = dispatcher.first(number)
        while due_ns is not None:
            sent.append((number, clock_ns() - due_ns))
            time.sleep(service_s)
            due_ns = dispatcher.after(due_ns, clock_ns())

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
