"""Short work with a target between runs: one piece at a time, and never while a run measures."""

import asyncio
from collections.abc import Awaitable, Callable

from control_plane.domain.errors import Conflict
from control_plane.jobs.queue import RunQueue


class IdleTasks:
    """Lives in the event loop of the queue; `give_way` may be used from any thread."""

    def __init__(self, queue: RunQueue) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    def begin(self, work: Callable[[], Awaitable[None]], name: str) -> asyncio.Task[None]:
        """A task that is cancelled as soon as a run waits.

        Raises Conflict while a run measures or another errand lasts.
        """
        if self._task is not None:
            raise Conflict("An application is being looked at: wait until that is done.")
        if self._queue.busy:
            raise Conflict("A run measures now, and this would disturb it: do it after the run.")
        self._task = asyncio.create_task(self._execute(work), name=name)
        return self._task

    def give_way(self) -> None:
        """A run waits: what lasts is given up."""
        self._loop.call_soon_threadsafe(self._stop)

    async def close(self) -> None:
        task = self._task
        self._stop()
        if task is not None:
            await asyncio.wait([task])

    async def _execute(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            async with self._queue.reserve():
                await work()
        finally:
            self._task = None

    def _stop(self) -> None:
        if self._task is not None and not self._task.cancelling():
            self._task.cancel()
