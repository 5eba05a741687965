import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.load_models import Burst, Closed, LoadModel, Periodic
from control_plane.load.pacing import burst, closed, pacing_of, periodic

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
    firsts = [pacing.first(user) for user in range(users)]
    assert firsts == expected


@pytest.mark.parametrize("think_ns", [0, 250])
def test_closed_waits_for_the_response_and_thinks(think_ns: int) -> None:
    pacing = closed(BEGIN, 2, think_ns=think_ns)
    assert pacing.after(BEGIN, BEGIN + 4_000) == BEGIN + 4_000 + think_ns


def test_a_burst_is_due_at_once() -> None:
    pacing = burst(BEGIN)
    assert {pacing.first(user) for user in range(50)} == {BEGIN}
    assert pacing.after(BEGIN, BEGIN + 10**9) == BEGIN


@pytest.mark.parametrize(
    ("responses_after", "starts"),
    [
        ([10, 10, 10], [0, 100, 200, 300]),
        ([100, 100], [0, 100, 200]),
        # Late once: the next one starts at once, and those that follow keep the interval.
        ([10, 250, 10, 10], [0, 100, 350, 450, 550]),
        ([130, 130, 20], [0, 130, 260, 360]),
    ],
)
def test_periodic_awaits_and_never_catches_up(
    responses_after: list[int], starts: list[int]
) -> None:
    pacing = periodic(BEGIN, 1, 100)
    due_ns = pacing.first(0)
    found = [due_ns]
    for response_ns in responses_after:
        due_ns = pacing.after(due_ns, due_ns + response_ns)
        found.append(due_ns)
    assert [start_ns - BEGIN for start_ns in found] == starts


def test_periodic_users_begin_over_one_interval() -> None:
    pacing = periodic(BEGIN, 4, 1_000)
    assert [pacing.first(user) - BEGIN for user in range(4)] == [0, 250, 500, 750]


@given(
    st.integers(1, 10**9),
    st.lists(st.integers(0, 3 * 10**9), min_size=1, max_size=50),
)
def test_periodic_is_monotone_and_never_overlaps(interval_ns: int, responses_ns: list[int]) -> None:
    pacing = periodic(BEGIN, 1, interval_ns)
    due_ns = pacing.first(0)
    for response_ns in responses_ns:
        end_ns = due_ns + response_ns
        next_ns = pacing.after(due_ns, end_ns)
        assert next_ns >= end_ns
        assert next_ns - due_ns == max(interval_ns, response_ns)
        due_ns = next_ns


@pytest.mark.parametrize(
    ("load", "second_user_ns", "next_ns"),
    [
        (Closed(concurrency=4, think_time_s=0.2, ramp_up_s=2), 1_500_000_000, 1_900_000_000),
        (Closed(concurrency=4), 1_500_000_000, 1_700_000_000),
        (Burst("burst", connections=4), 1_000_000_000, 1_000_000_000),
        (Periodic("periodic", interval_s=2, concurrency=4), 1_500_000_000, 3_000_000_000),
    ],
)
def test_the_pacing_of_a_load_model(load: LoadModel, second_user_ns: int, next_ns: int) -> None:
    pacing = pacing_of(load, 1_000_000_000, 2_000_000_000)
    assert pacing.opens_ns == pacing.first(0) == 1_000_000_000
    assert (pacing.first(1), pacing.after(1_000_000_000, 1_700_000_000)) == (
        second_user_ns,
        next_ns,
    )
