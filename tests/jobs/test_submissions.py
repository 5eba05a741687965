"""Titles of runs that were given none."""

import pytest

from control_plane.domain.load_models import AnyLoad, Burst, Closed, Open, Periodic, RateStep
from control_plane.domain.spec import Client, RequestClass, Spec, Stop, Stream, Workload
from control_plane.jobs.submissions import title_of


@pytest.mark.parametrize(
    ("load", "stop", "expected"),
    [
        (Closed(concurrency=1), Stop(requests=24_999), "items, async, 1 user, 24,999 requests, u"),
        (Closed(concurrency=64), Stop(duration_s=2.5), "items, async, 64 users, 2.5 s, u"),
        (
            Open("open", 1_000.0, "poisson"),
            Stop(duration_s=5),
            "items, async, open 1,000/s Poisson, 5 s, u",
        ),
        (
            Open("open", (RateStep(0.5, 1), RateStep(200_000, 1))),
            Stop(duration_s=5),
            "items, async, open 0.5 to 200,000/s in 2 steps, 5 s, u",
        ),
        (
            Periodic("periodic", 0.1),
            Stop(requests=9),
            "items, async, 1 user every 0.1 s, 9 requests, u",
        ),
        (Burst("burst", 9), Stop(requests=50), "items, async, burst over 9, 50 requests, u"),
    ],
)
def test_titles(load: AnyLoad, stop: Stop, expected: str) -> None:
    stream = Stream(requests=(RequestClass(),), load=load, stop=stop, name="items")
    spec = Spec(workload=Workload((stream,)), client=Client(strategy="async"))
    assert title_of(spec, "u") == expected
    assert title_of(spec, "items, u") == expected
