"""The queue: one job at a time, first in, first out."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from control_plane.domain.errors import Conflict, StoreError
from control_plane.domain.run import Run, State
from control_plane.jobs.manual_targets import ManualTargets
from control_plane.jobs.progress import LiveRun
from control_plane.jobs.run_job import RETRY_S, RunJob
from control_plane.jobs.runtime import Runtime
from control_plane.jobs.termination import Termination, first, obstacle
from control_plane.store.store import Store

log = logging.getLogger("looplab.jobs")


class RunQueue:
    """Lives in one event loop; `wake` and `board` may be used from any thread."""

    def __init__(
        self,
        store: Store,
        bench: Runtime,
        rate_of: Callable[[Run], float | None],
        by_hand: ManualTargets,
    ) -> None:
        self._store, self._bench, self._rate_of = store, bench, rate_of
        self._by_hand = by_hand
        self._wake = asyncio.Event()
        self._taking = asyncio.Lock()
        self._reserved = False
        self._loop = asyncio.get_running_loop()
        self._job: RunJob | None = None
        self._task: asyncio.Task[None] | None = None
        self._serving = asyncio.create_task(self._serve(), name="queue")

    @property
    def board(self) -> LiveRun | None:
        """The board of the job that works now."""
        job = self._job
        return job.board if job else None

    @property
    def busy(self) -> bool:
        """Whether a run works now, is about to, or the queue is held."""
        return self._job is not None or self._taking.locked()

    @asynccontextmanager
    async def reserve(self) -> AsyncIterator[None]:
        """No run begins as long as this lasts. Raises Conflict when one works or waits."""
        async with self._taking:
            if self._job is not None:
                raise Conflict("A run measures now.")
            self._reserved = True
            try:
                if await asyncio.to_thread(self._store.count_queued):
                    raise Conflict("A run waits for the machine.")
                yield
            finally:
                self._reserved = False

    def wake(self) -> None:
        """Look for queued runs."""
        self._loop.call_soon_threadsafe(self._wake.set)

    async def cancel(self, run_id: str) -> bool:
        """End the job of this run; False when it does not work now, or was over before.

        Raises StoreError when its processes are gone, and the database does not take its end.
        """
        job = self._job if self._reserved else await self._taken()
        if job is None or job.run.id != run_id:
            return False
        await self._end(Termination(State.CANCELLED, "cancelled"))
        if not job.state.terminal:
            raise StoreError(
                "The end of this run cannot be written now. That is tried until it is."
            )
        return job.state is State.CANCELLED

    async def _taken(self) -> RunJob | None:
        """What works now, once a run that is about to begin has begun."""
        async with self._taking:
            return self._job

    async def close(self) -> None:
        """End the job that works now and take no other."""
        async with self._taking:
            self._serving.cancel()
        await self._end(Termination(State.INTERRUPTED, "Looplab was stopped"))
        await asyncio.wait([self._serving])

    async def _serve(self) -> None:
        while True:
            self._wake.clear()
            try:
                task = await self._take()
            except StoreError as fault:
                log.warning("the queue waits: %s", fault)
                await asyncio.sleep(RETRY_S)
                continue
            if task is None:
                await self._wake.wait()
            else:
                await asyncio.wait([task])
                await self._settle()
                self._job = self._task = None

    async def _take(self) -> asyncio.Task[None] | None:
        """Begin the oldest queued run; `cancel` and `close` wait until that is done."""
        async with self._taking:
            self._job = await asyncio.to_thread(self._oldest)
            if self._job is None:
                return None
            self._task = asyncio.create_task(self._execute(self._job), name=self._job.run.id)
            return self._task

    async def _execute(self, job: RunJob) -> None:
        """Nothing that was started by hand runs beside it."""
        async with self._by_hand.stopped_during(job.run.id) as stopped:
            job.stopped = stopped
            await job.execute()

    def _oldest(self) -> RunJob | None:
        """The oldest queued run, now starting; one that was cancelled meanwhile is passed over."""
        while run := self._store.next_queued():
            rate = self._rate_of(run)
            try:
                started = self._store.move(run.id, State.QUEUED, State.STARTING)
            except Conflict:
                continue
            return RunJob(started, self._store, self._bench, rate)
        return None

    async def _settle(self) -> None:
        """Where the end of a run could not be written, try until it can be."""
        job, task = self._job, self._task
        fault = task.exception() if task and not task.cancelled() else None
        if job is None or fault is None:
            return
        fault = first(fault)
        job.ending = job.ending or Termination.broken(fault)
        trace = None if isinstance(fault, StoreError) else fault
        told = "the end of run %s (%s) is not written: %s"
        log.error(told, job.run.id, job.ending.why, fault, exc_info=trace)
        while not job.state.terminal:
            job.board.obstacle = obstacle(fault)
            try:
                await job.end()
            except Conflict:
                return
            except StoreError as again:
                fault = again
                await asyncio.sleep(RETRY_S)

    async def _end(self, ending: Termination) -> None:
        """Cancel the task once, and wait until its processes are gone and its state is written."""
        job, task = self._job, self._task
        if job is None or task is None:
            return
        if job.ending is None:
            job.ending = ending
            task.cancel()
        await asyncio.wait([task])
        if task.cancelled():
            # Before its first step a task is cancelled without a chance to write anything.
            await job.end()
