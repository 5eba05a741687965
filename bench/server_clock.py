"""p50 of the client against the server's own clock, for answers of 10 and 50 ms.

`raw` by an open schedule, by its response time; `async` and wrk with 16 users, by service time.
`python -m bench.server_clock [PAIRS] [SECONDS]`: each is measured PAIRS times, in turns.
"""

import statistics
import sys
import urllib.request
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.load_worker import closed, drive_stream
from bench.other_tools import install, wrk
from bench.pairs import verdict
from bench.target import own
from control_plane.domain.histogram import merge

USERS = 16
RATE_PER_S = 200
WAITS_MS = (10, 50)
MOST_MS = {"raw": 0.25, "async": 1.0}


def raw_s(url: str, path: str, seconds: float) -> float:
    load = {"model": "open", "rate_per_s": RATE_PER_S}
    stream = {"requests": [{"path": path}], "load": load, "stop": {"duration_s": seconds}}
    return p50_s(url, "raw", stream)


def async_s(url: str, path: str, seconds: float) -> float:
    return p50_s(url, "async", closed(USERS, {"duration_s": seconds}, {"path": path}))


def p50_s(url: str, strategy: str, stream: dict[str, Any]) -> float:
    record = drive_stream(url, strategy, stream)
    samples = merge([second.response for second in record.seconds])
    return float(samples.quantiles_ns(np.array([0.5]))[0]) / 1e9


def wrk_s(url: str, path: str, seconds: float) -> float:
    return wrk(url + path, seconds, USERS).p50_s


CLIENTS: dict[str, Callable[[str, str, float], float]] = {
    "raw": raw_s,
    "async": async_s,
    "wrk": wrk_s,
}


def server_s(url: str) -> float:
    """The server's own median since it was asked last."""
    with urllib.request.urlopen(f"{url}/clock") as answer:
        return float(answer.read())


def added_ms(url: str, wait_ms: int, client: str, seconds: float) -> float:
    """What the client tells beyond what the server measured."""
    server_s(url)
    seen_s = CLIENTS[client](url, f"/wait/{wait_ms}", seconds)
    own_s = server_s(url)
    print(
        f"  {client}, {wait_ms} ms: {1e3 * seen_s:.3f} ms, server {1e3 * own_s:.3f} ms", flush=True
    )
    return 1e3 * (seen_s - own_s)


def told(url: str, wait_ms: int, pairs: int, seconds: float) -> list[bool]:
    """Whether each client keeps its limit at one length of answers."""
    added: dict[str, list[float]] = {client: [] for client in CLIENTS}
    for _ in range(pairs):
        for client, found in added.items():
            found.append(added_ms(url, wait_ms, client, seconds))
    median = {client: statistics.median(found) for client, found in added.items()}
    print(f"wrk adds {median['wrk']:.3f} ms to {wait_ms} ms")
    return [
        verdict(f"ms added to the p50 of {wait_ms} ms, {client}", median[client], most, most=True)
        for client, most in MOST_MS.items()
    ]


def main(pairs: int = 3, seconds: float = 4.0) -> int:
    install()
    with own("bench.clocked") as url:
        reached = [wait for wait_ms in WAITS_MS for wait in told(url, wait_ms, pairs, seconds)]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
