"""Waiting for a moment of the monotonic clock, as exactly as timers do without work in between."""

import asyncio
import time
from collections.abc import Callable

clock_ns: Callable[[], int] = time.monotonic_ns
"""CLOCK_MONOTONIC, which all processes of a machine share."""

TICK_NS = 1_000_000
"""Loops round to milliseconds: what is closer than that is too close for their timers."""


def delay_s(at_ns: int) -> float:
    """For a timer of a loop, which may ring too early: ask again then.

    At least a tick, because uvloop lets half of one end at once, and asking again would be work.
    """
    return max(at_ns - clock_ns(), TICK_NS) / 1e9


async def reach(at_ns: int) -> None:
    """Return at `at_ns`, up to about a tick later, never before it."""
    while at_ns > clock_ns():  # noqa: ASYNC110 - the clock is awaited
        await asyncio.sleep(delay_s(at_ns))


def sleep_until(at_ns: int) -> None:
    """The same for a thread, whose timers are as fine as the clock."""
    while (ahead_ns := at_ns - clock_ns()) > 0:
        time.sleep(ahead_ns / 1e9)
