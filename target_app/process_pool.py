"""A pool of worker processes. They end with this process, however it ends: their pipe closes."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import CapacityLimiter, to_process

from target_app.cpu import compute


class Processes:
    """A pool of one process for each core that may be used; further calls wait their turn."""

    def __init__(self) -> None:
        self.count = _usable_cores()
        self._limiter = CapacityLimiter(self.count)

    async def compute(self, steps: int) -> int:
        """Run `cpu.compute` in the next free process."""
        return await to_process.run_sync(compute, steps, limiter=self._limiter)


@asynccontextmanager
async def open_processes() -> AsyncIterator[Processes]:
    """Start all processes and let each answer once; AnyIO ends them with the event loop."""
    processes = Processes()
    await asyncio.gather(*(processes.compute(0) for _ in range(processes.count)))
    yield processes


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
