"""When a target counts as one that does not answer any more."""

import pytest

from control_plane.jobs.trial_window import IdleTimeout


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
