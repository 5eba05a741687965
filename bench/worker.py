"""One load worker of the product, on the core of the client."""

import asyncio
import time
from typing import Any

from bench.target import CLIENT_CORE
from control_plane.domain.limits import Limits
from control_plane.domain.reading import read_spec
from control_plane.domain.record import StreamRecord
from control_plane.load.events import Done
from control_plane.load.plan import Plan
from control_plane.load.process import LoadWorker


def drive(
    url: str, strategy: str, users: int, stop: dict[str, Any], warmup_s: float = 0.5
) -> StreamRecord:
    """Closed load of item requests by `users`."""
    item_id = {"kind": "integer", "low": 1, "high": 24_999}
    stream = {
        "requests": [{"path": "/items/{item_id}", "values": {"item_id": item_id}}],
        "load": {"model": "closed", "concurrency": users},
        "stop": stop,
    }
    document = {"workload": {"streams": [stream]}, "client": {"strategy": strategy}}
    spec = read_spec(document, Limits())
    return asyncio.run(
        _record(Plan(spec.workload.streams[0], spec.client, url, warmup_s, spec.timeout_s, 1))
    )


def completed(record: StreamRecord) -> int:
    return sum(second.completed for second in record.seconds)


async def _record(plan: Plan) -> StreamRecord:
    worker = await LoadWorker.start(plan, cores=[CLIENT_CORE], environment={})
    try:
        await worker.ready()
        worker.go(time.monotonic_ns())
        async for event in worker.events():
            if isinstance(event, Done):
                return event.record
    finally:
        await worker.stop()
    raise RuntimeError("the worker ended without a result")
