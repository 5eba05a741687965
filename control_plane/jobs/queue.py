"""Who has the machine: runs, one at a time, first in, first out; between them idle tasks."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from control_plane.domain.errors import Conflict, MachineBusy, NotFound, StoreError
from control_plane.domain.experiment import Experiment
from control_plane.domain.result import Progress
from control_plane.domain.run import LastRun, Run, State
from control_plane.jobs import Runtime
from control_plane.jobs.manual_targets import ManualTargets
from control_plane.jobs.progress_and_expected_time import LiveRun
from control_plane.jobs.run_end import RETRY_S, STOPPED, RunEnd
from control_plane.store.store import Store

if TYPE_CHECKING:
    from control_plane.jobs.experiment_job import ExperimentJob
    from control_plane.jobs.run_job import RunJob

    Job = RunJob | ExperimentJob

log = logging.getLogger("looplab.jobs")

_LOADED = (State.WARMING, State.RUNNING)
_SPOILED = "internal error: what Looplab keeps of this run cannot be used, its log says more"


GIVEN_UP = "This was given up, because a run needed the machine or it was begun anew"


@dataclass(frozen=True)
class QueueStatus:
    """What the top bar tells: the run that works now, its progress, how many wait."""

    running: Run | None
    progress: Progress | None
    queued: int


class RunQueue:
    """Takes queued runs one after the other.

    Lives in one event loop; `wake` and `live_run` may be used from any thread.
    """

    def __init__(
        self,
        store: Store,
        runtime: Runtime,
        last_run: Callable[[Run], LastRun],
        manual_targets: ManualTargets,
    ) -> None:
        self._store, self._runtime, self._last_run = store, runtime, last_run
        self._manual_targets = manual_targets
        self._wake = asyncio.Event()
        self._taking = asyncio.Lock()
        self._reserved = False
        self._reserving = 0
        self._beginning = ""
        self._loop = asyncio.get_running_loop()
        self._job: Job | None = None
        self._task: asyncio.Task[None] | None = None
        self._serving = asyncio.create_task(self._serve(), name="queue")

    @property
    def live_run(self) -> LiveRun | None:
        """What the job that works now shows of itself."""
        job = self._job
        return job.live_run if job else None

    @property
    def busy(self) -> bool:
        """Whether a run works now, is about to, or the queue is held."""
        return self._job is not None or self._taking.locked()

    @property
    def works(self) -> bool:
        """Whether a run works now."""
        return self._job is not None

    @property
    def reserving(self) -> bool:
        """Whether something holds the queue with `reserve`, or waits to."""
        return self._reserving > 0

    @property
    def loads(self) -> bool:
        """Whether a target has load now, which other work would disturb."""
        return self._job is not None and self._job.live_run.phase in _LOADED

    @asynccontextmanager
    async def reserve(self) -> AsyncIterator[None]:
        """Let no run begin as long as this lasts. Raises MachineBusy when one works or waits."""
        self._reserving += 1
        try:
            async with self._taking:
                self._reserved = True
                try:
                    await self._refuse_beside_runs()
                    yield
                finally:
                    self._reserved = False
        finally:
            self._reserving -= 1

    async def _refuse_beside_runs(self) -> None:
        if self._job is not None:
            raise MachineBusy("A run measures now: do this when it is over.")
        if await asyncio.to_thread(self._store.count_queued):
            raise MachineBusy("A run waits for the machine: do this when it is over.")

    def wake(self) -> None:
        """Look for queued runs."""
        self._loop.call_soon_threadsafe(self._wake.set)

    async def end(self, run_id: str, end: RunEnd) -> bool:
        """End the job of this run so; False when it does not work now, or was over before.

        Raises StoreError when its processes are gone, and the database does not take its end.
        """
        if self._reserved:
            job = self._job
        else:
            async with self._taking:
                job = self._job
        if job is None or run_id not in job.run_ids:
            return False
        await self._end(end)
        if not job.termination.over:
            raise StoreError(
                "The end of this run cannot be written now. That is tried until it is."
            )
        return job.termination.state is end.state

    async def close(self) -> None:
        """End the job that works now and take no other."""
        async with self._taking:
            self._serving.cancel()
        # What cannot be written now, the next start tells.
        with suppress(StoreError):
            await self._end(STOPPED)
        await asyncio.wait([self._serving])

    async def _serve(self) -> None:
        while True:
            self._wake.clear()
            try:
                if not await self._serve_next():
                    await self._wake.wait()
            except StoreError as fault:
                log.warning("the queue waits: %s", fault)
                await asyncio.sleep(RETRY_S)
            except Exception as fault:
                log.error("run %s", self._beginning, exc_info=fault)
                await self._give_up()
                await asyncio.sleep(RETRY_S)

    async def _serve_next(self) -> bool:
        """Execute the oldest queued run to its end; False when none waits."""
        task = await self._take()
        if task is not None:
            await asyncio.wait([task])
            await self._settle(task)
            self._job = self._task = None
        return task is not None

    async def _give_up(self) -> None:
        """Let fail what could not be begun or settled, however long the database refuses it."""
        job, self._job, self._task = self._job, None, None
        run_ids = job.run_ids if job else {self._beginning}
        while True:
            try:
                return await asyncio.to_thread(self._store.give_up, run_ids, _SPOILED)
            except StoreError as fault:
                log.warning("the queue waits: %s", fault)
                await asyncio.sleep(RETRY_S)

    async def _take(self) -> asyncio.Task[None] | None:
        """Begin the oldest queued run; `cancel` and `close` wait until that is done."""
        async with self._taking:
            self._job = await asyncio.to_thread(self._oldest)
            if self._job is None:
                return None
            self._task = asyncio.create_task(self._execute(self._job), name=self._job.run.id)
            return self._task

    async def _execute(self, job: "Job") -> None:
        """Execute the job while nothing that was started by hand runs."""
        # Of the one before: transports and what reads from them know each other.
        gc.collect()
        async with self._manual_targets.stopped_during(job.run.id) as stopped:
            await job.execute(stopped)

    def _oldest(self) -> "Job | None":
        """Return the job of the oldest queued run, now starting, with that of its experiment.

        Those cancelled meanwhile are passed over.
        """
        while run_id := self._store.next_queued():
            self._beginning = run_id
            try:
                run = self._store.run(run_id)
                experiment = self._store.experiment_of(run.id)
                others = self._waiting_arms(experiment, run) if experiment else []
                started = self._store.move(run.id, State.QUEUED, State.STARTING)
            except (Conflict, NotFound):
                continue
            jobs = {each.id: self._job_of(each) for each in (started, *others)}
            if experiment:
                from control_plane.jobs.experiment_job import ExperimentJob

                return ExperimentJob(experiment, jobs, self._store)
            return jobs[run.id]
        return None

    def _job_of(self, run: Run) -> "RunJob":
        from control_plane.jobs.run_job import RunJob

        return RunJob(run, self._store, self._runtime, self._last_run)

    def _waiting_arms(self, experiment: Experiment, first: Run) -> list[Run]:
        """Return the other arms that are queued; the oldest of all is the first of those left."""
        arms = [run for run in self._store.arm_runs(experiment) if run is not None]
        return [run for run in arms if run.state is State.QUEUED and run.id != first.id]

    async def _settle(self, task: asyncio.Task[None]) -> None:
        """Keep the job until its end is written."""
        fault = None if task.cancelled() else task.exception()
        if self._job is not None:
            await self._job.termination.settle(fault)

    async def _end(self, end: RunEnd) -> None:
        """Cancel the task once, and wait until its processes are gone and its state is written."""
        job, task = self._job, self._task
        if job is None or task is None:
            return
        if job.termination.request(end):
            task.cancel()
        await asyncio.wait([task])
        if task.cancelled():
            # Before its first step a task is cancelled without a chance to write anything.
            await job.termination.write()


class IdleTasks:
    """Short work with a target between runs: one piece at a time, and never while a run measures.

    Lives in the event loop of the queue; `give_way` may be used from any thread.
    """

    def __init__(self, queue: RunQueue) -> None:
        self._queue = queue
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    async def begin(self, work: Callable[[], Awaitable[None]], name: str) -> asyncio.Task[None]:
        """Start the work as a task that is cancelled as soon as a run waits.

        What lasts under the same name is given up for it: who asks again changed something. Raises
        Conflict while a run measures, a file is imported or another task lasts.
        """
        while (lasting := self._lasting) is not None:
            if lasting.get_name() != name and not lasting.cancelling():
                raise Conflict("An application is being looked at: wait until that is done.")
            self._stop()
            await asyncio.wait([lasting])
        if self._queue.works:
            raise Conflict("A run measures now, and this would disturb it: do it after the run.")
        if self._queue.reserving:
            raise Conflict("A file is being imported: do this when that is done.")
        self._task = asyncio.create_task(self._execute(work), name=name)
        return self._task

    async def wait(self, task: asyncio.Task[None], again: str) -> None:
        """Wait for a task, which is given up with whoever waits.

        Raises Conflict when something else gave it up: do it `again`.
        """
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                if self._task is task:
                    self._stop()
                raise
            raise Conflict(f"{GIVEN_UP}: {again}.") from None

    def give_way(self) -> None:
        """Give up the task that lasts, because a run waits."""
        self._loop.call_soon_threadsafe(self._stop)

    async def close(self) -> None:
        """Give up the task that lasts, and wait until it ended."""
        lasting = self._lasting
        self._stop()
        if lasting is not None:
            await asyncio.wait([lasting])

    @property
    def _lasting(self) -> asyncio.Task[None] | None:
        return None if self._task is None or self._task.done() else self._task

    async def _execute(self, work: Callable[[], Awaitable[None]]) -> None:
        async with self._queue.reserve():
            await work()

    def _stop(self) -> None:
        if (lasting := self._lasting) is not None and not lasting.cancelling():
            lasting.cancel()
