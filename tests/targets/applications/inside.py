"""Does to its worker what the look inside has to show."""

import asyncio
import gc
import json
import signal
import time

import anyio.to_thread
from asgi import application  # type: ignore[import-not-found]  # lies beside it when served

TOKENS = 2
LARGE = "[" + ",".join(["{}"] * 3_000_000) + "]"
alarms: list[float] = []


def sleep():
    time.sleep(0.3)


def nap():
    time.sleep(0.005)


def hold():
    """Parses in C, without a moment for any other thread."""
    json.loads(LARGE)


def collect():
    kept: list[list[int]] = [[] for _ in range(300_000)]
    gc.collect()
    return len(kept)


def set_alarm():
    """As an application that watches itself does; then the loop stands still."""
    signal.signal(signal.SIGALRM, lambda *_: alarms.append(time.monotonic()))
    signal.setitimer(signal.ITIMER_REAL, 60)


def alarm():
    return [len(alarms), signal.getitimer(signal.ITIMER_REAL)[0] > 50]


ANSWERS = application(
    {
        "/sleep": sleep,
        "/nap": nap,
        "/hold": hold,
        "/collect": collect,
        "/set": set_alarm,
        "/alarm": alarm,
    }
)


async def app(scope, receive, send):
    path = scope.get("path")
    if path == "/fail":
        raise RuntimeError("as asked")
    if path == "/thread":
        anyio.to_thread.current_default_thread_limiter().total_tokens = TOKENS
        await anyio.to_thread.run_sync(time.sleep, 1.2)
    if path == "/wait":
        await asyncio.sleep(60)
    if path == "/late":
        await asyncio.sleep(0.1)
        time.sleep(0.2)
    if path == "/half":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("in the middle")
    await ANSWERS(scope, receive, send)
    if path == "/after":
        await asyncio.sleep(60)
