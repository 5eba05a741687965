"""The queue: one job at a time, first in, first out."""

import asyncio
import logging
from collections.abc import Callable

from control_plane.domain.errors import Conflict
from control_plane.domain.run import Run
from control_plane.domain.states import State
from control_plane.jobs.bench import Bench
from control_plane.jobs.board import Board
from control_plane.jobs.run_job import RunJob
from control_plane.store.store import Store

log = logging.getLogger("looplab.jobs")


class Queue:
    """Lives in one event loop; `wake` may be called from any thread."""

    def __init__(self, store: Store, bench: Bench, rate_of: Callable[[Run], float | None]) -> None:
        self._store, self._bench, self._rate_of = store, bench, rate_of
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._job: RunJob | None = None
        self._task: asyncio.Task[None] | None = None
        self._serving = asyncio.create_task(self._serve(), name="queue")

    @property
    def board(self) -> Board | None:
        """The board of the job that works now."""
        return self._job.board if self._job else None

    def wake(self) -> None:
        """Look for queued runs."""
        self._loop.call_soon_threadsafe(self._wake.set)

    async def cancel(self, run_id: str) -> bool:
        """End the job of this run; False when it does not work now, or was over before."""
        job = self._job
        if job is None or job.run.id != run_id:
            return False
        await self._end(State.CANCELLED, "cancelled")
        return job.state is State.CANCELLED

    async def close(self) -> None:
        """End the job that works now and take no other."""
        self._serving.cancel()
        await self._end(State.INTERRUPTED, "Looplab was stopped")
        await asyncio.wait([self._serving])

    async def _serve(self) -> None:
        while True:
            self._wake.clear()
            run = await asyncio.to_thread(self._take)
            if run is None:
                await self._wake.wait()
                continue
            rate = await asyncio.to_thread(self._rate_of, run)
            self._job = RunJob(run, self._store, self._bench, rate)
            self._task = asyncio.create_task(self._job.execute(), name=f"run {run.id}")
            await asyncio.wait([self._task])
            if not self._task.cancelled() and (fault := self._task.exception()):
                log.error("run %s could not be brought to an end", run.id, exc_info=fault)
            self._job = self._task = None

    def _take(self) -> Run | None:
        """The oldest queued run, now starting; one that was cancelled meanwhile is passed over."""
        while run := self._store.next_queued():
            try:
                return self._store.move(run.id, State.QUEUED, State.STARTING)
            except Conflict:
                continue
        return None

    async def _end(self, state: State, reason: str) -> None:
        """Cancel the task, and wait until its processes are gone and its state is written."""
        job, task = self._job, self._task
        if job is not None and task is not None:
            job.ending = (state, reason)
            task.cancel()
            await asyncio.wait([task])
