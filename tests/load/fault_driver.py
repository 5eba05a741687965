"""One strategy against every fault of the hostile server, one after the other in one process."""

import os
import resource
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from control_plane.domain.histogram import EMPTY, Histogram, merge
from control_plane.load import schedule, strategies
from control_plane.load.clock import clock_ns
from control_plane.load.reporter import peak_memory_bytes
from control_plane.load.request_source import RequestSource
from control_plane.load.schedule import PacedPhase
from control_plane.load.strategies import StrategyContext
from control_plane.load.strategies.kept_connections import ConnectionCounter
from control_plane.load.window_stats import WindowStats
from control_plane.load.worker_protocol import Seeds
from tests.load.workers import plan_of

REQUESTS = 2
WAITED = {"slow-headers", "slow-body", "silence"}
"""Faults that last until the deadline of the request."""
WAITED_BY = {"early-hints": {"async", "httpx", "raw"}, "empty-line": {"async", "raw"}}
"""Faults that do so in some strategies; the others end them at once, however busy the machine."""
TIMEOUT_S, PATIENT_S = 0.3, 20.0
"""The deadline for those, and one for all others, which no busy machine reaches."""
LIMIT_BYTES = 1_000_000

EXPECTING = {"other-content": {"expect": {"json_key": "items"}}}
"""What a request class has besides its path, by fault."""

NO_FILES = "no-files"
"""Not the server's fault: no more files can be opened once the load has begun."""


@contextmanager
def open_files() -> Iterator[Callable[[int], None]]:
    """What is given forbids to open more; afterwards it is allowed again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The first three are open already.
    yield lambda _: resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def drive(strategy: str, url: str, fault: str, **parts: Any) -> dict[str, Any]:
    """`parts` as `plan_of` takes them; without any, two requests of one user."""
    client = {"strategy": strategy, "max_body_bytes": LIMIT_BYTES}
    path = "/ok" if fault == NO_FILES else f"/{fault}"
    waited = fault in WAITED or strategy in WAITED_BY.get(fault, ())
    timeout_s = TIMEOUT_S if waited else PATIENT_S
    usual = {
        "request": EXPECTING.get(fault, {}),
        "client": client,
        "timeout_s": timeout_s,
        "stop": {"requests": REQUESTS},
    }
    plan = plan_of(url, path, **{**usual, **parts})
    source = RequestSource(plan.stream.requests, Seeds.of(1))
    stats = WindowStats(plan.traits)
    counter = ConnectionCounter()
    context = StrategyContext(plan, source, stats.buffer, counter)
    driver = strategies.make_strategy(context)
    stats.open(begin_ns := clock_ns())
    with open_files() as forbid:
        driver.run(
            PacedPhase(
                plan.users,
                lambda begin_ns: schedule.closed(begin_ns, users=plan.users),
                limit=plan.requests or REQUESTS,
                on_start=forbid if fault == NO_FILES else None,
            )
        )
    totals = stats.close()
    seconds = [stats.take(index) for index in range(int(totals.duration_ns / 1e9) + 1)]
    return {
        "errors": totals.errors,
        "statuses": totals.statuses,
        "completed": totals.ended - sum(totals.errors.values()),
        "bytes_sent": totals.bytes_sent,
        "bytes_received": totals.bytes_received,
        "duration_s": (totals.closed_ns - begin_ns) / 1e9,
        "new_connections": counter.opened(),
        "connections": counter.most(),
        "sent_again": counter.sent_again(),
        "read_enough": counter.read_enough(),
        "failures": [failed.line for failed in context.failures.kept()],
        "begun_timeouts": totals.begun_timeouts,
        "service_s": _extremes([second.service for second in seconds]),
        "began_with_end": all(second.first_byte is second.service for second in seconds),
        "first_byte_s": _extremes([second.first_byte or EMPTY for second in seconds]),
    }


def _extremes(parts: list[Histogram]) -> tuple[int, float, float]:
    """How many, the smallest and the largest, in seconds."""
    whole = merge(parts)
    return whole.total, whole.minimum_ns / 1e9, whole.maximum_ns / 1e9


def drive_each(strategy: str, url: str, faults: Sequence[str], told: Connection) -> None:
    """Send what each fault came to, and under "" the most memory that this process took; end it."""
    found = {fault: drive(strategy, url, fault) for fault in faults}
    found[""] = {"peak_memory_bytes": peak_memory_bytes()}
    told.send(found)
    # Clients that were never closed have nothing to say about it.
    os._exit(0)
