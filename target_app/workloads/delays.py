"""Waits of a chosen length: awaited, in a worker thread, or blocking the event loop."""

import asyncio
import time
from typing import Annotated

from fastapi import Path

from target_app.workload_router import Ready, WorkloadRouter

LONGEST_S = 60
CALLS = 3
CALL_S = 1.0
ONE_SECOND = Ready({"seconds": {"kind": "choice", "of": [1]}})

Seconds = Annotated[float, Path(ge=0, le=LONGEST_S)]

workload = WorkloadRouter("delays", "Waits of a chosen length, awaited, in a thread or blocking.")


@workload.serve("GET", "/health")
async def health() -> dict[str, str]:
    """Answers as soon as the application does."""
    return {"status": "ok"}


@workload.serve("GET", "/welcome")
async def welcome() -> dict[str, str]:
    """A constant greeting."""
    return {"message": "Welcome"}


@workload.serve("GET", "/async-delay/{seconds}", ready=ONE_SECOND)
async def delay_awaited(seconds: Seconds) -> dict[str, float]:
    """Awaits; any number of requests wait at once."""
    await asyncio.sleep(seconds)
    return {"delay_s": seconds}


@workload.serve("GET", "/sync-delay/{seconds}", ready=ONE_SECOND)
def delay_in_thread(seconds: Seconds) -> dict[str, float]:
    """Keeps a thread of the pool; as many requests as threads wait at once."""
    time.sleep(seconds)
    return {"delay_s": seconds}


@workload.serve("GET", "/blocking-delay/{seconds}", ready=ONE_SECOND)
async def delay_blocking(seconds: Seconds) -> dict[str, float]:
    """Blocks the event loop; requests wait one after another."""
    time.sleep(seconds)  # noqa: ASYNC251 - shows what blocking the loop does
    return {"delay_s": seconds}


@workload.serve("GET", "/performance/async")
async def calls_together() -> dict[str, float]:
    """Three waits of 1 s together, and how long they took."""
    start = time.perf_counter()
    await asyncio.gather(*(asyncio.sleep(CALL_S) for _ in range(CALLS)))
    return {"total_s": time.perf_counter() - start}


@workload.serve("GET", "/performance/sync")
def calls_one_after_another() -> dict[str, float]:
    """Three waits of 1 s in turn in a thread of the pool, and how long they took."""
    start = time.perf_counter()
    for _ in range(CALLS):
        time.sleep(CALL_S)
    return {"total_s": time.perf_counter() - start}
