"""AnyIO's thread pool of this event loop: its tokens, and its size where one is set."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from . import never_raise
from .ring import THREADS_VARIABLE

UNKNOWN_USE = (-1, -1, -1)
PATIENCE_BEATS = 25
"""After so many beats AnyIO is looked for again, because an application may import it late."""


class PoolTokens:
    """The tokens of the pool. Only a task of the loop can get its limiter."""

    def __init__(self) -> None:
        self._limiter: Any = None
        self._task: asyncio.Task[None] | None = None
        self._beats = 0

    def tokens(self) -> tuple[int, int, int]:
        """Return the tokens: total, busy, and those waited for; -1 each where AnyIO is not used."""
        limiter = self._limiter
        if limiter is None:
            self._find_limiter()
            return UNKNOWN_USE
        total = limiter.total_tokens
        waiting = limiter.statistics().tasks_waiting
        return int(min(total, 1_000_000)), limiter.borrowed_tokens, waiting

    def _find_limiter(self) -> None:
        if self._beats % PATIENCE_BEATS == 0 and "anyio.to_thread" in sys.modules:
            self._task = asyncio.get_running_loop().create_task(self._take_limiter())
        self._beats += 1

    async def _take_limiter(self) -> None:
        self._limiter = default_limiter()


@never_raise
def default_limiter() -> Any:
    """Return the limiter of the running loop; None where the caller is no task of it."""
    return sys.modules["anyio.to_thread"].current_default_thread_limiter()


class PoolSize:
    """Sets the size of the pool once, as soon as AnyIO is imported: before a lifespan, if by then.

    What the application itself sets after that stands. `wanted`: 0 where nothing is left to set.
    """

    def __init__(self) -> None:
        self.wanted = _wanted_size()
        self._task: asyncio.Task[None] | None = None

    @never_raise
    def apply(self) -> None:
        """Set the size if AnyIO is imported; called with every request until it is."""
        if "anyio.to_thread" not in sys.modules:
            return
        if asyncio.current_task() is not None:
            self._set()
        else:
            self._task = asyncio.get_running_loop().create_task(self._set_in_task())

    async def _set_in_task(self) -> None:
        self._set()
        # It holds what the request that made it has put into its context.
        self._task = None

    def _set(self) -> None:
        limiter = default_limiter()
        if self.wanted and limiter is not None:
            limiter.total_tokens, self.wanted = self.wanted, 0


def _wanted_size() -> int:
    text = os.environ.get(THREADS_VARIABLE, "")
    return int(text) if text.isdecimal() else 0


POOL_SIZE = PoolSize()
