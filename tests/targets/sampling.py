"""A window around some requests, and what was seen inside of the target meanwhile."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import requests

from control_plane.domain.observations import Gauges
from control_plane.targets.observation.probe_reader import HeartbeatReader
from control_plane.targets.observation.sampler import Sampler
from control_plane.targets.running_target import StartedTarget
from tests.targets.site import until


async def watched(
    target: StartedTarget, work: Callable[[], None], enough: Callable[[Gauges], bool]
) -> Gauges:
    """What was seen in a window around `work`, once it is `enough`."""
    sampler = Sampler(target.pids, [os.getpid()], 0, target.probe_output)
    told(target)
    sampler.open_window()
    working = asyncio.create_task(asyncio.to_thread(work))
    async with asyncio.timeout(10):
        while not enough(sampler.close_window().gauges):
            await asyncio.sleep(0.02)
    found = sampler.close_window().gauges
    await working
    return found


def told(target: StartedTarget) -> None:
    """Wait for a beat of each worker, so that what was answered before the window is known."""
    folder = target.probe_output.folder if target.probe_output else None
    files = list(folder.glob("*.beats")) if folder else []
    before = {path: beats_in(path) for path in files}
    until(lambda: all(beats_in(path) > before[path] for path in files), lambda: "a beat", 5)


def beats_in(path: Path) -> int:
    return len(HeartbeatReader(path).read(time.monotonic_ns()))


def asked(url: str, *paths: str) -> Callable[[], None]:
    def work() -> None:
        with requests.Session() as session:
            session.trust_env = False
            for path in paths:
                session.get(url + path, timeout=10)

    return work


def completed(gauges: Gauges) -> int:
    return sum(count or 0 for worker in gauges.workers for count in worker.completed)
