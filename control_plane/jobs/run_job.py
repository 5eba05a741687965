"""One run: its trials in order, then the merged result, stored in one transaction."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from control_plane.analysis.causes.diagnose import diagnose
from control_plane.analysis.causes.evidence import Evidence
from control_plane.analysis.duration_estimate import phases
from control_plane.analysis.summary import merge
from control_plane.analysis.validity.gates import judge
from control_plane.domain.errors import DatabaseBusy, StoreError, TrialFailed
from control_plane.domain.result import Cause, Environment, Summary, Validity
from control_plane.domain.run import Run, State, StreamResult, TrialResult
from control_plane.jobs.progress import LiveRun
from control_plane.jobs.runtime import Runtime
from control_plane.jobs.source_lines import source_lines
from control_plane.jobs.termination import Termination, by_database, first
from control_plane.jobs.trial_job import TrialJob
from control_plane.store.store import Store
from control_plane.targets.application import resolve_application
from control_plane.targets.cores import CorePlan, available_cores, share_cores
from control_plane.targets.interpreter import interpreter_environment
from control_plane.targets.launch import RunningTarget
from control_plane.targets.machine import run_environment

log = logging.getLogger("looplab.jobs")

RETRY_S = 1.0
"""How long to wait before the database is asked again after it could not be used."""


@dataclass
class RunJob:
    """Executes one queued run. `state` is the state that the store holds.

    `stopped` names the targets that were running by hand and made way for it.
    """

    run: Run
    store: Store
    bench: Runtime
    rate_per_s: float | None
    stopped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        spec = self.run.spec
        self.state = self.run.state
        self.ending: Termination | None = None
        self._results: list[TrialResult] = []
        self._causes: tuple[Cause, ...] = ()
        self.board = LiveRun(
            self.run.id,
            spec.workload.streams,
            spec.trials,
            phases(spec, self.rate_per_s),
            time.monotonic,
        )

    async def execute(self) -> None:
        """Bring the run to a terminal state; `ending` is the one for a task that is cancelled."""
        try:
            await self._execute_or_fail()
        except asyncio.CancelledError:
            await self.end()

    async def end(self) -> None:
        """Write the state that `ending` asks for, unless the run is over."""
        if self.ending and not self.state.terminal:
            facts = self.ending.facts(self.board.trial, self.run.spec.trials)
            await self.move(self.ending.state, **facts)

    async def _execute_or_fail(self) -> None:
        """A fault of any kind is a failed run. Its end is kept until it is written."""
        try:
            await self._execute()
        except* TrialFailed as group:
            self._fail(first(group))
        except* StoreError as group:
            log.error("run %s: %s", self.run.id, first(group))
            self._fail(first(group))
        except* Exception as group:
            log.exception("run %s", self.run.id)
            self._fail(first(group))
        await self.end()

    def _fail(self, fault: BaseException) -> None:
        """Unless another end was asked for or found before."""
        if self.ending is not None:
            return
        if isinstance(fault, TrialFailed):
            self.ending = Termination.failed(fault, self._causes)
        elif isinstance(fault, StoreError):
            self.ending = by_database(fault)
        else:
            self.ending = Termination.broken(fault)

    async def _execute(self) -> None:
        cores = share_cores(self.run.spec, available_cores())
        self._began_s = time.time()
        here = await asyncio.to_thread(run_environment, cores)
        self._environment = {**here, **await self._of_target()}
        if self.stopped:
            self._environment = {**self._environment, "stopped_before": list(self.stopped)}
        try:
            await self._trials(cores)
        except* TrialFailed:
            if self._results:
                self._causes = (await asyncio.to_thread(self._judged))[-1]
            raise
        await self.move(State.FINALIZING)
        self.board.enter(State.FINALIZING)
        await written(self._finish)

    async def _trials(self, cores: CorePlan) -> None:
        for block in range(self.run.spec.trials):
            if block:
                await self.move(State.STARTING)
            self.board.begin_trial(block + 1)
            result = await self._trial(block, cores)
            await written(partial(self.store.save_trial, self.run.id, result))
            self._results.append(result)

    async def _trial(self, block: int, cores: CorePlan) -> TrialResult:
        spec = self.run.spec
        return await TrialJob(spec, block, self.bench, cores, self.board, self._enter).execute()

    async def _of_target(self) -> Environment:
        """Nothing for a target in our own interpreter."""
        target = self.run.spec.target
        application = self.bench.applications.get(target.application or "")
        if application is None or application.python is None:
            return {}
        return await interpreter_environment(application.python, self.bench.instance)

    async def _enter(self, state: State, target: RunningTarget) -> None:
        await self.move(state, command=target.command, environment=self._environment)
        self.board.enter(state)

    def _finish(self) -> None:
        self.store.finish(self.run.id, *self._judged())
        self.state = State.FINISHED

    def _judged(self) -> tuple[Sequence[StreamResult], Validity, tuple[Cause, ...]]:
        """Of the trials that ended: the streams merged, and what they are worth and why."""
        results = self._results
        merged = merge([result.streams for result in results])
        trials = [result.trial for result in results]
        summaries = tuple(one.summary for one in merged)
        validity = judge(trials, summaries, self.run.spec)
        return merged, validity, diagnose(self._evidence(results, summaries, validity))

    def _evidence(
        self, results: Sequence[TrialResult], merged: tuple[Summary, ...], validity: Validity
    ) -> Evidence:
        spec, gauges = self.run.spec, tuple(result.gauges for result in results)
        source: Mapping[str, str] = {}
        started = spec.target.started
        if started is not None:
            application = resolve_application(started, self.bench.applications)
            source = source_lines(gauges, application.directory, self._began_s)
        return Evidence(
            spec,
            tuple(result.trial for result in results),
            merged,
            gauges,
            validity,
            self._environment.get("cpu_count"),
            source,
        )

    async def move(self, after: State, **facts: Any) -> None:
        """Change the state in the store and here: both, or neither, also when cancelled."""

        def change() -> None:
            self.store.move(self.run.id, self.state, after, **facts)
            self.state = after

        await written(change)


async def written(change: Callable[[], None]) -> None:
    """Write what may not be lost: as long as another process holds the database, try again."""
    while True:
        try:
            return await carried_through(change)
        except DatabaseBusy as fault:
            log.warning("a run waits: %s", fault)
        await asyncio.sleep(RETRY_S)


async def carried_through(call: Callable[[], None]) -> None:
    """Run a blocking call in a thread; a cancellation waits until it ended."""
    task = asyncio.create_task(asyncio.to_thread(call))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
