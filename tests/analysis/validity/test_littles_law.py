"""Little's law over the records of a trial."""

from dataclasses import replace
from typing import Any

import pytest

from control_plane.analysis.validity.littles_law import little_ratios
from control_plane.domain.load_models import Closed, Open
from control_plane.domain.spec import Stream
from tests.builders.trials import record, second, spec

USERS_NS = 4 * 2_000_000_000
"""Four users over a window of two seconds."""


def closed_stream(name: str = "items", **changes: Any) -> Stream:
    (stream,) = spec(concurrency=4, duration_s=2.0, names=(name,)).workload.streams
    return replace(stream, **changes)


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
