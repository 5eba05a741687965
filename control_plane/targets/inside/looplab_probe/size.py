"""How many threads AnyIO lends to this event loop, where whoever launched the target has a wish."""

from __future__ import annotations

import asyncio
import os
import sys

from .layout import THREADS_VARIABLE
from .pool import default_limiter
from .quiet import quietly


class Size:
    """Set once, as soon as AnyIO is there: before the first code of a lifespan, if by then.

    What the application itself sets after that stands. `wanted`: 0 where nothing is left to do.
    """

    def __init__(self) -> None:
        self.wanted = _wanted()

    @quietly
    def settle(self) -> None:
        """At every call of the application until it is done: AnyIO may be imported late."""
        if "anyio.to_thread" not in sys.modules:
            return
        if asyncio.current_task() is not None:
            self._set()
        else:
            self._task = asyncio.get_running_loop().create_task(self._soon())

    async def _soon(self) -> None:
        self._set()

    def _set(self) -> None:
        limiter = default_limiter()
        if self.wanted and limiter is not None:
            limiter.total_tokens, self.wanted = self.wanted, 0


def _wanted() -> int:
    written = os.environ.get(THREADS_VARIABLE, "")
    return int(written) if written.isdecimal() else 0


SIZE = Size()
