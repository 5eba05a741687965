"""The threads that AnyIO lends to this event loop, where the application uses it."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from .never_raise import never_raise
from .ring import THREADS_VARIABLE

NONE = (-1, -1, -1)
PATIENCE_BEATS = 25
"""An application may import AnyIO late: it is looked for again after so many beats."""


class PoolTokens:
    """Its limiter can be asked for from a task of the loop only."""

    def __init__(self) -> None:
        self._limiter: Any = None
        self._task: asyncio.Task[None] | None = None
        self._beats = 0

    def tokens(self) -> tuple[int, int, int]:
        """Total, busy and waiting."""
        limiter = self._limiter
        if limiter is None:
            self._seek()
            return NONE
        total = limiter.total_tokens
        waiting = limiter.statistics().tasks_waiting
        return int(min(total, 1_000_000)), limiter.borrowed_tokens, waiting

    def _seek(self) -> None:
        if self._beats % PATIENCE_BEATS == 0 and "anyio.to_thread" in sys.modules:
            self._task = asyncio.get_running_loop().create_task(self._ask())
        self._beats += 1

    async def _ask(self) -> None:
        self._limiter = default_limiter()


@never_raise
def default_limiter() -> Any:
    """Of the running loop; None where the caller is no task of it."""
    return sys.modules["anyio.to_thread"].current_default_thread_limiter()


class PoolSize:
    """Set once, as soon as AnyIO is there: before the first code of a lifespan, if by then.

    What the application itself sets after that stands. `wanted`: 0 where nothing is left to do.
    """

    def __init__(self) -> None:
        self.wanted = _wanted()

    @never_raise
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


POOL_SIZE = PoolSize()
