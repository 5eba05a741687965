import pytest

from control_plane.load.pacing import burst, closed

BEGIN = 1_000_000


@pytest.mark.parametrize(
    ("users", "ramp_up_ns", "expected"),
    [
        (1, 0, [BEGIN]),
        (3, 0, [BEGIN, BEGIN, BEGIN]),
        (4, 800, [BEGIN, BEGIN + 200, BEGIN + 400, BEGIN + 600]),
        (3, 100, [BEGIN, BEGIN + 33, BEGIN + 66]),
    ],
)
@pytest.mark.parametrize("think_ns", [0, 500])
def test_users_join_over_the_ramp_up(
    users: int, ramp_up_ns: int, expected: list[int], think_ns: int
) -> None:
    """Nobody thinks before the first request."""
    pacing = closed(BEGIN, users, ramp_up_ns, think_ns)
    firsts = [pacing.due(user, pacing.entry(user)) for user in range(users)]
    assert firsts == expected


@pytest.mark.parametrize("think_ns", [0, 250])
def test_closed_waits_for_the_answer_and_thinks(think_ns: int) -> None:
    pacing = closed(BEGIN, 2, think_ns=think_ns)
    assert pacing.due(7, BEGIN + 4_000) == BEGIN + 4_000 + think_ns


def test_a_burst_is_due_at_once() -> None:
    pacing = burst(BEGIN)
    assert {pacing.due(number, pacing.entry(number % 5)) for number in range(50)} == {BEGIN}
    assert pacing.due(50, BEGIN + 10**9) == BEGIN
