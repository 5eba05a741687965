"""Fixed waits, scaled by `wait_scale`, of which two block the event loop."""

import asyncio
import time

from target_app.resources import SettingsDep
from target_app.workload_router import WorkloadRouter

LONG_S = 10.0
SHORT_S = 1.0

workload = WorkloadRouter(
    "waits", "Waits of 1 and 10 s: in a thread, blocking the loop, or awaited."
)


@workload.serve("GET", "/e1/p1")
def long_wait_in_thread(settings: SettingsDep) -> dict[str, float]:
    """Keeps a thread of the pool for 10 s."""
    return _wait_blocking(LONG_S * settings.wait_scale)


@workload.serve("GET", "/e1/p2")
async def first_blocking_wait(settings: SettingsDep) -> dict[str, float]:
    """Blocks the event loop for 1 s."""
    return _wait_blocking(SHORT_S * settings.wait_scale)


@workload.serve("GET", "/e2/p1")
def short_wait_in_thread(settings: SettingsDep) -> dict[str, float]:
    """Keeps a thread of the pool for 1 s."""
    return _wait_blocking(SHORT_S * settings.wait_scale)


@workload.serve("GET", "/e2/p2")
async def second_blocking_wait(settings: SettingsDep) -> dict[str, float]:
    """Blocks the event loop for 1 s."""
    return _wait_blocking(SHORT_S * settings.wait_scale)


@workload.serve("GET", "/e1/p3")
async def first_awaited_wait(settings: SettingsDep) -> dict[str, float]:
    """Awaits 1 s."""
    return await _wait(SHORT_S * settings.wait_scale)


@workload.serve("GET", "/e2/p3")
async def second_awaited_wait(settings: SettingsDep) -> dict[str, float]:
    """Awaits 1 s."""
    return await _wait(SHORT_S * settings.wait_scale)


def _wait_blocking(seconds: float) -> dict[str, float]:
    time.sleep(seconds)
    return {"waited_s": seconds}


async def _wait(seconds: float) -> dict[str, float]:
    await asyncio.sleep(seconds)
    return {"waited_s": seconds}
