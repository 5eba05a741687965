"""Samples of a server that does not exist, as a load worker would have recorded them."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from control_plane.domain.histogram import Histogram
from control_plane.domain.spec import Stream
from control_plane.domain.stream_record import Second, StreamRecord


@dataclass(frozen=True)
class Shape:
    """What the server does to the samples: requests per second, median and spread of their times.

    `queued_s` is added to response times alone. The tail is up to eight times slower, or takes
    `slow_s`. Answers begin after `first_byte_share` of the service time; None: nobody looked.
    `errors` by class, for each trial. `blocked`: the
    share of the window in which the event loop stands still, `stall_s` at a time. `waiting`
    requests wait for one of `threads`.
    """

    rate_per_s: float = 14_300
    median_s: float = 0.0068
    spread: float = 0.18
    tail_share: float = 0.01
    queued_s: float = 0.0
    slow_s: float | None = None
    first_byte_share: float | None = 0.98
    errors: dict[str, int] = field(default_factory=dict, hash=False)
    client_cpu: float = 0.72
    target_cpu: float = 0.99
    other_cpu: float = 0.02
    restarts: int = 0
    blocked: float = 0.0
    stall_s: float = 0.25
    waiting: int = 0
    threads: int = 40


def record_of(stream: Stream, shape: Shape, seed: int) -> StreamRecord:
    rng = np.random.default_rng(seed)
    rate = shape.rate_per_s * rng.normal(1, 0.01)
    total = stream.stop.requests or round(rate * (stream.stop.duration_s or 0.0))
    duration_s = stream.stop.duration_s or total / rate
    failed = sum(shape.errors.values())
    service = _service_ns(rng, shape, total - failed)
    share = shape.first_byte_share
    response = service + int(shape.queued_s * 1e9)
    ends = np.sort(rng.uniform(0, duration_s, len(service)).astype(np.int64))
    edges = np.searchsorted(ends, np.arange(int(np.ceil(duration_s)) + 1)).tolist()
    seconds = tuple(
        Second(
            index,
            failed if index == 0 else 0,
            Histogram.of(service[begin:end]),
            Histogram.of(response[begin:end]),
            first_byte=None if share is None else _scaled(service[begin:end], share),
        )
        for index, (begin, end) in enumerate(pairwise(edges))
    )
    waiting = 0 if stream.stop.requests is not None else stream.load.users
    return StreamRecord(
        name=stream.name,
        opened_ns=0,
        duration_ns=int(duration_s * 1e9),
        seconds=seconds,
        errors=shape.errors,
        statuses={"200": total - failed},
        in_flight_ns=tuple(int(shape.median_s * 5e8) for _ in range(waiting)),
        in_flight_begun=(False,) * waiting,
        intended=total + waiting,
        sent=total + waiting,
        send_lag=None,
        bytes_sent=total * 110,
        bytes_received=total * 160,
        in_system_ns=int(response.sum()),
        new_connections=stream.load.users,
        connections=stream.load.users,
        sent_again=0,
        cpu_s=shape.client_cpu * duration_s,
        spin_s=0.0,
        peak_memory_bytes=48_000_000,
    )


def _scaled(times: Any, share: float) -> Histogram:
    return Histogram.of((times * share).astype(np.int64))


def _service_ns(rng: np.random.Generator, shape: Shape, count: int) -> Any:
    times = shape.median_s * rng.lognormal(0, shape.spread, count)
    slow = rng.random(count) < shape.tail_share
    many = int(slow.sum())
    if shape.slow_s is None:
        times[slow] *= rng.uniform(1.5, 8, many)
    else:
        times[slow] = shape.slow_s * rng.uniform(0.75, 1.0, many)
    return (times * 1e9).astype(np.int64)
