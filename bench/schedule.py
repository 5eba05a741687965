"""How late an open schedule sends, and how evenly its requests arrive.

`python -m bench.schedule [SECONDS] [STRATEGY ...]`: at 1,000/s and 5,000/s, or what the strategy
can send. Limits hold for `raw`; the others are shown.
"""

import json
import sys
import urllib.request
from itertools import product

import numpy as np

from bench.load_worker import drive_stream
from bench.pairs import verdict
from bench.target import own
from control_plane.domain.stream_record import StreamRecord

RATES_PER_S = (1_000, 5_000)
MOST_LATE_MS = 0.2
MOST_UNEVEN = 0.05
HELD = "raw"
FASTEST_PER_S = {"httpx": 500, "threaded": 1_000}
"""Such a client cannot send more, and would only wait for the deadlines of the rest."""

STRATEGIES = ("raw", "async", "httpx", "threaded")


def run(url: str, strategy: str, rate_per_s: int, seconds: float) -> tuple[StreamRecord, float]:
    """The record, and standard deviation over mean of the arrivals in 100 ms."""
    load = {"model": "open", "rate_per_s": rate_per_s, "max_in_flight": 500}
    stream = {"requests": [{"path": "/"}], "load": load, "stop": {"duration_s": seconds}}
    arrivals(url)
    record = drive_stream(url, strategy, stream)
    counts = arrivals(url)
    return record, float(counts.std() / counts.mean())


def arrivals(url: str) -> np.ndarray:
    with urllib.request.urlopen(f"{url}/slices") as answer:
        return np.array(json.loads(answer.read()) or [0.0])


def late_ms(record: StreamRecord) -> float:
    """p99 of the send lag."""
    lag = record.send_lag
    return lag.quantile_ns(0.99) / 1e6 if lag else float("nan")


def shown(strategy: str, rate_per_s: int, record: StreamRecord, uneven: float) -> None:
    window_s = record.duration_ns / 1e9
    print(
        f"{strategy} at {rate_per_s:,}/s: {record.sent:,} of {record.intended:,} sent, "
        f"{len(record.in_flight_ns):,} not ended, late p99 "
        f"{late_ms(record):.3f} ms, sd/mean {uneven:.3f}, CPU {record.cpu_s / window_s:.2f} of a "
        f"core, spinning {record.spin_s / window_s:.2f}",
        flush=True,
    )


def held(strategy: str, rate_per_s: int, record: StreamRecord, uneven: float) -> bool:
    """Whether both figures are reached; those of other strategies are not asked for."""
    if strategy != HELD:
        return True
    what = f"{strategy} at {rate_per_s:,}/s"
    late = verdict(f"{what}, late p99 in ms", late_ms(record), MOST_LATE_MS, most=True)
    even = verdict(f"{what}, sd/mean in 100 ms", uneven, MOST_UNEVEN, most=True)
    return late and even


def asked(strategies: tuple[str, ...]) -> list[tuple[str, int]]:
    """Each strategy at the rates that it may reach; one that reaches none, at its own."""
    pairs = product(strategies, RATES_PER_S)
    rates = ((name, min(rate, FASTEST_PER_S.get(name, rate))) for name, rate in pairs)
    return list(dict.fromkeys(rates))


def main(seconds: float = 10.0, strategies: tuple[str, ...] = STRATEGIES) -> int:
    reached = []
    with own("bench.arriving") as url:
        for strategy, rate_per_s in asked(strategies):
            record, uneven = run(url, strategy, rate_per_s, seconds)
            shown(strategy, rate_per_s, record, uneven)
            reached.append(held(strategy, rate_per_s, record, uneven))
    return 0 if all(reached) else 1


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(float(given[0]) if given else 10.0, tuple(given[1:]) or STRATEGIES))
