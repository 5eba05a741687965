"""The look inside of real targets, each server once."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import requests

from control_plane.domain.result import Gauges
from control_plane.domain.spec import Target
from control_plane.targets.catalogue import CATALOGUE
from control_plane.targets.inside.looplab_probe.layout import PERIOD_NS
from control_plane.targets.running import StartedTarget
from control_plane.targets.watch import Watch
from tests.targets.place import Site

EACH_SERVER = {
    (known.target.server, known.target.worker): known.target for known in reversed(CATALOGUE)
}
SERVERS = [
    *(replace(target, workers=1, reuse_port=None) for target in EACH_SERVER.values()),
    Target(loop="asyncio", http="h11", reload=True),
    Target(workers=2),
]
STALL_S = 0.3


def name(target: Target) -> str:
    parts = [target.server, target.worker, target.loop, str(target.workers)]
    return "-".join([*filter(None, parts), "reload" * bool(target.reload)])


async def watched(
    target: StartedTarget, work: Callable[[], None], enough: Callable[[Gauges], bool]
) -> Gauges:
    """What was seen in a window around `work`, once it is `enough`."""
    watch = Watch(target.pids, [os.getpid()], 0, target.inside)
    watch.open_window()
    await asyncio.to_thread(work)
    async with asyncio.timeout(10):
        while not enough(watch.gauges_so_far()):
            await asyncio.sleep(0.02)
    return watch.close_window().gauges


def asked(url: str, *paths: str) -> Callable[[], None]:
    def work() -> None:
        with requests.Session() as session:
            session.trust_env = False
            for path in paths:
                session.get(url + path, timeout=10)

    return work


def completed(gauges: Gauges) -> int:
    return sum(count or 0 for one in gauges.workers for count in one.completed)


@pytest.mark.parametrize("target", SERVERS, ids=name)
async def test_each_server_is_looked_into(site: Site, target: Target) -> None:
    async with site.running("inside", target) as started:
        begun = time.monotonic()
        work = asked(started.url, *["/"] * 20, "/sleep")
        gauges = await watched(started, work, lambda seen: completed(seen) >= 21)
        taken_s = time.monotonic() - begun
    workers = gauges.workers
    assert len(workers) == target.workers
    assert completed(gauges) == 21
    assert (
        STALL_S - PERIOD_NS / 1e9
        <= max(lag or 0 for one in workers for lag in one.loop_lag_s)
        < taken_s
    )
    assert all(one.tokens_total is None for one in workers)


async def test_without_the_probe_nothing_is_seen(site: Site) -> None:
    served = replace(site.place(), probe=False)
    async with site.running("inside", place=served) as started:
        assert started.inside is None
        gauges = await watched(started, asked(started.url, "/"), lambda _: True)
        assert gauges.workers == ()
