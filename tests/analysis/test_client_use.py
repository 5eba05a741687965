"""What the client used in a trial, from the records of its workers."""

from dataclasses import replace
from typing import Any

import pytest

from control_plane.analysis.summary import client_use, little_ratios
from control_plane.domain.load_models import Closed, Open
from control_plane.domain.spec import Stream
from tests.builders.trials import record, second, spec


def closed_stream(name: str = "items", **changes: Any) -> Stream:
    (stream,) = spec(concurrency=4, duration_s=2.0, names=(name,)).workload.streams
    return replace(stream, **changes)


def test_processor_time_is_that_of_the_busiest_worker_and_the_sum_of_streams() -> None:
    """Active waiting counts for nothing; memory and connections are those of the records."""
    workers = [
        record(second(0, 1.0), duration_s=2.0, cpu_s=1.5, spin_s=0.5),
        record(second(0, 1.0), duration_s=2.0, cpu_s=1.2),
        record(second(0, 1.0), duration_s=2.0, name="pages", cpu_s=0.1),
    ]
    items = record(
        second(0, 1.0), duration_s=2.0, cpu_s=2.7, connections=8, in_system_ns=5_000_000_000
    )
    streams = [closed_stream(), closed_stream("pages")]
    use = client_use(streams, workers, [items, workers[2]])
    assert use.busiest_cpu_share == pytest.approx(0.6)
    assert use.cpu_s == pytest.approx(2.8)
    assert use.peak_memory_bytes == 50_000_000
    assert use.connections == {"items": 8, "pages": 1}
    assert use.in_flight == {"items": 2.5, "pages": 0}
    assert (use.other_cpu, use.cores, use.priority) == (None, None, None)


USERS_NS = 4 * 2_000_000_000
"""Four users over a window of two seconds."""


@pytest.mark.parametrize(
    ("in_system_share", "away_share", "expected"),
    [
        (1.0, 0.0, {"items": 1.0}),
        (0.9, 0.0, {"items": 0.9}),
        (0.45, 0.5, {"items": 0.9}),
        (0.05, 0.95, {"items": 1.0}),
        (0.04, 0.96, {}),
    ],
    ids=["always in it", "lost time", "half of it thought", "hardly there", "too little"],
)
def test_littles_law(in_system_share: float, away_share: float, expected: dict[str, float]) -> None:
    measured = record(
        second(0, 1.0),
        duration_s=2.0,
        in_system_ns=round(in_system_share * USERS_NS),
        away_ns=round(away_share * USERS_NS),
    )
    assert little_ratios([closed_stream()], [measured]) == pytest.approx(expected)


def test_littles_law_is_for_closed_streams_by_duration() -> None:
    (by_requests,) = spec(concurrency=4).workload.streams
    streams = [closed_stream(load=Open("open", 9.0)), by_requests]
    full = record(second(0, 1.0), duration_s=2.0, in_system_ns=USERS_NS)
    assert little_ratios(streams, [full, full]) == {}
    assert isinstance(by_requests.load, Closed)
