"""Hands the arrivals of an open phase to idle users, in one event loop.

One coroutine waits for the next arrival, so that idle users cost nothing and need no timers.
"""

import asyncio
from collections.abc import Callable

from control_plane.load.clock import BusyWait, clock_ns
from control_plane.load.phase import OpenPhase

Begin = Callable[[int, int], None]
"""Lets a user, who is idle, send the request that is meant to start at a moment. Returns at once;
when the request ended the user calls `AsyncDispatcher.free`."""


class AsyncDispatcher:
    """Arrivals that find no idle user wait, in order, and keep their intended start.

    The user that was idle last gets the next one, so that a light load needs few connections.
    """

    def __init__(self, phase: OpenPhase, begin: Begin, spin: BusyWait) -> None:
        self._phase, self._begin, self._spin = phase, begin, spin
        self._idle = list(range(phase.users - 1, -1, -1))
        self._freed = asyncio.Event()
        self._due_ns: int | None = None

    async def run(self) -> None:
        """Start the phase; return when every arrival was handed out or the phase is over.

        Users may still be busy then.
        """
        self._phase.start()
        self._due_ns = self._phase.arrive()
        while self._due_ns is not None and not self._phase.over(clock_ns()):
            if self._due_ns > clock_ns():
                # It may be taken by a user meanwhile, so look again.
                await self._spin.until(self._due_ns)
            elif self._idle:
                due_ns, self._due_ns = self._due_ns, self._phase.arrive()
                self._begin(self._idle.pop(), due_ns)
            else:
                self._freed.clear()
                await self._freed.wait()

    def free(self, user: int, end_ns: int) -> int | None:
        """The request of `user` ended at `end_ns`: the arrival that waited for it, to be sent now.

        None where none waited: the user is idle then.
        """
        due_ns = self._due_ns
        if due_ns is None or due_ns > end_ns or self._phase.over(end_ns):
            self._idle.append(user)
            self._freed.set()
            return None
        self._due_ns = self._phase.arrive()
        return due_ns
