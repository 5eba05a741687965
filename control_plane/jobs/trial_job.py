"""One trial: a freshly started target, warm-up, one window, and everything ended after it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from control_plane.analysis.summary import merge_records, summarize
from control_plane.domain.errors import ClientFailed, TargetFailed
from control_plane.domain.result import ClientUse, TargetUse, Trial
from control_plane.domain.run import State, StreamResult, TrialResult
from control_plane.domain.spec import Spec, Stream, Target
from control_plane.domain.stream_record import Second, StreamRecord
from control_plane.jobs.progress import LiveRun
from control_plane.jobs.runtime import Runtime
from control_plane.jobs.trial_window import IdleTimeout, Window
from control_plane.load.messages import Draining, WindowClosed, WindowOpened, WorkerResult
from control_plane.load.plan import LoadPlan, shards
from control_plane.load.worker_process import LoadWorker
from control_plane.targets.application import Application, resolve_application
from control_plane.targets.cores import CorePlan
from control_plane.targets.launch import RunningTarget, reach, start_application
from control_plane.targets.sampler import Sampler, WindowUsage

LEAD_NS = 20_000_000
"""How far ahead the common start lies, so that every load worker has read it by then."""

LEAST_THERE = 0.05
"""Of the users' time; less of it is decided by when the last one began to send."""


@dataclass(frozen=True)
class TrialJob:
    """`enter` is called once for each change of state, in order."""

    spec: Spec
    block: int
    bench: Runtime
    cores: CorePlan
    board: LiveRun
    enter: Callable[[State, RunningTarget], Awaitable[None]]

    async def execute(self) -> TrialResult:
        """Run the trial. Raises TargetFailed or ClientFailed; leaves no process behind."""
        started_at = datetime.now(UTC)
        async with AsyncExitStack() as stack:
            target, workers = await self._start(stack)
            self.board.log = target.log
            pids = [worker.pid for worker in workers]
            watch = Sampler(target.pids, pids, os.getpid(), target.probe_output)
            self.board.gauges = watch.gauges_so_far
            records = await self._drive(target, workers, watch)
            use = watch.close_window(sum(record.cpu_s for record in records))
            return self._result(started_at, target, records, use)

    async def _start(self, stack: AsyncExitStack) -> tuple[RunningTarget, list[LoadWorker]]:
        """Start the target, then the load workers; each is ended by the stack."""
        target = await stack.enter_async_context(self._target())
        await target.check()
        plans = self._plans(target.url)
        workers = [await stack.enter_async_context(self._worker(plan)) for plan in plans]
        await asyncio.gather(*(worker.ready() for worker in workers))
        return target, workers

    @asynccontextmanager
    async def _target(self) -> AsyncIterator[RunningTarget]:
        started = self.spec.target.started
        if started is None:
            target = await reach(self.spec.target.url, self.bench.own_ports)
        else:
            place = self.bench.place(self.cores.target)
            target = await start_application(self._application(started), started, place)
        try:
            yield target
        finally:
            await target.stop()

    def _application(self, chosen: Target) -> Application:
        streams = self.spec.workload.streams
        paths = [request.path for stream in streams for request in stream.requests]
        return resolve_application(chosen, self.bench.applications, paths)

    @asynccontextmanager
    async def _worker(self, plan: LoadPlan) -> AsyncIterator[LoadWorker]:
        environment = {"LOOPLAB_INSTANCE": self.bench.instance}
        worker = await LoadWorker.start(plan, cores=self.cores.client, environment=environment)
        try:
            yield worker
        finally:
            await worker.stop()

    def _plans(self, url: str) -> list[LoadPlan]:
        """One for each process: those of the first stream, then those of the next."""
        spec = self.spec
        return [
            LoadPlan(
                stream=stream,
                client=spec.client,
                base_url=url,
                warmup_s=spec.warmup_s,
                timeout_s=spec.timeout_s,
                seed=spec.seed + 1_000 * self.block + index,
                share=share,
            )
            for index, stream in enumerate(spec.workload.streams)
            for share in shards(spec.client.processes)
        ]

    async def _drive(
        self, target: RunningTarget, workers: Sequence[LoadWorker], watch: Sampler
    ) -> list[StreamRecord]:
        await self.enter(State.WARMING, target)
        opened = asyncio.Event()
        window = Window(len(workers), watch, self.board, lambda: self._open(opened, target))
        at_ns = time.monotonic_ns() + LEAD_NS
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                worker.go(at_ns)
            measuring = [group.create_task(self._follow(worker, window)) for worker in workers]
            guards = [
                group.create_task(self._until_target_ends(target)),
                *(
                    group.create_task(self._until_silent(stream, stream.stop.requests, opened))
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

    async def _follow(self, worker: LoadWorker, window: Window) -> StreamRecord:
        board = self.board.streams[worker.plan.stream.name]
        async for event in worker.events():
            if isinstance(event, WindowOpened):
                await window.open(worker.plan.stream.name, event.at_ns)
            elif isinstance(event, WindowClosed):
                window.end()
            elif isinstance(event, Second):
                board.add(event)
            elif isinstance(event, Draining):
                board.waiting[worker.pid] = event.requests
            elif isinstance(event, WorkerResult):
                board.waiting.pop(worker.pid, None)
                return event.record
        raise ClientFailed("client died before it reported its result")

    async def _open(self, opened: asyncio.Event, target: RunningTarget) -> None:
        opened.set()
        await self.enter(State.RUNNING, target)

    async def _until_target_ends(self, target: RunningTarget) -> None:
        raise TargetFailed(await target.ended(), target.log())

    async def _until_silent(self, stream: Stream, requests: int, opened: asyncio.Event) -> None:
        """End a window by requests in which nothing is answered any more, whatever others get."""
        await opened.wait()
        patience_s = 2 * self.spec.timeout_s + 1 + _pause_s(stream)
        silence = IdleTimeout(stream.load.waiting_users, self.spec.timeout_s)
        board = self.board.streams[stream.name]
        while silence.lasts_s < patience_s:
            if board.ended >= requests:
                return
            silence.look(board.response.total, board.errors, time.monotonic())
            await asyncio.sleep(0.5)
        raise TargetFailed(
            f"target stopped answering: nothing answered for {patience_s:.0f} s{self._of(stream)}"
        )

    def _of(self, stream: Stream) -> str:
        """Named where there are others."""
        return f" in stream {stream.name}" if len(self.spec.workload.streams) > 1 else ""

    def _result(
        self,
        started_at: datetime,
        target: RunningTarget,
        parts: Sequence[StreamRecord],
        use: WindowUsage,
    ) -> TrialResult:
        records = [merge_records(each) for each in self._by_stream(parts)]
        streams = self._summarized(records, use)
        ended = target.ended_workers()
        trial = Trial(
            block=self.block,
            started_at=started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            streams=tuple(stream.summary for stream in streams),
            target=TargetUse(
                address=target.url,
                ready_s=target.ready_s,
                workers=self.spec.target.workers,
                restarts=ended.all if ended else None,
                recycled=ended.at_limit if ended else 0,
                cpu_s=use.target_cpu_s,
                watched_s=use.watched_s,
                cores=self.cores.target,
                log=target.log(),
                delayed_ack_s=target.delayed_ack_s,
            ),
            client=self._client_use(parts, records, use),
        )
        return TrialResult(trial, streams, use.gauges)

    def _by_stream(self, parts: Sequence[StreamRecord]) -> Iterator[Sequence[StreamRecord]]:
        processes = self.spec.client.processes
        for first in range(0, len(parts), processes):
            yield parts[first : first + processes]

    def _summarized(
        self, records: Sequence[StreamRecord], use: WindowUsage
    ) -> tuple[StreamResult, ...]:
        completed = sum(second.completed for one in records for second in one.seconds)
        first_ns = min(record.opened_ns for record in records)
        return tuple(
            summarize(
                record,
                target_cpu_s=use.target_cpu_s,
                target_peak_memory_bytes=use.target_peak_memory_bytes,
                completed_by_all=completed,
                opens_s=(record.opened_ns - first_ns) / 1e9,
            )
            for record in records
        )

    def _client_use(
        self, parts: Sequence[StreamRecord], records: Sequence[StreamRecord], use: WindowUsage
    ) -> ClientUse:
        """`parts` are those of single processes, `records` those of whole streams."""
        busy = [(one.cpu_s - one.spin_s) * 1e9 / max(one.duration_ns, 1) for one in parts]
        return ClientUse(
            busiest_cpu_share=max(busy),
            cpu_s=sum(one.cpu_s for one in records),
            peak_memory_bytes=max(one.peak_memory_bytes for one in records),
            connections={one.name: one.connections for one in records},
            in_flight={one.name: one.in_system_ns / max(one.duration_ns, 1) for one in records},
            other_cpu=use.other_cpu,
            little_ratio=self._little(records),
            cores=self.cores.client,
            priority=self.bench.priority,
        )

    def _little(self, records: Sequence[StreamRecord]) -> dict[str, float]:
        """Little's law for closed streams: a user who thinks is not in the system.

        Users who are hardly ever in it leave too little to judge.
        """
        ratios = {}
        for stream, record in zip(self.spec.workload.streams, records, strict=True):
            if stream.stop.duration_s is None or stream.load.starts_by != "response":
                continue
            users_ns = record.duration_ns * stream.load.users
            there_ns = users_ns - record.away_ns
            if there_ns >= LEAST_THERE * users_ns:
                ratios[stream.name] = record.in_system_ns / there_ns
        return ratios


def _pause_s(stream: Stream) -> float:
    """The longest time in which a stream may rightly be still."""
    load = stream.load
    return stream.start_after_s + load.ramp_up_s + load.longest_pause_s
