import pytest

from control_plane.load.plan import Plan
from tests.load.workers import plan_of

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
    assert Plan.read(line) == plan


def test_users_and_schedule() -> None:
    burst = plan_of("http://127.0.0.1:1", load=BURST)
    closed = plan_of("http://127.0.0.1:1", load=CLOSED)
    assert (burst.users, burst.scheduled) == (7, True)
    assert (closed.users, closed.scheduled) == (3, False)


def test_patience_outlasts_every_silence() -> None:
    plan = plan_of(
        "http://127.0.0.1:1", load=CLOSED, stop={"duration_s": 4}, warmup_s=3, timeout_s=2
    )
    assert plan.lead_s == 2 + 3 + 2
    assert plan.patience_s > 4 + 2 + 0.5
