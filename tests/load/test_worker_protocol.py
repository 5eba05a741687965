import asyncio
import gc
from dataclasses import replace

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.histogram import EMPTY, Histogram
from control_plane.domain.stream_record import Second, StreamRecord, merge_records
from control_plane.load import worker_protocol
from control_plane.load.request_source import RequestSource
from control_plane.load.worker_protocol import (
    Draining,
    LoadPlan,
    LoadTraits,
    Rejected,
    Seeds,
    Shard,
    WindowClosed,
    WindowOpened,
    WorkerReady,
    WorkerResult,
    shards,
)
from tests.load.hostile import HostileServer
from tests.load.workers import completed, plan_of, record_of

ITEM = {"path": "/ok/{n}", "values": {"n": {"kind": "sequence", "start": 5, "step": 2}}}
WORD = {"path": "/{word}", "values": {"word": {"kind": "string", "length": 12}}, "weight": 2}


@given(st.integers(0, 10_000), st.integers(1, 64))
def test_parts_add_up_and_nothing_is_done_twice(total: int, processes: int) -> None:
    parts = [(shard, shard.part(total)) for shard in shards(processes)]
    done = [shard.number(index) for shard, part in parts for index in range(part)]
    assert sorted(done) == list(range(total))
    sizes = [part for _, part in parts]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 2**53), st.integers(1, 8))
def test_the_requests_of_all_processes_are_those_of_one(seed: int, processes: int) -> None:
    def drawn(share: Shard, count: int) -> list[str]:
        plan = plan_of("http://127.0.0.1:1", requests=[WORD, {**WORD, "weight": 1}])
        source = RequestSource(plan.stream.requests, Seeds.of(seed), share)
        return [source.draw().path for _ in range(count)]

    parts = [path for shard in shards(processes) for path in drawn(shard, shard.part(40))]
    assert sorted(parts) == sorted(drawn(Shard(), 40))


async def test_processes_send_what_one_would_have_sent(server: HostileServer) -> None:
    """Neither a request nor a value of the sequence more or less, over as many connections."""
    plan = plan_of(
        server.url,
        requests=[ITEM],
        strategy="raw",
        client={"processes": 3},
        load={"model": "closed", "concurrency": 7},
        stop={"requests": 100},
    )
    parts = [replace(plan, share=share) for share in shards(3)]
    record = merge_records(await asyncio.gather(*(record_of(part) for part in parts)))
    paths = [head.split(b" ")[1] for head in server.heads]
    assert sorted(paths) == sorted(b"/ok/%d" % (5 + 2 * number) for number in range(100))
    assert completed(record) == record.sent == server.requests["ok"] == 100
    assert record.connections == record.new_connections == server.connections == 7


async def test_processes_share_a_schedule(server: HostileServer) -> None:
    plan = plan_of(
        server.url,
        strategy="raw",
        client={"processes": 2},
        load={"model": "open", "rate_per_s": 200.0, "max_in_flight": 10},
        stop={"requests": 101},
    )
    parts = [replace(plan, share=share) for share in shards(2)]
    record = merge_records(await asyncio.gather(*(record_of(part) for part in parts)))
    assert completed(record) == record.sent == record.intended == server.requests["ok"] == 101
    assert record.send_lag is not None
    assert record.send_lag.total == 101
    # The last arrival of the whole is the fifty-first of the first process.
    assert record.duration_ns >= 50 * 10_000_000


BURST = {"model": "burst", "connections": 7}
CLOSED = {"model": "closed", "concurrency": 3, "think_time_s": 0.5, "ramp_up_s": 2}


@pytest.mark.parametrize(
    ("load", "stop"),
    [(CLOSED, {"duration_s": 2}), (CLOSED, {"requests": 5}), (BURST, {"requests": 5})],
)
def test_a_plan_survives_the_pipe(load: dict, stop: dict) -> None:
    body = {"method": "POST", "body": {"json": {"a": ["{id}", 1, None]}}, "expect": [201]}
    values = {"id": {"kind": "choice", "of": ["a", 1, 2.5]}}
    plan = plan_of("http://127.0.0.1:1", load=load, stop=stop, request={**body, "values": values})
    line = plan.line()
    assert line.count(b"\n") == 1
    assert LoadPlan.read(line) == plan


def test_users_and_schedule() -> None:
    burst = plan_of("http://127.0.0.1:1", load=BURST)
    closed = plan_of("http://127.0.0.1:1", load=CLOSED)
    assert (burst.users, burst.traits.is_scheduled) == (7, True)
    assert closed.traits == LoadTraits(users=3, think_ns=500_000_000)


def test_patience_outlasts_every_silence() -> None:
    plan = plan_of(
        "http://127.0.0.1:1", load=CLOSED, stop={"duration_s": 4}, warmup_s=3, timeout_s=2
    )
    assert plan.lead_s == 2 + 3 + 2
    assert plan.patience_s > 4 + 2 + 0.5


SERVICE = Histogram.of(np.array([1_000_003, 5_000_007, 7_654_321], np.int64))
RESPONSE = Histogram.of(np.array([2_000_003, 8_000_007, 9_654_321], np.int64))


def facts(histogram: Histogram) -> tuple:
    exact = (histogram.minimum_ns, histogram.maximum_ns, histogram.sum_ns)
    return (*exact, histogram.indices.tolist(), histogram.counts.tolist())


def record(**changes) -> StreamRecord:
    values = {
        "name": "items",
        "opened_ns": 12,
        "duration_ns": 2_000_000_000,
        "seconds": (),
        "errors": {"reset": 2},
        "statuses": {"200": 5},
        "in_flight_ns": (5, 6),
        "intended": 9,
        "sent": 9,
        "send_lag": None,
        "bytes_sent": 1,
        "bytes_received": 2,
        "in_system_ns": 3,
        "new_connections": 4,
        "sent_again": 1,
        "connections": 5,
        "cpu_s": 0.5,
        "spin_s": 0.0,
        "peak_memory_bytes": 6,
    }
    return StreamRecord(**{**values, **changes})


@pytest.mark.parametrize(
    "event",
    [
        WorkerReady(),
        WindowOpened(123),
        WindowClosed(),
        Draining(12),
        Rejected("too few files: raise"),
    ],
)
def test_small_events_survive_the_pipe(event) -> None:
    assert worker_protocol.decode(worker_protocol.encode(event)) == event


@pytest.mark.parametrize("response", [SERVICE, RESPONSE, EMPTY])
def test_a_second_survives_with_its_exact_extremes(response: Histogram) -> None:
    line = worker_protocol.encode(Second(3, 4, SERVICE, response, intended=10, sent=9))
    found = worker_protocol.decode(line)
    assert line.count("\n") == 1
    assert isinstance(found, Second)
    assert (found.index, found.errors, found.intended, found.sent) == (3, 4, 10, 9)
    assert facts(found.service) == facts(SERVICE)
    assert facts(found.response) == facts(response)


def test_one_object_for_both_times_is_sent_once() -> None:
    once = worker_protocol.encode(Second(0, 0, SERVICE, SERVICE))
    twice = worker_protocol.encode(Second(0, 0, SERVICE, RESPONSE))
    assert once.count("hdr") == 1
    assert twice.count("hdr") == 2
    found = worker_protocol.decode(once)
    assert isinstance(found, Second)
    assert found.service is found.response
    for first_byte, many in ((SERVICE, 1), (RESPONSE, 2)):
        line = worker_protocol.encode(Second(0, 0, SERVICE, SERVICE, first_byte=first_byte))
        assert line.count("hdr") == many
        again = worker_protocol.decode(line)
        assert isinstance(again, Second)
        assert again.first_byte is not None
        assert (again.first_byte is again.service) is (many == 1)
        assert facts(again.first_byte) == facts(first_byte)


def test_the_record_gets_its_seconds_back() -> None:
    seconds = [Second(0, 1, SERVICE, RESPONSE), Second(1, 0, EMPTY, EMPTY)]
    found = worker_protocol.decode(
        worker_protocol.encode(WorkerResult(record(seconds=tuple(seconds)))), seconds
    )
    assert found == WorkerResult(record(seconds=tuple(seconds)))


def test_the_send_lag_survives() -> None:
    found = worker_protocol.decode(worker_protocol.encode(WorkerResult(record(send_lag=SERVICE))))
    assert isinstance(found, WorkerResult)
    assert found.record.send_lag is not None
    assert facts(found.record.send_lag) == facts(SERVICE)


@pytest.mark.parametrize(
    "line", ["", "{}", "[]", '{"what": 1}', '{"window_opened": {}}', "3", '"a"']
)
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"not a message|Expecting|values to unpack"):
        worker_protocol.decode(line)


def test_the_pipe_leaves_nothing_to_the_garbage_collector() -> None:
    """An HDR histogram takes 280 kB; one a second would add up while nothing is collected."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            worker_protocol.decode(worker_protocol.encode(Second(0, 0, SERVICE, RESPONSE)))
        left = [found for found in gc.get_objects() if isinstance(found, HdrHistogram)]
    finally:
        gc.enable()
    assert left == []
