"""One load worker of the product, on the core of the client."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.target import CLIENT_CORE
from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec
from control_plane.domain.stream_record import StreamRecord
from control_plane.jobs.worker_process import LoadWorker
from control_plane.load.worker_protocol import LoadPlan, WorkerResult

ITEM = {
    "path": "/items/{item_id}",
    "values": {"item_id": {"kind": "integer", "low": 1, "high": 24_999}},
}
UNRECORDED = {"PYTHONPATH": f"{Path(__file__).parent / 'unrecorded'}:{Path(__file__).parents[1]}"}
"""The environment of a worker that drops its samples."""
UNHEARD = {"PYTHONPATH": f"{Path(__file__).parent / 'unheard'}:{Path(__file__).parents[1]}"}
"""The environment of a worker that does not record when answers begin."""


def drive(
    url: str, strategy: str, users: int, stop: dict[str, Any], warmup_s: float = 0.5
) -> StreamRecord:
    """Closed load of item requests by `users`."""
    return drive_stream(url, strategy, closed(users, stop, ITEM), warmup_s)


def closed(users: int, stop: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """A stream of `users` who send without a pause."""
    load = {"model": "closed", "concurrency": users}
    return {"requests": [request], "load": load, "stop": stop}


def drive_stream(
    url: str,
    strategy: str,
    stream: dict[str, Any],
    warmup_s: float = 0.5,
    environment: Mapping[str, str] | None = None,
) -> StreamRecord:
    """One stream as the spec writes it; `environment` is added to that of the worker."""
    document = {"workload": {"streams": [stream]}, "client": {"strategy": strategy}}
    spec = read_spec(document, Limits())
    plan = LoadPlan(spec.workload.streams[0], spec.client, url, warmup_s, spec.timeout_s, 1)
    return asyncio.run(_record(plan, environment or {}))


def completed(record: StreamRecord) -> int:
    return sum(second.completed for second in record.seconds)


def rate_per_s(record: StreamRecord) -> float:
    """Completed requests for each second of the window."""
    return completed(record) / (record.duration_ns / 1e9)


async def _record(plan: LoadPlan, environment: Mapping[str, str]) -> StreamRecord:
    worker = await LoadWorker.start(plan, cores=[CLIENT_CORE], environment=environment)
    try:
        await worker.ready()
        worker.go(time.monotonic_ns())
        async for event in worker.events():
            if isinstance(event, WorkerResult):
                return event.record
    finally:
        await worker.stop()
    raise RuntimeError("the worker ended without a result")
