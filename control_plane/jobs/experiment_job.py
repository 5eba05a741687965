"""One experiment: a trial of each arm in every block, interleaved; each arm is a run of its own."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from control_plane.domain.errors import StoreError
from control_plane.domain.experiment import Experiment, trial_order
from control_plane.domain.run import Run, State
from control_plane.jobs.progress import LiveRun
from control_plane.jobs.run_end import RunEnd
from control_plane.jobs.run_job import RunJob


class ExperimentJob:
    """Executes the trials of all arms in the order of the design, one at a time.

    The first trial is burnt. An arm that fails leaves the others going. `live_run` shows the arm
    that is measured now.
    """

    def __init__(self, experiment: Experiment, jobs: Sequence[RunJob]) -> None:
        self.experiment = experiment
        self._jobs = tuple(jobs)
        for job in self._jobs:
            # The burnt trial takes the last one.
            job.places = experiment.design.blocks + 1
        self._now, self._burnt = self._jobs[0], False
        self.termination = ArmTerminations(self._jobs)

    @property
    def run(self) -> Run:
        """The run of the arm that is measured now."""
        return self._now.run

    @property
    def run_ids(self) -> frozenset[str]:
        """The runs of the arms that go on."""
        return frozenset(job.run.id for job in self._jobs if not job.termination.over)

    @property
    def live_run(self) -> LiveRun:
        """What the arm that is measured now shows of itself."""
        return self._now.live_run

    async def execute(self, stopped: Sequence[str] = ()) -> None:
        """Bring every arm to a terminal state; a task that is cancelled was told which before."""
        try:
            await self._execute(stopped)
        except asyncio.CancelledError:
            await self.termination.write()

    async def _execute(self, stopped: Sequence[str]) -> None:
        for job in self._jobs:
            await self._attempt(job, self._begin(job, stopped))
        order = trial_order(len(self._jobs), self.experiment.design.blocks, self._seed)
        for block, places in enumerate(order):
            for place in places:
                await self._trial(self._jobs[place], block)
        for job in self._jobs:
            if not job.termination.over:
                await self._attempt(job, job.conclude())

    async def _attempt(self, job: RunJob, work: Coroutine[Any, Any, None]) -> None:
        """Do a part of one arm; what the database refuses of its end stops no other arm."""
        try:
            await job.attempt(work)
        except StoreError as fault:
            await job.termination.settle(fault)

    @property
    def _seed(self) -> int:
        return self.experiment.design.seed

    async def _begin(self, job: RunJob, stopped: Sequence[str]) -> None:
        """Take the arm out of the queue."""
        if job.termination.state is State.QUEUED:
            with job.termination.withdrawn():
                await job.termination.move(State.STARTING)
        if not job.termination.over:
            await job.begin(stopped)

    async def _trial(self, job: RunJob, block: int) -> None:
        """Execute the trial of an arm that still goes on."""
        if job.termination.over:
            return
        self._now = job
        await self._attempt(job, self._measure(job, block))

    async def _measure(self, job: RunJob, block: int) -> None:
        if job.termination.state is not State.STARTING:
            await job.termination.move(State.STARTING)
        if not self._burnt:
            self._burnt = True
            await job.trial(self.experiment.design.blocks, burnt=True)
            await job.termination.move(State.STARTING)
        await job.trial(block)


class ArmTerminations:
    """How the arms end, taken together."""

    def __init__(self, jobs: Sequence[RunJob]) -> None:
        self._each = [job.termination for job in jobs]

    @property
    def over(self) -> bool:
        """Whether the store holds a terminal state of every arm."""
        return all(termination.over for termination in self._each)

    @property
    def state(self) -> State:
        """Cancelled where an arm is, else that of the last arm."""
        states = [termination.state for termination in self._each]
        return State.CANCELLED if State.CANCELLED in states else states[-1]

    def request(self, end: RunEnd) -> bool:
        """Decide the end of the arms that go on; False where none does."""
        decided = [termination.request(end) for termination in self._each]
        return any(decided)

    async def write(self) -> None:
        """Store the ends that were decided. Raises StoreError."""
        for termination in self._each:
            await termination.write()

    async def settle(self, fault: BaseException | None) -> None:
        """Store the ends where the job itself did not, however long the database refuses them."""
        for termination in self._each:
            if not termination.over:
                await termination.settle(fault)
