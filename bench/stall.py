"""An open load on a target that stands still for 500 ms every 2 s, against its construction.

`python -m bench.stall [SECONDS] [STRATEGY ...]`; SECONDS is a multiple of the two seconds between
stalls. A closed client of about the same rate is shown beside: it hides the stall, because it asks
nothing while it waits (coordinated omission; G. Tene, How NOT to Measure Latency).
"""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.load_worker import drive_stream
from bench.pairs import verdict
from bench.server_clock import server_s
from bench.stalling import EVERY_S, STALL_S
from bench.target import own
from control_plane.domain.histogram import Histogram, merge

RATE_PER_S = 200
MOST_OFF = 0.05
MOST_P50_MS = 0.5


@dataclass(frozen=True)
class StallTimes:
    """In milliseconds."""

    p50: float
    p90: float
    p99: float
    mean: float

    def __str__(self) -> str:
        names = ("p50", "p90", "p99", "mean")
        return ", ".join(f"{name} {getattr(self, name):.1f} ms" for name in names)


def construction() -> StallTimes:
    """What arrivals every 5 ms wait for the end of the stall that they meet, and else nothing."""
    gap_s = 1 / RATE_PER_S
    arrivals_s = np.arange(0, EVERY_S, gap_s) + gap_s / 2
    waits_s = np.maximum(0, STALL_S - arrivals_s)
    p50, p90, p99 = np.quantile(waits_s, [0.5, 0.9, 0.99], method="inverted_cdf") * 1e3
    return StallTimes(float(p50), float(p90), float(p99), float(waits_s.mean() * 1e3))


def opened(seconds: float) -> dict[str, Any]:
    load = {"model": "open", "rate_per_s": RATE_PER_S, "max_in_flight": 500}
    return {"requests": [{"path": "/"}], "load": load, "stop": {"duration_s": seconds}}


def closed(seconds: float) -> dict[str, Any]:
    """One user who thinks for as long as the schedule lies apart."""
    load = {"model": "closed", "concurrency": 1, "think_time_s": 1 / RATE_PER_S}
    return {"requests": [{"path": "/"}], "load": load, "stop": {"duration_s": seconds}}


def measured(url: str, strategy: str, stream: dict[str, Any]) -> StallTimes:
    record = drive_stream(url, strategy, stream, warmup_s=EVERY_S)
    return in_ms(merge([second.response for second in record.seconds]))


def in_ms(samples: Histogram) -> StallTimes:
    found: NDArray[np.float64] = samples.quantiles_ns(np.array([0.5, 0.9, 0.99])) / 1e6
    p50, p90, p99 = (float(value) for value in found)
    return StallTimes(p50, p90, p99, samples.mean_ns / 1e6)


def main(seconds: float = 20.0, strategies: tuple[str, ...] = ("raw", "async")) -> int:
    expected, reached = construction(), []
    print(f"construction: {expected}")
    with own("bench.stalling") as url:
        for strategy in strategies:
            found = measured(url, strategy, opened(seconds))
            print(f"{strategy}, open: {found}")
            for name in ("p90", "p99", "mean"):
                off = abs(getattr(found, name) / getattr(expected, name) - 1)
                what = f"{strategy} on a stalling target, {name} off by"
                reached.append(verdict(what, off, MOST_OFF, most=True))
            beyond_ms = found.p50 - 1e3 * server_s(url)
            what = f"{strategy} on a stalling target, ms of p50 beyond the server's clock"
            reached.append(verdict(what, beyond_ms, MOST_P50_MS, most=True))
        print(f"async, closed, which hides it: {measured(url, 'async', closed(seconds))}")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(float(given[0]) if given else 20.0, tuple(given[1:]) or ("raw", "async")))
