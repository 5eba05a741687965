"""One trial: a freshly started target, warm-up, one window, and everything ended after it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from control_plane.analysis.summary import client_use, summarize
from control_plane.domain.errors import ClientFailed, TargetFailed
from control_plane.domain.request import placeholder_names
from control_plane.domain.result import TargetUse, Trial
from control_plane.domain.run import State, StreamResult, TrialResult
from control_plane.domain.secrets import SecretFinder, revealed, secret_texts
from control_plane.domain.spec import Spec, Stream, Target
from control_plane.domain.stream_record import (
    FailedResponse,
    Second,
    StreamRecord,
    first_failures,
    merge_records,
)
from control_plane.jobs import Runtime
from control_plane.jobs.before_requests import BeforeRequests, Prepared
from control_plane.jobs.progress_and_expected_time import LiveRun
from control_plane.jobs.run_end import IdleTimeout, longest_silence_s, silence_reason
from control_plane.jobs.worker_process import LoadWorker
from control_plane.load.worker_protocol import (
    Draining,
    LoadPlan,
    OpenEnds,
    Shard,
    WindowClosed,
    WindowOpened,
    WorkerResult,
    seeds_of,
    shards,
    trial_seed,
)
from control_plane.targets.application import Application, resolve_application
from control_plane.targets.cores_and_run_environment import CorePlan
from control_plane.targets.environment_variables import secret_variables
from control_plane.targets.launch import RunningTarget, start_application
from control_plane.targets.observation.procfs import held
from control_plane.targets.observation.sampler import Sampler, WindowUsage
from control_plane.targets.running_target import HURRIED_GRACE_S

LEAD_NS = 20_000_000
"""How far ahead the common start lies, so that every load worker has read it by then."""


_HASH_SEEDS = 2**32


@dataclass
class _Window:
    """From the first load worker that opens its own to the last one's end.

    `workers` is how many tell of it. `entered` is called once, when it opens.
    """

    workers: int
    sampler: Sampler
    live_run: LiveRun
    entered: Callable[[], Awaitable[None]]
    _opened_ns: int | None = None

    async def open(self, stream: str, at_ns: int) -> None:
        """Take down that a worker of `stream` opened its own, at `at_ns` of the monotonic clock."""
        first = self._opened_ns is None
        if first:
            self.sampler.open_window()
        self._opened_ns = min(at_ns, self._opened_ns or at_ns)
        self.live_run.streams[stream].opens_s = (at_ns - self._opened_ns) / 1e9
        if first:
            await self.entered()

    def end(self) -> None:
        """Take down that the window of one worker is over."""
        self.workers -= 1
        if not self.workers:
            self.sampler.stop_sampling()
            self.live_run.close_window()


@dataclass(frozen=True)
class TrialJob:
    """Executes one trial, which has a `place` among all of its run, counted from 0.

    `enter` is called once for each change of state, in order.

    `secrets` are what placeholders of the spec stand for, as JSON by digest.
    """

    spec: Spec
    place: Shard
    runtime: Runtime
    cores: CorePlan
    live_run: LiveRun
    enter: Callable[[State, RunningTarget], Awaitable[None]]
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    async def execute(self) -> TrialResult:
        """Run the trial. Raises TargetFailed or ClientFailed; leaves no process behind."""
        self.runtime.refuse_changed_files()
        started_at = datetime.now(UTC)
        async with AsyncExitStack() as stack:
            target, workers, prepared = await self._start(stack)
            self.live_run.log = target.log
            pids = [worker.pid for worker in workers]
            sampler = Sampler(
                target.pids, pids, os.getpid(), target.probe_output, target.companions
            )
            self.live_run.gauges = sampler.gauges_so_far
            records = await self._drive(target, workers, sampler)
            use = sampler.close_window(sum(record.cpu_s for record in records))
            result = self._result(started_at, target, records, use, prepared)
        if target.killed_after_s is None:
            return result
        killed = replace(
            result.trial.target, killed_after_s=target.killed_after_s, log=target.log()
        )
        return replace(result, trial=replace(result.trial, target=killed))

    async def _start(
        self, stack: AsyncExitStack
    ) -> tuple[RunningTarget, list[LoadWorker], Prepared]:
        """Start the target, make its users ready, then start the load workers.

        Each process is ended by the stack.
        """
        target = await stack.enter_async_context(self._target())
        await target.check(self._checked_path())
        prepared = await self._before(target)
        plans = self._plans(target, prepared)
        workers = [await stack.enter_async_context(self._worker(plan)) for plan in plans]
        await asyncio.gather(*(worker.ready() for worker in workers))
        return target, workers, prepared

    async def _before(self, target: RunningTarget) -> Prepared:
        """Send the requests before the load; what they captured stands in no line of its log."""
        spec, block = self.spec, self.place
        seeds = seeds_of(spec.seed, self.live_run.run_id, block, len(spec.workload.streams))
        before = BeforeRequests(spec, self.secrets, seeds, target.url, target.host_header)
        try:
            return await before.send()
        except TargetFailed as failed:
            reason = SecretFinder(self._hidden_texts()).hide_cut(str(failed))
        finally:
            target.hide(before.captured)
        raise TargetFailed(target.failure() or reason, target.log())

    @asynccontextmanager
    async def _target(self) -> AsyncIterator[RunningTarget]:
        started = self.spec.target.started
        if started is None:
            target = await self.runtime.reach(self.spec.target)
        else:
            place = replace(
                self.runtime.launch_context(self.cores.target),
                secrets=self._secret_texts(),
                hash_seed=trial_seed(self.spec.seed, self.place.first, 0) % _HASH_SEEDS,
            )
            target = await start_application(self._application(started), started, place)
        try:
            yield target
        except asyncio.CancelledError:
            await target.stop(self._hurried_s)
            raise
        finally:
            await self._stop(target)

    async def _stop(self, target: RunningTarget) -> None:
        """End it in order, whether the trial failed or not; a cancellation shortens that."""
        try:
            await target.stop()
        except asyncio.CancelledError:
            await target.stop(self._hurried_s)
            raise

    @property
    def _hurried_s(self) -> float:
        """How long the target may take to end once cancelled; 0 for one that is not ours to end."""
        started = self.spec.target.started
        patience_s = self._application(started).stop_timeout_s if started else 0.0
        return min(patience_s, HURRIED_GRACE_S)

    def _checked_path(self) -> str:
        """Return a path that the load asks for and that may be asked for beforehand."""
        streams = self.spec.workload.streams
        requests = (request for stream in streams for request in stream.requests)
        plain = (
            request.path
            for request in requests
            if request.method == "GET" and not placeholder_names(request.path)
        )
        return next(plain, "/")

    def _application(self, chosen: Target) -> Application:
        streams = self.spec.workload.streams
        paths = [request.path for stream in streams for request in stream.requests]
        return resolve_application(chosen, self.runtime.applications, paths)

    @asynccontextmanager
    async def _worker(self, plan: LoadPlan) -> AsyncIterator[LoadWorker]:
        environment = {"LOOPLAB_INSTANCE": self.runtime.instance}
        worker = await LoadWorker.start(plan, cores=self.cores.client, environment=environment)
        try:
            yield worker
        finally:
            await worker.stop()

    def _plans(self, target: RunningTarget, prepared: Prepared) -> list[LoadPlan]:
        """Return one for each process: those of the first stream, then those of the next."""
        spec, block = self.spec, self.place
        users = [stream.load.users for stream in spec.workload.streams]
        return [
            LoadPlan(
                stream=revealed(stream, self.secrets),
                client=spec.client,
                base_url=target.url,
                host=target.host_header,
                warmup_s=spec.warmup_s,
                timeout_s=spec.timeout_s,
                seed=trial_seed(spec.seed, self.place.first, index),
                share=share,
                seeds=seeds_of(spec.seed, self.live_run.run_id, block, index),
                captured=prepared.of(sum(users[:index]), users[index], share),
            )
            for index, stream in enumerate(spec.workload.streams)
            for share in shards(spec.client.processes)
        ]

    async def _drive(
        self, target: RunningTarget, workers: Sequence[LoadWorker], sampler: Sampler
    ) -> list[StreamRecord]:
        await self.enter(State.WARMING, target)
        opened = asyncio.Event()
        window = _Window(len(workers), sampler, self.live_run, lambda: self._open(opened, target))
        at_ns = time.monotonic_ns() + LEAD_NS
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                worker.go(at_ns)
            measuring = [group.create_task(self._follow(worker, window)) for worker in workers]
            guards = [
                group.create_task(self._until_target_ends(target)),
                *(
                    group.create_task(self._until_silent(target, workers, stream, opened))
                    for stream in self.spec.workload.streams
                    if stream.stop.requests is not None
                ),
            ]
            await asyncio.wait(measuring)
            for guard in guards:
                guard.cancel()
        reason = target.failure()
        if reason:
            raise TargetFailed(reason, target.log())
        return [task.result() for task in measuring]

    async def _follow(self, worker: LoadWorker, window: _Window) -> StreamRecord:
        progress = self.live_run.streams[worker.plan.stream.name]
        async for event in worker.events():
            if isinstance(event, WindowOpened):
                await window.open(worker.plan.stream.name, event.at_ns)
            elif isinstance(event, WindowClosed):
                window.end()
            elif isinstance(event, Second):
                progress.add(event)
            elif isinstance(event, Draining):
                progress.waiting[worker.pid] = event.requests
            elif isinstance(event, OpenEnds):
                progress.open_ends.update(event.media_types)
            elif isinstance(event, WorkerResult):
                progress.waiting.pop(worker.pid, None)
                return event.record
        raise ClientFailed("client died before it reported its result")

    async def _open(self, opened: asyncio.Event, target: RunningTarget) -> None:
        opened.set()
        await self.enter(State.RUNNING, target)

    async def _until_target_ends(self, target: RunningTarget) -> None:
        raise TargetFailed(await target.ended(), target.log())

    async def _until_silent(
        self,
        target: RunningTarget,
        workers: Sequence[LoadWorker],
        stream: Stream,
        opened: asyncio.Event,
    ) -> None:
        """End a window by requests in which nothing is answered any more, whatever others get."""
        await opened.wait()
        silence = IdleTimeout(stream.load.waiting_users, self.spec.timeout_s)
        progress = self.live_run.streams[stream.name]
        while silence.lasts_s < longest_silence_s(progress, self.spec.timeout_s):
            if progress.ended >= (stream.stop.requests or 0):
                return
            silence.look(progress.response.total, progress.errors, time.monotonic())
            await asyncio.sleep(0.5)
        if halted := "".join(worker.held() for worker in workers):
            raise ClientFailed(halted)
        reason = silence_reason(progress, self.spec)
        raise TargetFailed(", ".join(filter(None, (reason, held(target.pids())))))

    def _result(
        self,
        started_at: datetime,
        target: RunningTarget,
        workers: Sequence[StreamRecord],
        use: WindowUsage,
        prepared: Prepared,
    ) -> TrialResult:
        records = [merge_records(shares) for shares in self._by_stream(workers)]
        streams = self._summarized(records, use)
        trial = Trial(
            block=self.place.first,
            started_at=started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            streams=tuple(stream.summary for stream in streams),
            target=self._target_use(target, use),
            client=replace(
                client_use(self.spec.workload.streams, workers, records),
                other_cpu=use.other_cpu,
                cores=self.cores.client,
                priority=self.runtime.priority,
                throttling=use.client_throttling,
                requests_before=prepared.requests,
            ),
            machine=use.machine,
            failures=self._failures(workers, prepared.secrets),
        )
        numbers = max(record.numbers for record in records)
        return TrialResult(trial, streams, use.gauges, numbers)

    def _target_use(self, target: RunningTarget, use: WindowUsage) -> TargetUse:
        ended = target.ended_workers()
        return TargetUse(
            address=target.url,
            host=target.host_header,
            ready_s=target.ready_s,
            workers=self.spec.target.workers,
            restarts=ended.all if ended else None,
            recycled=ended.at_limit if ended else None,
            cpu_s=use.target_cpu_s,
            watched_s=use.watched_s,
            cores=self.cores.target,
            log=target.log(),
            delayed_ack_s=target.delayed_ack_s,
            throttling=use.target_throttling,
        )

    def _secret_texts(self) -> dict[str, str]:
        return secret_texts((request for _, request in self.spec.requests()), self.secrets)

    def _hidden_texts(self) -> dict[str, str]:
        """Return the secrets of the spec and of the environment that the target is started in."""
        started = self.spec.target.started
        secrets = secret_variables(self._application(started)) if started is not None else {}
        return {**secrets, **self._secret_texts()}

    def _failures(
        self, workers: Sequence[StreamRecord], captured: Mapping[str, str]
    ) -> tuple[FailedResponse, ...]:
        """Return the first of each kind of each stream, without the secrets of spec and target."""
        finder = SecretFinder({**self._hidden_texts(), **captured})
        return first_failures(
            replace(failed, stream=record.name).with_texts(finder.hide, finder.hide_cut)
            for record in workers
            for failed in record.failures
        )

    def _by_stream(self, workers: Sequence[StreamRecord]) -> Iterator[Sequence[StreamRecord]]:
        processes = self.spec.client.processes
        for first in range(0, len(workers), processes):
            yield workers[first : first + processes]

    def _summarized(
        self, records: Sequence[StreamRecord], use: WindowUsage
    ) -> tuple[StreamResult, ...]:
        completed = sum(second.completed for record in records for second in record.seconds)
        first_ns = min(record.opened_ns for record in records)
        results = [
            summarize(
                record,
                self.spec,
                target_cpu_s=use.target_cpu_s,
                target_peak_memory_bytes=use.target_peak_memory_bytes,
                completed_by_all=completed,
            )
            for record in records
        ]
        opens = [(record.opened_ns - first_ns) / 1e9 for record in records]
        return tuple(
            replace(result, timeline=replace(result.timeline, opens_s=opens_s))
            for result, opens_s in zip(results, opens, strict=True)
            if result.timeline is not None
        )
