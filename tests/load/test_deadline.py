import pytest

from control_plane.load.deadline import overdue


@pytest.mark.parametrize(
    ("starts", "now", "late", "look"),
    [
        ({}, 50, [], 150),
        ({1: 20}, 50, [], 120),
        ({1: 20, 2: 10}, 50, [], 110),
        ({1: 20}, 119, [], 120),
        ({1: 20}, 120, [1], 5_000_120),
        ({1: 20, 2: 40, 3: 100}, 145, [1, 2], 5_000_145),
    ],
)
def test_who_is_late_and_when_to_look_again(
    starts: dict[int, int], now: int, late: list[int], look: int
) -> None:
    assert overdue(starts, 100, now) == (late, look)
