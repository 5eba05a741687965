"""The self-check for responses that wait for a delayed ACK.

A server that writes head and body of a response apart, on a connection without TCP_NODELAY, has the
body held back by Nagle's algorithm (RFC 896) until the client acknowledges the head, which Linux
delays by 40 ms (RFC 1122, 4.2.3.2). asyncio sets TCP_NODELAY only where it opened the listener for
TCP itself, so workers that inherit one, as those of `uvicorn --workers` do, have the trap.
"""

import asyncio
import time
from statistics import median

from control_plane.domain.errors import TargetFailed
from control_plane.targets.http_get import get_with, open_session

REQUESTS = 20
MIN_REQUESTS = 6
"""From here on a clear delay needs no further request."""
CLEAR_S = 0.030
TIMEOUT_S = 2.0
"""For the whole check; a ready path that is slow itself gets fewer requests."""


async def delayed_ack_s(url: str, path: str) -> float | None:
    """Return how much longer requests 2 to 20 on a connection take than the first, at the median.

    None when the server does not respond to so many in time.
    """
    times: list[float] = []
    try:
        async with asyncio.timeout(TIMEOUT_S), open_session() as other, open_session() as session:
            # What only the very first request of a process costs shall not count for the server.
            await get_with(other, url, path)
            while len(times) < REQUESTS and not _is_clear(times):
                began = time.perf_counter()
                await get_with(session, url, path)
                times.append(time.perf_counter() - began)
    except TargetFailed:
        return None
    except TimeoutError:
        pass
    return slower_by(times)


def _is_clear(times: list[float]) -> bool:
    return len(times) >= MIN_REQUESTS and min(times[1:]) - times[0] >= CLEAR_S


def slower_by(times: list[float]) -> float | None:
    """Return the median of all but the first, minus the first; None where there are too few."""
    return median(times[1:]) - times[0] if len(times) >= MIN_REQUESTS else None
