"""The look inside of real targets, each server once."""

import time
from dataclasses import replace

import pytest

from control_plane.domain.spec import Target
from control_plane.targets.configurations import BUILTIN_CONFIGURATIONS
from control_plane.targets.inside.looplab_probe.ring import PERIOD_NS
from tests.targets.sampling import asked, completed, watched
from tests.targets.site import Site

EACH_SERVER = {
    (known.target.server, known.target.worker): known.target
    for known in reversed(BUILTIN_CONFIGURATIONS)
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
        <= max(lag or 0 for worker in workers for lag in worker.loop_lag_s)
        < taken_s
    )
    assert all(worker.tokens_total == 40 for worker in workers)
    assert any(stall.stack[:1] and stall.stack[0].endswith(" sleep") for stall in gauges.stalls)


async def test_without_the_probe_nothing_is_seen(site: Site) -> None:
    served = replace(site.context(), probe=False)
    async with site.running("inside", context=served) as started:
        assert started.probe_output is None
        gauges = await watched(started, asked(started.url, "/"), lambda _: True)
        assert gauges.workers == ()
