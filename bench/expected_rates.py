"""The rates that the workloads are made for, against those of a run: real targets, bundled client.

`python -m bench.expected_rates [--seconds 9] [--only WORD]` prints what is expected and what was
measured, a line each. Rates are those of 100 users on the movies; durations are those of requests
that start at once. These are sleeps, so a busy machine moves them little.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control_plane.domain.limits import Limits
from control_plane.domain.result import Summary
from control_plane.jobs import recover
from control_plane.jobs.run_service import RunService
from control_plane.store.store import Store, open_store

USERS = 100
LOG_S, LOOK_UP_S = 2.0, 0.25
RATE_SHARE = 0.12
LATE_S, LATE_SHARE = 0.1, 0.1
LOOK_S = 0.2
ANY_FILM = {"id": {"kind": "integer", "low": 1, "high": 5}}


@dataclass(frozen=True)
class Claim:
    """`low` to `high` is what counts as reached, in `unit`."""

    name: str
    claimed: float
    unit: str
    low: float
    high: float
    document: dict[str, Any]

    def measured(self, summary: Summary) -> float:
        return summary.throughput_per_s if self.unit == "/s" else summary.duration_s


def rate(name: str, path: str, claimed: float, seconds: float) -> Claim:
    """100 users whose first requests are spread over one round, so that they do not keep step."""
    round_s = USERS / claimed
    load = {"model": "closed", "concurrency": USERS, "ramp_up_s": min(round_s, 2.5)}
    request = {"path": path, "values": ANY_FILM}
    stream = {"requests": [request], "load": load, "stop": {"duration_s": seconds}}
    document = {"workload": {"streams": [stream]}, "warmup_s": 2.5, "timeout_s": 60}
    return Claim(
        name, claimed, "/s", claimed * (1 - RATE_SHARE), claimed * (1 + RATE_SHARE), document
    )


def together(path: str, count: int, claimed: float) -> Claim:
    """All at once, each on a connection of its own."""
    load = {"model": "burst", "connections": count}
    stream = {"requests": [{"path": path}], "load": load, "stop": {"requests": count}}
    name = f"{count} at once to {path}" if count > 1 else f"1 to {path}"
    high = claimed + max(LATE_S, LATE_SHARE * claimed)
    document = {"workload": {"streams": [stream]}, "timeout_s": 60}
    return Claim(name, claimed, "s", claimed * 0.99, high, document)


def claims(seconds: float) -> Iterator[Claim]:
    yield rate("movies, awaited", "/movies/{id}", USERS / LOOK_UP_S, seconds)
    yield rate("movies, blocking", "/movies/sync/{id}", 1 / LOOK_UP_S, 2 * seconds)
    yield rate("movies, 40 threads", "/movies/thread/{id}", 40 / LOOK_UP_S, seconds)
    yield rate("movies, BackgroundTask", "/movies/with-log/{id}", USERS / LOOK_UP_S, seconds)
    yield rate(
        "movies, inline log", "/movies/inline-log/{id}", USERS / (LOOK_UP_S + LOG_S), seconds
    )
    yield together("/e2/p1", 10, 1)
    yield together("/e2/p2", 10, 10)
    yield together("/performance/async", 1, 1)
    yield together("/performance/sync", 1, 3)
    yield together("/sync-delay/2", 3, 2)
    yield together("/blocking-delay/2", 3, 6)
    yield together("/sync-delay/2", 41, 4)


async def results(chosen: list[Claim]) -> list[bool]:
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "runs.db")
        service = RunService(store, Limits(), recover(store, (), "normal"))
        try:
            return [await shown(store, service, claim) for claim in chosen]
        finally:
            await service.close()
            store.close()


async def shown(store: Store, service: RunService, claim: Claim) -> bool:
    (run,) = service.submit([claim.document])
    while not run.state.terminal:
        await asyncio.sleep(LOOK_S)
        run = await asyncio.to_thread(store.run, run.id)
    if not run.streams:
        print(f"{claim.name:34} {run.state.value}: {run.reason}", flush=True)
        return False
    summary = run.streams[0]
    value = claim.measured(summary)
    reached = claim.low <= value <= claim.high
    late = f", {summary.censored.count} censored" if summary.censored.count else ""
    outcome = run.validity.outcome if run.validity else None
    print(f"{claim.name:34}{claim.claimed:9.4g} {claim.unit:3}{value:9.4g} {claim.unit:3}", end="")
    print(f"{'reached' if reached else 'MISSED':8} {outcome}{late}", flush=True)
    return reached


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.expected_rates", description=__doc__)
    parser.add_argument("--seconds", type=float, default=9.0, help="window of a rate")
    parser.add_argument("--only", default="", help="those whose name holds this word")
    given = parser.parse_args()
    chosen = [claim for claim in claims(given.seconds) if given.only in claim.name]
    print(f"{'claim':34}{'claimed':>12} {'measured':>12}")
    sys.exit(0 if all(asyncio.run(results(chosen))) else 1)


if __name__ == "__main__":
    main()
