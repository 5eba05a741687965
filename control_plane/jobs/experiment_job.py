"""One experiment: a trial of each arm in every block, interleaved; each arm is a run of its own."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any

from control_plane.analysis.comparison import Comparison, compare
from control_plane.analysis.deciding.judged_experiment import JudgedExperiment, judge_experiment
from control_plane.analysis.deciding.noise_floor import block_variances, load_kind
from control_plane.analysis.deciding.sessions import (
    arm_over_blocks,
    with_blocks,
    with_sessions,
)
from control_plane.analysis.differences import machine_of
from control_plane.analysis.prose.experiment_sentences import (
    ExperimentHeadline,
    experiment_sentence,
    kept_headline,
)
from control_plane.domain.errors import StartPrevented, StoreError
from control_plane.domain.experiment import (
    BlockOutcome,
    Experiment,
    ExperimentBlock,
    Findings,
    spare_blocks,
    trial_order,
)
from control_plane.domain.result import Validity
from control_plane.domain.run import Run, State
from control_plane.domain.spec_json import adapter
from control_plane.jobs.progress_and_expected_time import LiveRun
from control_plane.jobs.run_end import PAUSED, STOPPED, RunEnd, written
from control_plane.jobs.run_job import RunJob
from control_plane.store.store import Store
from control_plane.store.writer import MergedResult

log = logging.getLogger("looplab.jobs")

_FAR = 1_000
"""Burnt trials are numbered so far behind all others."""


class ExperimentJob:
    """Executes the trials of all arms in the order of the design, one at a time.

    `jobs` are those of the arms that wait, by the ids of their runs. The first trial is burnt. An
    arm that fails leaves the others going. Blocks that are complete are not measured again.
    `live_run` shows the arm that is measured now.
    """

    def __init__(self, experiment: Experiment, jobs: Mapping[str, RunJob], store: Store) -> None:
        self.experiment, self._store = experiment, store
        self._jobs = {
            place: jobs[arm.run_id]
            for place, arm in enumerate(experiment.arms)
            if arm.run_id is not None and arm.run_id in jobs
        }
        blocks = experiment.design.blocks
        # What is sent once is shared out among blocks that are measured again, too.
        self._places = blocks + 1 + spare_blocks(blocks)
        reached: dict[str, str] = {}
        for job in self._jobs.values():
            job.places, job.reached = self._places, reached
        self._now, self._burnt = next(iter(self._jobs.values())), False
        self._prevented = False
        self._begun: ExperimentBlock | None = None
        self.termination = ArmTerminations(list(self._jobs.values()))

    @property
    def run(self) -> Run:
        """The run of the arm that is measured now."""
        return self._now.run

    @property
    def run_ids(self) -> frozenset[str]:
        """The runs of the arms that go on."""
        return frozenset(job.run.id for job in self._jobs.values() if not job.termination.over)

    @property
    def live_run(self) -> LiveRun:
        """What the arm that is measured now shows of itself."""
        return self._now.live_run

    async def execute(self, stopped: Sequence[str] = ()) -> None:
        """Bring every arm to an end or a pause; a task that is cancelled was told which before."""
        try:
            await self._execute(stopped)
        except asyncio.CancelledError:
            await self.termination.write()
            if self.termination.state is State.PAUSED:
                await written(self._store.discard_begun)
            elif self._begun is not None:
                await self._end_block(self._begun, "incomplete")
            await written(self._keep_findings)
        except StoreError as fault:
            await self.termination.fail(fault)

    async def _execute(self, stopped: Sequence[str]) -> None:
        await written(self._begin_session)
        for job in self._jobs.values():
            await self._attempt(job, self._begin(job, stopped))
        design = self.experiment.design
        order = trial_order(len(self.experiment.arms), design.blocks, design.seed)
        while (row := self.experiment.next_row) is not None and not self.termination.over:
            await self._block(row, order[row])
            if design.rule == "precision" and await self._is_precise():
                break
        going = [job for job in self._jobs.values() if not job.termination.over]
        for job in going:
            await self._attempt(job, job.conclude(self._end_of_last if job is going[-1] else None))
        await written(self._keep_findings)

    def _begin_session(self) -> None:
        self.experiment = self._store.begin_session(self.experiment.id)

    def _end_of_last(self, run_id: str, result: MergedResult) -> None:
        """Store the end of the last arm with what was found: lists tell both, or neither."""
        judged = judged_now(self._store, self.experiment.id, {run_id: result[1]})
        self._store.finish_last_arm(self.experiment.id, run_id, result, findings_of(judged))

    def _keep_findings(self) -> None:
        """Keep what was found where it was not kept with the end of the last arm."""
        judged = judged_now(self._store, self.experiment.id)
        if judged.state.terminal and judged.experiment.noise is None:
            self._store.keep_findings(self.experiment.id, findings_of(judged))

    async def _is_precise(self) -> bool:
        """Return whether the interval is as narrow as was asked for."""
        found: list[JudgedExperiment] = []
        await written(lambda: found.append(judged_now(self._store, self.experiment.id)))
        return found[0].stops

    async def _block(self, row: int, order: Sequence[int]) -> None:
        """Measure a trial of each arm, and take down that they are complete, or spoiled.

        Of a block in which a target was kept from starting the rest is not measured.
        """
        begun: list[ExperimentBlock] = []
        await written(lambda: begun.append(self._store.begin_block(self.experiment.id, row)))
        (block,) = begun
        self._begun, self._prevented = block, False
        for place in order:
            if place in self._jobs and not self._prevented:
                await self._trial(self._jobs[place], block)
        if self.termination.over:
            await self._end_block(block, "incomplete")
        elif self.termination.state is not State.PAUSED:
            disturbed = any(job.disturbed_in(block.number) for job in self._jobs.values())
            spoiled = self._prevented or (disturbed and self.experiment.may_set_aside(row))
            await self._end_block(block, "spoiled" if spoiled else "complete")

    async def _end_block(self, block: ExperimentBlock, outcome: BlockOutcome) -> None:
        """Take down what became of a block."""
        self._begun = None
        self.experiment = replace(
            self.experiment, blocks=(*self.experiment.blocks, replace(block, outcome=outcome))
        )
        await written(lambda: self._store.end_block(self.experiment.id, block.number, outcome))

    async def _attempt(self, job: RunJob, work: Coroutine[Any, Any, None]) -> None:
        """Do a part of one arm; what the database refuses of its end stops no other arm."""
        try:
            await job.attempt(work)
        except StoreError as fault:
            await job.termination.settle(fault)

    async def _begin(self, job: RunJob, stopped: Sequence[str]) -> None:
        """Take the arm out of the queue."""
        if job.termination.state is State.QUEUED:
            with job.termination.withdrawn():
                await job.termination.move(State.STARTING)
        if not job.termination.over:
            await job.begin(stopped)

    async def _trial(self, job: RunJob, block: ExperimentBlock) -> None:
        """Execute the trial of an arm that still goes on."""
        if job.termination.over:
            return
        self._now = job
        await self._attempt(job, self._measure(job, block))

    async def _measure(self, job: RunJob, block: ExperimentBlock) -> None:
        """Execute the trial of one arm, which fails where it was kept from starting twice."""
        if job.termination.state is not State.STARTING:
            await job.termination.move(State.STARTING)
        try:
            if not self._burnt:
                # It sends nothing that a kept one sends, too, and shares its rows with no other.
                number = self._places * _FAR * self.experiment.sessions - 1
                await job.trial(number, block.row + 1, burnt=True)
                self._burnt = True
                await job.termination.move(State.STARTING)
            await job.trial(block.number, block.row + 1)
        except* StartPrevented as prevented:
            if not self.experiment.may_set_aside(block.row):
                raise
            self._prevented = True
            why = prevented.exceptions[0]
            log.warning("block %d of experiment %s: %s", block.number + 1, self.experiment.id, why)


def findings_of(judged: JudgedExperiment) -> Findings:
    """Return what is kept for lists, and for later experiments, of one that is over."""
    if judged.state is not State.FINISHED:
        return Findings(None, (), judged.noise, {})
    variances = block_variances(judged.experiment, judged.runs)
    verdicts = {each.contender: each.verdict.finding for each in judged.primary}
    headline = adapter(ExperimentHeadline).dump_json(kept_headline(judged)).decode()
    return Findings(experiment_sentence(judged), variances, judged.noise, verdicts, headline)


def judged_together(store: Store, run_ids: Sequence[str]) -> JudgedExperiment | None:
    """Return what the experiment says that all of these runs are arms of.

    None where there is none, of one run alone, and as long as it is not over.
    """
    experiment = store.experiment_of(run_ids[0]) if len(run_ids) > 1 else None
    if experiment is None or not {arm.run_id for arm in experiment.arms}.issuperset(run_ids):
        return None
    judged = judged_now(store, experiment.id)
    return judged if judged.state.terminal else None


def decided(comparison: Comparison, store: Store, judged: JudgedExperiment | None) -> Comparison:
    """Return a comparison with what decides it: the experiment of its arms, else sessions."""
    return with_blocks(comparison, judged) if judged else with_sessions(comparison, store)


def compared_now(store: Store, run_ids: Sequence[str], baseline: str, **asked: Any) -> Comparison:
    """Return stored runs side by side, with what decides; `asked` as `compare` takes it.

    Raises NotFound.
    """
    judged = judged_together(store, run_ids)
    found = [store.run(run_id) for run_id in run_ids]
    runs = [arm_over_blocks(run, judged) for run in found] if judged else found
    return decided(compare(runs, baseline, **asked), store, judged)


def judged_now(
    store: Store, experiment_id: str, ending: Mapping[str, Validity] | None = None
) -> JudgedExperiment:
    """Return an experiment with what its trials say, and what experiments before it said of noise.

    `ending`: runs that are about to be stored as finished, with what they are worth. Raises
    NotFound.
    """
    experiment = store.experiment(experiment_id)
    runs = [
        replace(run, state=State.FINISHED, validity=ending[run.id])
        if run and ending and run.id in ending
        else run
        for run in store.arm_runs(experiment)
    ]
    first = next((run for run in runs if run is not None), None)
    machine = machine_of(first) if first else None
    if first is None or machine is None or first.origin is not None:
        return judge_experiment(experiment, runs)
    earlier = store.block_variances(machine, load_kind(first.spec), before=experiment.id)
    return judge_experiment(experiment, runs, earlier)


class ArmTerminations:
    """How the arms end, taken together."""

    def __init__(self, jobs: Sequence[RunJob]) -> None:
        self._each = [job.termination for job in jobs]

    @property
    def over(self) -> bool:
        """Whether nothing works on any arm."""
        return all(termination.over for termination in self._each)

    @property
    def state(self) -> State:
        """Cancelled or paused where an arm is, else that of the last arm."""
        states = [termination.state for termination in self._each]
        ends = (state for state in (State.CANCELLED, State.PAUSED) if state in states)
        return next(ends, states[-1])

    def request(self, end: RunEnd) -> bool:
        """Decide the end of the arms that go on; False where none does. What stops them pauses."""
        if end is STOPPED:
            end = PAUSED._replace(why=STOPPED.why)
        decided = [termination.request(end) for termination in self._each]
        return any(decided)

    async def fail(self, fault: StoreError) -> None:
        """End the arms that go on by what the database refused."""
        for termination in self._each:
            termination.fail(ExceptionGroup("of an experiment", [fault]))
        await self.settle(None)

    async def write(self) -> None:
        """Store the ends that were decided. Raises StoreError."""
        for termination in self._each:
            await termination.write()

    async def settle(self, fault: BaseException | None) -> None:
        """Store the ends where the job itself did not, however long the database refuses them."""
        for termination in self._each:
            if not termination.over:
                await termination.settle(fault)
