"""The rules of the window, with real workers and a real server."""

import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from control_plane.domain.histogram import merge
from scripts.budget import ROOT
from tests.forked import FORKED
from tests.load.hostile import HostileServer
from tests.load.workers import (
    PATIENCE_S,
    completed,
    plan_of,
    record_of,
    seconds_and_record,
    soft_limit_after,
)

STRATEGIES = ("async", "threaded", "blocking")
# Threads drive each user as blocking drives its one.
TWO = ("async", "threaded")
USERS = {"async": 5, "threaded": 5, "blocking": 1}


def closed(strategy: str, **more: float) -> dict:
    return {"model": "closed", "concurrency": USERS[strategy], **more}


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_stop_by_requests_sends_just_as_many(server: HostileServer, strategy: str) -> None:
    plan = plan_of(server.url, load=closed(strategy), stop={"requests": 203}, strategy=strategy)
    record = await record_of(plan)
    assert completed(record) == record.intended == record.sent == 203
    assert server.requests == {"ok": 203}
    assert record.statuses == {"200": 203}
    assert record.bytes_received == 2 * 203
    assert record.in_flight_ns == ()
    assert record.connections == server.connections == USERS[strategy]
    assert 0 < record.cpu_s < 5
    assert record.peak_memory_bytes > 10_000_000


@pytest.mark.parametrize("strategy", TWO)
async def test_the_warm_up_is_sequential_and_not_counted(
    server: HostileServer, strategy: str
) -> None:
    plan = plan_of(
        server.url,
        "/slow",
        load=closed(strategy),
        stop={"requests": 5},
        strategy=strategy,
        warmup_s=0.4,
    )
    record = await record_of(plan)
    warm = server.requests["slow"] - 5
    assert completed(record) == 5
    # Each takes 0.05 s, one after the other.
    assert 1 <= warm <= 8


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_duration_is_one_uninterrupted_load(server: HostileServer, strategy: str) -> None:
    plan = plan_of(
        server.url,
        "/slow",
        load=closed(strategy),
        stop={"duration_s": 1.2},
        strategy=strategy,
        warmup_s=0.3,
    )
    began_ns = time.monotonic_ns()
    seconds, record = await seconds_and_record(plan)
    users = USERS[strategy]
    assert record.duration_ns == 1_200_000_000
    assert record.opened_ns - began_ns > 300_000_000
    assert [second.index for second in seconds] == [0, 1]
    # 0.05 s each, so 24 rounds of all users at most; those of the warm-up are not counted.
    assert users <= completed(record) <= 25 * users
    (early,) = record.warmup
    assert (early.index, record.warmup_s) == (-1, 0.3)
    assert users <= early.completed <= 6 * users
    assert server.requests["slow"] >= completed(record) + early.completed + users
    assert len(record.in_flight_ns) == users
    assert record.intended == completed(record) + users
    little = record.in_system_ns / (record.duration_ns * users)
    assert 0.9 < little <= 1.0
    # The users' connections were opened in the warm-up.
    assert record.new_connections == 0
    assert record.connections == users


@pytest.mark.parametrize("strategy", TWO)
async def test_what_never_ends_is_censored_and_not_awaited(
    server: HostileServer, strategy: str
) -> None:
    plan = plan_of(
        server.url,
        "/silence",
        load=closed(strategy),
        stop={"duration_s": 0.5},
        strategy=strategy,
        warmup_s=0.5,
        timeout_s=2 * PATIENCE_S,
    )
    record = await record_of(plan)
    assert completed(record) == 0
    assert record.errors == {}
    ages_s = [age_ns / 1e9 for age_ns in record.in_flight_ns]
    assert len(ages_s) == USERS[strategy]
    assert all(0.5 < age_s <= 1 for age_s in ages_s)
    # Only the part inside the window is time in the system.
    assert record.in_system_ns == USERS[strategy] * record.duration_ns


@pytest.mark.parametrize("strategy", ["async", "threaded"])
async def test_a_burst_starts_at_once_over_its_connections(
    server: HostileServer, strategy: str
) -> None:
    plan = plan_of(
        server.url,
        "/slow",
        load={"model": "burst", "connections": 4},
        stop={"requests": 20},
        strategy=strategy,
    )
    record = await record_of(plan)
    service = merge([second.service for second in record.seconds])
    response = merge([second.response for second in record.seconds])
    assert completed(record) == server.requests["slow"] == 20
    assert server.connections == record.connections == 4
    # Five rounds of 0.05 s: the last four waited for four rounds, which response time includes.
    assert service.maximum_ns < response.maximum_ns == record.duration_ns
    assert response.minimum_ns >= service.minimum_ns
    assert response.mean_ns > 1.5 * service.mean_ns


@pytest.mark.parametrize("strategy", TWO)
async def test_thinking_is_in_neither_time(server: HostileServer, strategy: str) -> None:
    plan = plan_of(
        server.url,
        load={"model": "closed", "concurrency": 1, "think_time_s": 0.3},
        stop={"requests": 4},
        strategy=strategy,
    )
    record = await record_of(plan)
    response = merge([second.response for second in record.seconds])
    assert record.duration_ns - response.sum_ns >= 900_000_000
    assert response.maximum_ns < 300_000_000


async def test_who_thinks_and_sends_late_is_away(server: HostileServer) -> None:
    """Timers of a loop ring a millisecond late: without that the times do not add up to users."""
    plan = plan_of(
        server.url,
        load={"model": "closed", "concurrency": 4, "think_time_s": 0.001},
        stop={"duration_s": 1},
    )
    record = await record_of(plan)
    users = (record.in_system_ns + record.away_ns) / record.duration_ns
    assert users == pytest.approx(4, rel=0.1)


async def test_users_join_over_the_ramp_up_before_the_warm_up(server: HostileServer) -> None:
    plan = plan_of(
        server.url,
        "/slow",
        load={"model": "closed", "concurrency": 4, "ramp_up_s": 0.8},
        stop={"duration_s": 0.4},
        warmup_s=0.2,
    )
    record = await record_of(plan)
    assert 4 <= completed(record) <= 36
    # 0.8, 0.6, 0.4 and 0.2 s of ramp-up, then 0.6 s by all: 88, and one more in flight for each.
    assert completed(record) + 8 <= server.requests["slow"] <= 92


async def test_ramp_up_comes_first_where_requests_are_counted(server: HostileServer) -> None:
    plan = plan_of(
        server.url,
        "/slow",
        load={"model": "closed", "concurrency": 4, "ramp_up_s": 0.2},
        stop={"requests": 8},
    )
    began_ns = time.monotonic_ns()
    record = await record_of(plan)
    assert completed(record) == 8
    assert server.requests["slow"] >= 12
    assert record.new_connections == 0
    assert record.opened_ns - began_ns >= 200_000_000


async def test_a_stream_may_start_later(server: HostileServer) -> None:
    began_ns = time.monotonic_ns()
    record = await record_of(plan_of(server.url, start_after_s=0.5, stop={"requests": 1}))
    assert record.opened_ns - began_ns > 500_000_000


async def test_seconds_without_a_response_are_sent_too(server: HostileServer) -> None:
    plan = plan_of(server.url, "/silence", stop={"duration_s": 2.5}, timeout_s=10.0)
    seconds, record = await seconds_and_record(plan)
    assert [(second.index, second.completed) for second in seconds] == [(0, 0), (1, 0), (2, 0)]
    assert tuple(seconds) == record.seconds


async def test_the_window_by_requests_ends_with_the_last_answer(server: HostileServer) -> None:
    plan = plan_of(server.url, "/slow", stop={"requests": 3})
    record = await record_of(plan)
    service = merge([second.service for second in record.seconds])
    assert service.sum_ns <= record.duration_ns < 2 * service.sum_ns


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "expected"),
    [(256, 1_024, 100, 256), (256, 1_024, 500, 564), (256, 564, 500, 564)],
)
def test_the_soft_limit_is_raised_as_needed(
    soft: int, hard: int, connections: int, expected: int
) -> None:
    with ProcessPoolExecutor(1, FORKED) as processes:
        found = processes.submit(soft_limit_after, soft, hard, connections).result()
    assert found == expected


def test_the_hard_limit_is_named() -> None:
    with ProcessPoolExecutor(1, FORKED) as processes:
        found = processes.submit(soft_limit_after, 256, 300, 500).result()
    assert found == (
        "client: 500 connections need 564 open files, the limit is 300: "
        "raise it (ulimit -n 564) or use fewer"
    )


def test_a_worker_has_only_what_its_strategy_takes() -> None:
    """Hundreds of them start in an experiment: what reads documents, pages and tables stays out."""
    script = (
        "import sys; from control_plane.load import worker; "
        "from control_plane.load.strategies import aiohttp_client; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = set(found.stdout.split())
    assert {"numpy", "aiohttp"} <= imported
    assert not imported & {
        "pydantic", "pydantic_core", "fastapi", "sqlalchemy", "sqlmodel", "jinja2", "rich",
        "requests", "httpx", "scipy",
    }  # fmt: skip
