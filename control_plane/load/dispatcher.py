"""Hands the arrivals of an open phase to idle users, in one event loop.

One coroutine waits for the next arrival, so that idle users cost nothing and need no timers.
"""

import asyncio
from collections.abc import Callable

from control_plane.load.phase import Phase, clock_ns
from control_plane.load.spin import SPIN_NS, Spin

Begin = Callable[[int, int], None]
"""Lets a user, who is idle, send the request that is meant to start at a moment. Returns at once;
when the request ended the user calls `Dispatcher.free`."""


class Dispatcher:
    """Arrivals that find no idle user wait, in order, and keep their intended start.

    The user that was idle last gets the next one, so that a light load needs few connections.
    With `spin` the last millisecond before an arrival is waited for actively, which is put down
    there; without it the timers of the loop decide, which are late by up to a millisecond.
    """

    def __init__(self, phase: Phase, begin: Begin, spin: Spin | None = None) -> None:
        self._phase, self._begin, self._spin = phase, begin, spin
        self._idle = list(range(phase.users - 1, -1, -1))
        self._freed = asyncio.Event()
        self._due_ns: int | None = None

    async def run(self) -> None:
        """Start the phase; return when every arrival was handed out or given up.

        Users may still be busy then.
        """
        self._phase.start()
        self._due_ns = self._phase.arrive()
        while self._due_ns is not None:
            if self._due_ns > clock_ns():
                await self._sleep(self._due_ns)
            elif self._idle:
                due_ns, self._due_ns = self._due_ns, self._phase.arrive()
                self._begin(self._idle.pop(), due_ns)
            elif not await self._somebody():
                return

    def free(self, user: int, end_ns: int) -> int | None:
        """The request of `user` ended at `end_ns`: the arrival that waited for it, to be sent now.

        None where none waited: the user is idle then.
        """
        due_ns = self._due_ns
        if due_ns is None or due_ns > end_ns or end_ns >= self._phase.until_ns:
            self._idle.append(user)
            self._freed.set()
            return None
        self._due_ns = self._phase.arrive()
        return due_ns

    async def _somebody(self) -> bool:
        """Wait until a user is idle; False where that is too late for this phase."""
        self._freed.clear()
        await self._freed.wait()
        return clock_ns() < self._phase.until_ns

    async def _sleep(self, due_ns: int) -> None:
        """Until about `due_ns`: an arrival may be taken by a user meanwhile, so look again."""
        ahead_ns = due_ns - clock_ns()
        if self._spin is None:
            await asyncio.sleep(max(0, ahead_ns) / 1e9)
        elif ahead_ns > 2 * SPIN_NS:
            # Loops round to milliseconds, up or down: so this ends before the last one.
            await asyncio.sleep((ahead_ns // SPIN_NS - 1) * SPIN_NS / 1e9)
        else:
            await self._spin.until(due_ns)
