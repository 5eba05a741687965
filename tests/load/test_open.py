"""Open and periodic loads, with real workers and a real server."""

from collections.abc import Callable
from functools import partial

import pytest

from control_plane.domain.histogram import merge
from control_plane.domain.stream_record import StreamRecord
from control_plane.load.worker_protocol import LoadPlan
from tests.load.hostile import HostileServer
from tests.load.workers import completed, plan_of, record_of, seconds_and_record

MANY = ("async", "threaded", "httpx", "raw")


def opened(rate, **more) -> dict:
    return {"model": "open", "rate_per_s": rate, "max_in_flight": 20, **more}


@pytest.fixture(params=MANY)
def planned(request: pytest.FixtureRequest, server: HostileServer) -> Callable[..., LoadPlan]:
    """As `plan_of`, for each strategy that has many requests in flight."""
    return partial(plan_of, server.url, strategy=request.param)


def times_of(record: StreamRecord, clock: str):
    return merge([getattr(second, clock) for second in record.seconds])


async def test_the_window_holds_what_was_meant_to_start_in_it(
    server: HostileServer, planned: Callable[..., LoadPlan]
) -> None:
    plan = planned(load=opened(100, max_in_flight=60), stop={"duration_s": 1.2}, warmup_s=0.3)
    seconds, record = await seconds_and_record(plan)
    assert record.intended == 120
    # All of them, unless this machine stood still just before the end.
    assert 90 <= completed(record) == record.sent
    assert server.requests["ok"] - 30 <= record.sent < server.requests["ok"]
    assert record.duration_ns == 1_200_000_000
    assert [second.index for second in seconds] == [0, 1]
    assert record.in_flight_ns == ()
    lag = record.send_lag
    assert lag is not None
    assert lag.total == record.sent
    assert lag.minimum_ns >= 0
    assert times_of(record, "response").mean_ns >= times_of(record, "service").mean_ns
    # One request at a time needs few connections, however many may be in flight.
    assert record.connections < 50


async def test_answers_are_awaited_after_the_window(planned: Callable[..., LoadPlan]) -> None:
    plan = planned("/slow", load=opened(40), stop={"duration_s": 0.5})
    record = await record_of(plan)
    assert 10 < completed(record) == record.sent <= record.intended == 20
    assert record.duration_ns == 500_000_000


async def test_what_finds_no_slot_waits_and_is_not_sent_at_the_end(
    server: HostileServer, planned: Callable[..., LoadPlan]
) -> None:
    """Two at a time, 0.05 s each: 40 a second of 200."""
    plan = planned("/slow", load=opened(200, max_in_flight=2), stop={"duration_s": 0.6})
    record = await record_of(plan)
    assert record.intended == 120
    assert 10 <= record.sent == completed(record) == server.requests["slow"] <= 27
    response, service = times_of(record, "response"), times_of(record, "service")
    # The last of them waited for most of the window; the server answered as quickly as ever.
    assert response.maximum_ns > 300_000_000 + service.minimum_ns
    assert record.send_lag is not None
    assert record.send_lag.maximum_ns > 300_000_000


async def test_a_backlog_of_the_warm_up_leaves_the_whole_window_unsent(
    planned: Callable[..., LoadPlan],
) -> None:
    """The 200 arrivals of the warm-up go first; each takes the only slot for 0.05 s."""
    plan = planned(
        "/slow", load=opened(400, max_in_flight=1), stop={"duration_s": 0.3}, warmup_s=0.5
    )
    record = await record_of(plan)
    assert (record.intended, record.sent, completed(record)) == (120, 0, 0)


async def test_a_number_of_requests_is_sent_on_the_schedule(
    planned: Callable[..., LoadPlan],
) -> None:
    plan = planned(load=opened(100, arrivals="poisson"), stop={"requests": 30}, warmup_s=0.1)
    record = await record_of(plan)
    assert completed(record) == record.intended == record.sent == 30
    # The mean gap is 10 ms; the seed makes the sum of 29 the same each time. Only the last of
    # them may be late.
    assert 0.15 < record.duration_ns / 1e9 < 1.5


async def test_what_never_answers_ends_at_its_deadline(planned: Callable[..., LoadPlan]) -> None:
    plan = planned("/silence", load=opened(20), stop={"duration_s": 0.5}, timeout_s=0.4)
    record = await record_of(plan)
    assert record.errors == {"timeout": record.sent}
    assert 5 < record.sent <= record.intended == 10


@pytest.mark.parametrize("strategy", ["async", "httpx", "raw"])
async def test_hundreds_end_at_their_deadline_too(server: HostileServer, strategy: str) -> None:
    plan = plan_of(
        server.url,
        "/silence",
        load={"model": "burst", "connections": 400},
        stop={"requests": 400},
        strategy=strategy,
        timeout_s=1.0,
    )
    record = await record_of(plan)
    assert record.errors == {"timeout": 400}
    assert record.duration_ns < 5_000_000_000


async def test_rates_follow_their_steps(server: HostileServer) -> None:
    steps = [{"rate_per_s": 20, "duration_s": 1.0}, {"rate_per_s": 100, "duration_s": 0.5}]
    plan = plan_of(server.url, load=opened(steps), stop={"duration_s": 2.0}, warmup_s=0.5)
    seconds, record = await seconds_and_record(plan)
    first, second = (each.completed for each in seconds)
    assert first + second == record.sent <= record.intended == 120
    # Of the first second the last may end in the other; what is late at the end is not sent.
    assert 10 < first <= 20
    assert 60 < second <= 110
    # The warm-up goes at the first rate.
    assert 5 < server.requests["ok"] - record.sent <= 10


@pytest.mark.parametrize("strategy", [*MANY, "blocking"])
async def test_periodic_users_keep_their_interval(server: HostileServer, strategy: str) -> None:
    users = 1 if strategy == "blocking" else 2
    plan = plan_of(
        server.url,
        load={"model": "periodic", "interval_s": 0.1, "concurrency": users},
        stop={"requests": 6 * users},
        strategy=strategy,
    )
    record = await record_of(plan)
    assert completed(record) == 6 * users
    # The second user starts half an interval later.
    assert 500_000_000 <= record.duration_ns < 1_000_000_000
    lag = record.send_lag
    assert lag
    assert lag.total == record.sent
    # Its client alone was late: the wait of a request counts in its response time.
    response, service = times_of(record, "response"), times_of(record, "service")
    assert response.sum_ns - service.sum_ns == lag.sum_ns >= 0


async def test_a_periodic_user_never_has_two_in_flight(server: HostileServer) -> None:
    """Answers of 0.05 s each 0.02 s: one after the other, and none is made up for."""
    plan = plan_of(
        server.url,
        "/slow",
        load={"model": "periodic", "interval_s": 0.02},
        stop={"duration_s": 0.6},
    )
    record = await record_of(plan)
    assert 3 <= completed(record) <= 12
    assert record.connections == 1
