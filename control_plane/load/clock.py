"""Waits for moments of the monotonic clock, actively where timers are too coarse."""

import asyncio
import os
import time
from collections.abc import Callable, Mapping

clock_ns: Callable[[], int] = time.monotonic_ns
"""CLOCK_MONOTONIC, which all processes of a machine share."""

SECOND_NS = 1_000_000_000

FAR_NS = 2**62
"""Later than any moment of the clock."""

TIMER_TICK_NS = 1_000_000
"""Loops round to milliseconds: what is closer than that is too close for their timers."""


def delay_s(at_ns: int) -> float:
    """Return the delay for a timer of a loop, which may ring too early: ask again then.

    At least a tick, because uvloop lets half of one end at once, and asking again would be work.
    """
    return max(at_ns - clock_ns(), TIMER_TICK_NS) / 1e9


async def sleep_async_until(at_ns: int) -> None:
    """Return at `at_ns`, up to about a tick later, never before it."""
    while at_ns > clock_ns():  # noqa: ASYNC110 - the clock is awaited
        await asyncio.sleep(delay_s(at_ns))


def sleep_until(at_ns: int) -> None:
    """Return at `at_ns`; for a thread, whose timers are as fine as the clock."""
    while (ahead_ns := at_ns - clock_ns()) > 0:
        time.sleep(ahead_ns / 1e9)


_CANCEL_GRACE_NS = 5_000_000
"""How long a request that is cancelled may take to end."""


def overdue(starts: Mapping[int, int], timeout_ns: int, now_ns: int) -> tuple[list[int], int]:
    """Return the users whose request started `timeout_ns` ago or more, and the next moment to look.

    `starts` holds the actual start of each request in flight. A request that starts later is due
    later, so nothing can be overdue before that moment: requests need no timers of their own.
    """
    late = [user for user, start_ns in starts.items() if start_ns + timeout_ns <= now_ns]
    if late:
        return late, now_ns + _CANCEL_GRACE_NS
    return [], min(starts.values(), default=now_ns) + timeout_ns


_TIMER_DELAY_NS = 100_000
"""By how much timers of whole ticks ring too late on a quiet machine."""

_STEPS = 128
_STEPS_DOWN = 9
"""Nine steps down for one up come to rest where one round in ten is quicker."""


class BusyWait:
    """Waits actively, and puts down how long, because that is not work.

    `spent_ns` grows by the processor time in which the loop went round without doing anything.

    A round in which responses came takes longer than usual ones of those that are idle; of it only
    that much is counted, the rest was work. What is usual follows the rounds: a single quick one
    does not make work of all others. The rule is stochastic approximation of a quantile (Robbins
    and Monro, 1951), in steps that are parts of its value.

    Where cores are `shared`, each round yields the core to whoever wants it, so that a target on
    the same core loses nothing; sends are late then while others are at work.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self.spent_ns = 0
        self._shared = shared
        self._usual_ns = 0.0

    async def until(self, at_ns: int) -> None:
        """Sleep as long as timers can be relied on, then let the loop go round until `at_ns`.

        It goes on to serve its connections.
        """
        while (ticks := (at_ns - _TIMER_DELAY_NS - clock_ns()) // TIMER_TICK_NS) > 0:  # noqa: ASYNC110 - the clock is awaited
            await asyncio.sleep(ticks * TIMER_TICK_NS / 1e9)
        before_ns = time.thread_time_ns()
        while clock_ns() < at_ns:
            if self._shared:
                os.sched_yield()
            await asyncio.sleep(0)
            now_ns = time.thread_time_ns()
            self.spent_ns += self.idle_ns(now_ns - before_ns)
            before_ns = now_ns

    def idle_ns(self, took_ns: int) -> int:
        """Return how much of a round was no work."""
        usual_ns = self._usual_ns or float(took_ns)
        self._usual_ns = usual_ns * (
            1 - _STEPS_DOWN / _STEPS if took_ns < usual_ns else 1 + 1 / _STEPS
        )
        return took_ns if took_ns <= 2 * usual_ns else round(usual_ns)
