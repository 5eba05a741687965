"""What some workloads need and others do not pay for: opened once, closed with the application."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Generic, TypeVar

T = TypeVar("T")


class Resource(Generic[T]):
    """A value whose `opening` runs at the first `get` and is left with the stack."""

    def __init__(
        self, opening: Callable[[], AbstractAsyncContextManager[T]], stack: AsyncExitStack
    ) -> None:
        self._opening = opening
        self._stack = stack
        self._lock = asyncio.Lock()
        self._value: T | None = None

    async def get(self) -> T:
        """The open value; requests that arrive while it opens wait for it."""
        if self._value is not None:
            return self._value
        async with self._lock:
            if self._value is None:
                self._value = await self._stack.enter_async_context(self._opening())
            return self._value
