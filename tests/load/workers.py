"""Real load workers for tests, and plans for them."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec
from control_plane.domain.stream_record import Second, StreamRecord
from control_plane.load.worker_process import LoadWorker
from control_plane.load.worker_protocol import LoadPlan, WindowOpened, WorkerResult

LEAD_NS = 5_000_000
PATIENCE_S = 120


def plan_of(url: str, path: str = "/ok", **changes: Any) -> LoadPlan:
    """A closed load of one user and ten requests without warm-up; `changes` replace its parts.

    load, stop, client, request, requests, warmup_s, timeout_s, seed and start_after_s are as in
    the spec; `strategy` is that of the client.
    """
    client = {"strategy": changes.pop("strategy", "async"), **changes.pop("client", {})}
    request = {"path": path, **changes.pop("request", {})}
    stream = {
        "requests": changes.pop("requests", [request]),
        "load": changes.pop("load", {"model": "closed", "concurrency": 1}),
        "stop": changes.pop("stop", {"requests": 10}),
        "start_after_s": changes.pop("start_after_s", 0),
    }
    spec = read_spec(
        {
            "workload": {"streams": [stream]},
            "client": client,
            "before": changes.pop("before", []),
            "warmup_s": changes.pop("warmup_s", 0),
            "timeout_s": changes.pop("timeout_s", 5.0),
        },
        Limits(),
    )
    plan = LoadPlan(spec.workload.streams[0], spec.client, url, spec.warmup_s, spec.timeout_s, 1)
    return replace(plan, **changes)


async def seconds_and_record(plan: LoadPlan) -> tuple[Sequence[Second], StreamRecord]:
    """Run one worker to its end: the seconds of the window as it sent them, and its result."""
    worker = await LoadWorker.start(plan, cores=None, environment={})
    try:
        async with asyncio.timeout(PATIENCE_S):
            await worker.ready()
            worker.go(time.monotonic_ns() + LEAD_NS)
            events = [event async for event in worker.events()]
    finally:
        await worker.stop()
    (opened,) = (event for event in events if isinstance(event, WindowOpened))
    assert isinstance(events[-1], WorkerResult)
    record = events[-1].record
    assert opened.at_ns == record.opened_ns
    seconds = [event for event in events if isinstance(event, Second)]
    assert len(record.warmup) == sum(second.index < 0 for second in seconds)
    return [second for second in seconds if second.index >= 0], record


async def record_of(plan: LoadPlan) -> StreamRecord:
    return (await seconds_and_record(plan))[1]


def completed(record: StreamRecord) -> int:
    return sum(second.completed for second in record.seconds)
