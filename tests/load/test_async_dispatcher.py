import asyncio
import time
from itertools import count

import numpy as np

from control_plane.load.arrivals import ArrivalQueue
from control_plane.load.async_dispatcher import AsyncDispatcher
from control_plane.load.clock import TIMER_TICK_NS, BusyWait, clock_ns
from control_plane.load.phase import OpenPhase


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
