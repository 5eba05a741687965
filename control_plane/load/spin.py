"""Waiting actively, where timers are too coarse; put down, because it is not work."""

import asyncio

from control_plane.load.phase import clock_ns

SPIN_NS = 1_000_000
"""How long before a moment timers of the loop cannot be relied on any more."""


class Spin:
    """`spent_ns` grows by the time in which the loop went round without doing anything.

    A round in which answers came takes longer than the quickest one; of those only that much is
    counted, the rest was work.
    """

    def __init__(self) -> None:
        self.spent_ns = 0
        self._quickest_ns = SPIN_NS

    async def until(self, at_ns: int) -> None:
        """Let the loop go round until `at_ns`; it goes on to serve its connections."""
        before_ns = clock_ns()
        while before_ns < at_ns:
            await asyncio.sleep(0)
            now_ns = clock_ns()
            self._round(now_ns - before_ns)
            before_ns = now_ns

    def _round(self, took_ns: int) -> None:
        self._quickest_ns = min(self._quickest_ns, took_ns)
        idle = took_ns <= 2 * self._quickest_ns
        self.spent_ns += took_ns if idle else self._quickest_ns
