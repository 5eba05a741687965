"""Titles of runs that were given none."""

import pytest

from control_plane.domain.loads import Burst, Closed
from control_plane.domain.spec import (
    Client,
    RequestClass,
    Spec,
    StopDuration,
    StopRequests,
    Stream,
    Workload,
)
from control_plane.jobs.naming import title_of


@pytest.mark.parametrize(
    ("load", "stop", "expected"),
    [
        (Closed(concurrency=1), StopRequests(24_999), "items, async, 1 user, 24,999 requests, u"),
        (Closed(concurrency=64), StopDuration(2.5), "items, async, 64 users, 2.5 s, u"),
        (Burst("burst", 9), StopRequests(50), "items, async, burst over 9, 50 requests, u"),
    ],
)
def test_titles(load: Closed | Burst, stop: StopRequests | StopDuration, expected: str) -> None:
    stream = Stream(requests=(RequestClass(),), load=load, stop=stop, name="items")
    spec = Spec(workload=Workload((stream,)), client=Client(strategy="async"))
    assert title_of(spec, "u") == expected
