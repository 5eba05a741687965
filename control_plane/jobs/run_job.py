"""One run: its trials in order, then the merged result, stored in one transaction."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from control_plane.analysis.causes import diagnose
from control_plane.analysis.causes.evidence import Evidence
from control_plane.analysis.deciding import judged_objective
from control_plane.analysis.differences import after_pause
from control_plane.analysis.summary import merge
from control_plane.analysis.validity.judged_run import disturbances, judge
from control_plane.domain.errors import TargetFailed, TrialFailed
from control_plane.domain.result import Cause, Environment, Summary, Validity
from control_plane.domain.run import LastRun, Run, State, TrialResult
from control_plane.domain.secrets import secret_texts
from control_plane.domain.sequence_numbers import ReservedNumbers, most_numbers, reserved
from control_plane.domain.spec import BUNDLED, Workload
from control_plane.jobs import Runtime
from control_plane.jobs.progress_and_expected_time import LiveRun, expected_phases
from control_plane.jobs.run_end import Termination
from control_plane.jobs.trial_job import TrialJob
from control_plane.load.worker_protocol import Shard
from control_plane.store.mapping import readable
from control_plane.store.store import Store
from control_plane.store.writer import MergedResult
from control_plane.targets.application import resolve_application
from control_plane.targets.cores_and_run_environment import (
    application_code,
    application_names,
    application_revision,
    of_client_only,
    run_environment,
    share_cores,
    unasked_settings,
)
from control_plane.targets.interpreter_packages import target_environment
from control_plane.targets.launch import RunningTarget
from control_plane.targets.observation.machine import (
    available_cores,
    lowest_quota_cores,
)
from control_plane.targets.observation.stalls import source_lines


class RunJob:
    """Executes one queued run. `live_run` shows it meanwhile, `termination` decides how it ends.

    `last_run` tells of earlier ones of this kind. What is sent once in a run is shared out among
    `places`, one for each trial. All trials ask the address that the first one `reached`. Trials of
    a run that was paused count as its first ones.
    """

    def __init__(
        self, run: Run, store: Store, runtime: Runtime, last_run: Callable[[Run], LastRun]
    ) -> None:
        spec = run.spec
        self.run, self._store, self._runtime, self._last_run = run, store, runtime, last_run
        self.live_run = LiveRun(
            run.id,
            spec.workload.streams,
            spec.trials,
            expected_phases(spec),
            time.monotonic,
        )
        self.live_run.deadline_s = spec.timeout_s
        self.termination = Termination(run, store, self.live_run)
        self.places = spec.trials
        self.reached: dict[str, str] = {}
        self._interpreters = runtime.interpreters
        self._results: list[TrialResult] = []
        self._causes: tuple[Cause, ...] = ()
        self._secrets: Mapping[str, str] = {}
        self._secret_texts: Mapping[str, str] = {}

    @property
    def run_ids(self) -> frozenset[str]:
        """The run that it executes."""
        return frozenset({self.run.id})

    async def execute(self, stopped: Sequence[str] = ()) -> None:
        """Bring the run to a terminal state; a task that is cancelled was told which before.

        `stopped` names the targets that were running by hand and made way for it. A fault of any
        kind is a failed run.
        """
        with suppress(asyncio.CancelledError):
            await self.attempt(self._execute(stopped))

    async def attempt(self, work: Coroutine[Any, Any, None]) -> None:
        """Do a part of it: a fault of any kind ends the run as failed, and a cancellation as told.

        Raises CancelledError when the end is written.
        """
        try:
            try:
                await work
            except* Exception as faults:  # noqa: BLE001 - whatever it is, the run failed
                self.termination.fail(faults, self._causes, self._secret_texts)
            await self.termination.write()
        except asyncio.CancelledError:
            await self.termination.write()
            raise

    async def _execute(self, stopped: Sequence[str]) -> None:
        await self.begin(stopped)
        for block in range(self.run.spec.trials):
            if block:
                await self.termination.move(State.STARTING)
            await self.trial(block)
        await self.conclude()

    async def begin(self, stopped: Sequence[str]) -> None:
        """Take down what the run is measured in, before its first trial."""
        await asyncio.to_thread(self._prepare)
        self._cores = share_cores(self.run.spec, available_cores())
        self._secrets = await asyncio.to_thread(self._store.secrets_of, self.run.id)
        requests = (request for _, request in self.run.spec.requests())
        with readable(self.run.id):
            self._secret_texts = secret_texts(requests, self._secrets)
        if self.run.trials:
            self._results = await asyncio.to_thread(self._store.trial_results, self.run.id)
        self._began_s = time.time()
        machine = await asyncio.to_thread(run_environment, self._cores)
        revision = await asyncio.to_thread(self._revision)
        self._environment: Environment = {**machine, **revision}
        if stopped:
            self._environment = {**self._environment, "stopped_before": list(stopped)}

    async def conclude(self, keep: Callable[[str, MergedResult], None] | None = None) -> None:
        """Merge and judge the trials, and store the run as finished; `keep` as in `finish`."""
        await self.termination.move(State.FINALIZING)
        self.live_run.enter(State.FINALIZING)
        await self.termination.finish(self._judged, keep)

    def _prepare(self) -> None:
        """Keep the applications as they are now, and say how long the run will take."""
        # No change of their file may come between two trials.
        applications = dict(self._runtime.applications.items())
        self._runtime = replace(self._runtime, applications=applications, reached=self.reached)
        for trial in self.run.trials:
            self.reached.setdefault(self.run.spec.target.url, trial.target.address)
        self.live_run.expected = expected_phases(self.run.spec, self._last_run(self.run))

    async def trial(self, block: int, shown: int | None = None, *, burnt: bool = False) -> None:
        """Execute one trial and keep its result; a `burnt` one is thrown away.

        What it sends depends on the number of its `block`; on pages it has the number `shown`.
        Raises a group of what failed.
        """
        self.live_run.begin_trial(shown or block + 1)
        numbers = await asyncio.to_thread(self._reserve_numbers)
        code = await asyncio.to_thread(self._code)
        spec = replace(self.run.spec, workload=Workload(numbers.streams))
        try:
            result = await TrialJob(
                spec,
                Shard(block, self.places),
                self._runtime,
                self._cores,
                self.live_run,
                self._enter,
                self._secrets,
            ).execute()
        except* TrialFailed:
            if self._results:
                self._causes = (await asyncio.to_thread(self._judged))[2]
            raise
        if numbers.used is not None:
            await asyncio.to_thread(self._store.release_numbers, numbers, result.numbers)
        if not burnt:
            target = replace(result.trial.target, code=code)
            result = replace(result, trial=replace(result.trial, target=target))
            await self.termination.keep(result)
            self._results.append(result)

    def disturbed_in(self, block: int) -> bool:
        """Return whether something outside of target and client disturbed the trial of a block."""
        trials = (result.trial for result in self._results if result.trial.block == block)
        return any(disturbances(trial, self.run.spec) for trial in trials)

    def _revision(self) -> Environment:
        """Return that of an application of the settings, with what its server reads unasked.

        Nothing for any other target.
        """
        application = self._runtime.applications.get(self.run.spec.target.application or "")
        started = self.run.spec.target.started
        if application is None or started is None:
            return {}
        settings: Environment = {}
        # The start tells what is wrong with its env_file.
        with suppress(TargetFailed):
            settings = unasked_settings(application, started)
        directory = application.directory
        return {**application_revision(directory), **application_names(directory), **settings}

    def _code(self) -> str | None:
        """Return which code the next trial measures; it may have been edited since the last one."""
        application = self._runtime.applications.get(self.run.spec.target.application or "")
        return None if application is None else application_code(application.directory)

    async def _target_facts(self, target: RunningTarget) -> Environment:
        """Return the environment with what is known of the target once it runs."""
        pids = target.pids()
        quota = await asyncio.to_thread(lowest_quota_cores, pids)
        facts = {**self._environment, "target_quota_cores": quota}
        started = self.run.spec.target.started
        if started is not None and started.application == BUNDLED:
            return facts
        application = self._runtime.applications.get(self.run.spec.target.application or "")
        by_import = application is not None and not application.command
        python = application.interpreter if application and by_import else None
        serving = await target_environment(python, pids, self._interpreters)
        return {**of_client_only(facts), **serving}

    def _reserve_numbers(self) -> ReservedNumbers:
        """Keep from others, and from later trials, what the sequences of one trial may take.

        Whatever is asked at one port of this machine is one application.
        """
        spec, target = self.run.spec, self.run.spec.target
        streams = spec.workload.streams
        application = target.application or f"port {urlsplit(target.url).port or 80}"
        most = most_numbers(streams, spec.warmup_s, spec.timeout_s, spec.client.processes)
        without_sequences = reserved(application, streams, None, most)
        if without_sequences.used is None:
            return without_sequences
        return self._store.reserve_numbers(application, streams, most)

    async def _enter(self, state: State, target: RunningTarget) -> None:
        if "target_quota_cores" not in self._environment:
            self._environment = await self._target_facts(target)
            if self.run.trials and self.run.environment:
                self._environment = after_pause(self.run.environment, self._environment)
        await self.termination.move(state, command=target.command, environment=self._environment)
        self.live_run.enter(state)

    def _judged(self) -> MergedResult:
        """Merge the trials that ended, and judge what they are worth and why."""
        results = self._results
        merged = merge([result.streams for result in results], self.run.spec.timeout_s)
        trials = [result.trial for result in results]
        summaries = tuple(stream.summary for stream in merged)
        validity = judge(trials, summaries, self.run.spec)
        causes = diagnose(self._evidence(results, summaries, validity))
        valid = validity.outcome != "invalid"
        asked = self.run.spec.objectives
        judged = tuple(judged_objective(objective, trials, valid=valid) for objective in asked)
        return merged, validity, causes, judged

    def _evidence(
        self, results: Sequence[TrialResult], merged: tuple[Summary, ...], validity: Validity
    ) -> Evidence:
        spec, gauges = self.run.spec, tuple(result.gauges for result in results)
        source: Mapping[str, str] = {}
        started = spec.target.started
        if started is not None:
            application = resolve_application(started, self._runtime.applications)
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
