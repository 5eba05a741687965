"""What the look inside costs: requests per second with probe and sampler, and without both.

    python -m bench.probe_cost [PAIRS] [SECONDS]

Every measurement has a freshly started target: the bundled application under uvicorn, 64 users who
ask for items. This process samples at the low priority of a control plane.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.load_worker import ITEM, closed, rate_per_s
from bench.pairs import interval, ratios, verdict
from bench.target import CLIENT_CORE, TARGET_CORE
from control_plane.domain.limits import Limits
from control_plane.domain.spec import Target
from control_plane.domain.spec_json import read_spec
from control_plane.domain.stream_record import StreamRecord
from control_plane.jobs import lower_priority
from control_plane.jobs.worker_process import LoadWorker
from control_plane.load.worker_protocol import LoadPlan, WindowOpened, WorkerResult
from control_plane.targets.application import bundled_application
from control_plane.targets.launch import LaunchContext, start_application
from control_plane.targets.observation.sampler import Sampler
from control_plane.targets.running_target import StartedTarget

USERS, WARMUP_S = 64, 1.0
COST, COST_END = 0.02, 0.04


def measured_per_s(folder: Path, seconds: float, *, probe: bool) -> float:
    return rate_per_s(asyncio.run(_measure(folder, seconds, probe=probe)))


async def _measure(folder: Path, seconds: float, *, probe: bool) -> StreamRecord:
    place = LaunchContext("bench-probe", [TARGET_CORE], folder, probe=probe)
    target = await start_application(bundled_application(), Target(), place)
    try:
        worker = await LoadWorker.start(
            _plan(target.url, seconds), cores=[CLIENT_CORE], environment={}
        )
        try:
            return await _record(worker, target if probe else None)
        finally:
            await worker.stop()
    finally:
        await target.stop()


def _plan(url: str, seconds: float) -> LoadPlan:
    document = {"workload": {"streams": [closed(USERS, {"duration_s": seconds}, ITEM)]}}
    spec = read_spec(document, Limits())
    return LoadPlan(spec.workload.streams[0], spec.client, url, WARMUP_S, spec.timeout_s, 1)


async def _record(worker: LoadWorker, watched: StartedTarget | None) -> StreamRecord:
    """The window, with a sampler where there is something to watch."""
    await worker.ready()
    worker.go(time.monotonic_ns())
    watch = (
        Sampler(watched.pids, [worker.pid], os.getpid(), watched.probe_output) if watched else None
    )
    async for event in worker.events():
        if isinstance(event, WindowOpened) and watch:
            watch.open_window()
        elif isinstance(event, WorkerResult):
            seen = watch.close_window().gauges.workers if watch else ()
            if watch and not seen:
                raise RuntimeError("the probe did not start: there is no cost to measure")
            return event.record
    raise RuntimeError("the worker ended without a result")


def main(pairs: int = 20, seconds: float = 5.0) -> int:
    lower_priority()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        measured_per_s(place, 1, probe=True)
        found = ratios(
            "with / without",
            lambda: measured_per_s(place, seconds, probe=True),
            lambda: measured_per_s(place, seconds, probe=False),
            pairs,
        )
    low, high = interval(found)
    print(f"ratio: median {statistics.median(found):.4f}, 95 % interval {low:.4f} to {high:.4f}")
    reached = [
        verdict("cost of the look inside", 1 - statistics.median(found), COST, most=True),
        verdict("cost of the look inside, interval's end", 1 - low, COST_END, most=True),
    ]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
