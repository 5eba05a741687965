import gc

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram

from control_plane.domain.histogram import EMPTY, Histogram
from control_plane.domain.stream_record import Second, StreamRecord
from control_plane.load import messages
from control_plane.load.messages import (
    Draining,
    Rejected,
    WindowClosed,
    WindowOpened,
    WorkerReady,
    WorkerResult,
)

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
    assert messages.decode(messages.encode(event)) == event


@pytest.mark.parametrize("response", [SERVICE, RESPONSE, EMPTY])
def test_a_second_survives_with_its_exact_extremes(response: Histogram) -> None:
    line = messages.encode(Second(3, 4, SERVICE, response))
    found = messages.decode(line)
    assert line.count("\n") == 1
    assert isinstance(found, Second)
    assert (found.index, found.errors) == (3, 4)
    assert facts(found.service) == facts(SERVICE)
    assert facts(found.response) == facts(response)


def test_one_object_for_both_times_is_sent_once() -> None:
    once = messages.encode(Second(0, 0, SERVICE, SERVICE))
    twice = messages.encode(Second(0, 0, SERVICE, RESPONSE))
    assert once.count("hdr") == 1
    assert twice.count("hdr") == 2
    found = messages.decode(once)
    assert isinstance(found, Second)
    assert found.service is found.response
    for first_byte, many in ((SERVICE, 1), (RESPONSE, 2)):
        line = messages.encode(Second(0, 0, SERVICE, SERVICE, first_byte=first_byte))
        assert line.count("hdr") == many
        again = messages.decode(line)
        assert isinstance(again, Second)
        assert again.first_byte is not None
        assert (again.first_byte is again.service) is (many == 1)
        assert facts(again.first_byte) == facts(first_byte)


def test_the_record_gets_its_seconds_back() -> None:
    seconds = [Second(0, 1, SERVICE, RESPONSE), Second(1, 0, EMPTY, EMPTY)]
    found = messages.decode(messages.encode(WorkerResult(record(seconds=tuple(seconds)))), seconds)
    assert found == WorkerResult(record(seconds=tuple(seconds)))


def test_the_send_lag_survives() -> None:
    found = messages.decode(messages.encode(WorkerResult(record(send_lag=SERVICE))))
    assert isinstance(found, WorkerResult)
    assert found.record.send_lag is not None
    assert facts(found.record.send_lag) == facts(SERVICE)


@pytest.mark.parametrize(
    "line", ["", "{}", "[]", '{"what": 1}', '{"window_opened": {}}', "3", '"a"']
)
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"not a message|Expecting|values to unpack"):
        messages.decode(line)


def test_the_pipe_leaves_nothing_to_the_garbage_collector() -> None:
    """An HDR histogram takes 280 kB; one a second would add up while nothing is collected."""
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            messages.decode(messages.encode(Second(0, 0, SERVICE, RESPONSE)))
        left = [found for found in gc.get_objects() if isinstance(found, HdrHistogram)]
    finally:
        gc.enable()
    assert left == []
