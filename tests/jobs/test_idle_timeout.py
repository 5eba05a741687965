"""When a target counts as one that does not answer any more."""

import pytest

from control_plane.domain.load_models import AnyLoad, Burst, Closed, Periodic
from control_plane.domain.spec import RequestClass, Stop, Stream
from control_plane.jobs.progress import IdleTimeout, longest_silence_s


def lasting(looks: list[tuple[int, int, float]], users: int = 4, timeout_s: float = 1.0) -> float:
    silence = IdleTimeout(users, timeout_s)
    for completed, errors, now_s in looks:
        silence.look(completed, errors, now_s)
    return silence.lasts_s


@pytest.mark.parametrize(
    ("looks", "expected_s"),
    [
        ([(0, 0, 100.0)], 0),
        ([(0, 0, 100.0), (5, 0, 101.0), (9, 0, 102.0)], 0),
        ([(9, 0, 100.0), (9, 0, 101.0), (9, 0, 103.0)], 3),
        ([(9, 0, 100.0), (9, 4, 101.0), (9, 8, 102.0), (9, 12, 103.0)], 3),
        ([(9, 0, 100.0), (9, 900, 101.0), (9, 1_800, 102.0)], 0),
        ([(9, 0, 100.0), (9, 0, 102.0), (10, 0, 103.0), (10, 0, 103.5)], 0.5),
    ],
    ids=["first look", "answers", "nothing", "only deadlines", "quick errors", "came back"],
)
def test_silence(looks: list[tuple[int, int, float]], expected_s: float) -> None:
    assert lasting(looks) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("load", "start_after_s", "expected_s"),
    [
        (Burst("burst", 9), 0, 11),
        (Closed(concurrency=9), 0, 11),
        (Closed(concurrency=9, think_time_s=3, ramp_up_s=4), 0, 18),
        (Periodic("periodic", 0.5), 20, 31.5),
    ],
)
def test_a_stream_may_rightly_be_still(
    load: AnyLoad, start_after_s: float, expected_s: float
) -> None:
    stream = Stream(
        requests=(RequestClass(),),
        load=load,
        stop=Stop(requests=9),
        name="items",
        start_after_s=start_after_s,
    )
    assert longest_silence_s(stream, timeout_s=5) == pytest.approx(expected_s)
