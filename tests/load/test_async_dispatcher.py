import asyncio
import time
from itertools import count

import numpy as np

from control_plane.load.arrivals import Arrivals
from control_plane.load.async_dispatcher import Dispatcher
from control_plane.load.clock import TICK_NS, Spin, clock_ns
from control_plane.load.phase import OpenPhase


def each_tick(begin_ns: int) -> Arrivals:
    steps = np.arange(64) * TICK_NS
    return Arrivals(begin_ns + TICK_NS * first + steps for first in count(0, 64))


def test_what_is_late_is_not_sent_after_the_end() -> None:
    """The loop stands still over the end: idle users do not work off what was due before it."""
    sent: list[int] = []

    async def run() -> None:
        begin_ns = clock_ns()
        phase = OpenPhase(20, each_tick, begin_ns=begin_ns, until_ns=begin_ns + 100 * TICK_NS)

        def begin(_user: int, due_ns: int) -> None:
            sent.append((due_ns - begin_ns) // TICK_NS)
            time.sleep(0.11)

        await Dispatcher(phase, begin, Spin()).run()

    asyncio.run(run())
    assert sent == [0]
