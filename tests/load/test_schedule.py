"""Intended starts by their properties: monotone, the right count in any interval, reproducible."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, count, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_plane.domain.load_models import Burst, Closed, LoadModel, Open, Periodic, RateStep
from control_plane.load.clock import clock_ns
from control_plane.load.schedule import (
    ArrivalCounter,
    ArrivalQueue,
    OpenPhase,
    PacedPhase,
    RateSchedule,
    arrival_times,
    burst,
    closed,
    pacing_of,
    periodic,
)
from control_plane.load.worker_protocol import WHOLE, Shard

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


OPENS = 7_000_000_000_123
SECOND = 1_000_000_000

RATES = st.lists(
    st.builds(RateStep, st.floats(0.1, 200_000), st.floats(0.1, 20)), min_size=1, max_size=4
).map(tuple)


def made(
    load: Open, count: int, warm_ns: int = 0, seed: int = 1, share: Shard = WHOLE
) -> np.ndarray:
    """The first `count` intended starts, from the opening of the window on."""
    chunks = arrival_times(load, begin_ns=OPENS - warm_ns, opens_ns=OPENS, seed=seed, share=share)
    return np.array(list(islice(chain.from_iterable(chunks), count))) - OPENS


def constant(*steps: tuple[float, float]) -> Open:
    return Open("open", tuple(RateStep(*step) for step in steps))


@pytest.mark.parametrize(
    ("load", "warm_s", "expected_ms"),
    [
        (Open("open", 100), 0, [0, 10, 20, 30]),
        (Open("open", 100), 0.02, [-20, -10, 0, 10]),
        # Whatever the warm-up: the window begins with an arrival.
        (Open("open", 100), 0.025, [-20, -10, 0, 10]),
        (Open("open", 0.5), 1, [0, 2_000, 4_000]),
        (constant((10, 0.2), (100, 9)), 0, [0, 100, 200, 210, 220]),
        (constant((100, 0.02), (10, 0.1)), 0.01, [-10, 0, 10, 20, 120, 220]),
        # The last step holds; a mark that is under way when the rate changes is finished by it.
        (constant((10, 0.25), (100, 0.1)), 0, [0, 100, 200, 255, 265]),
    ],
)
def test_constant_arrivals(load: Open, warm_s: float, expected_ms: list[int]) -> None:
    found = made(load, len(expected_ms), round(warm_s * SECOND))
    assert found.tolist() == [at_ms * 1_000_000 for at_ms in expected_ms]


@settings(max_examples=60)
@given(RATES, st.floats(0, 30), st.floats(0, 30))
def test_any_interval_holds_the_expected_count(steps, since_s, length_s) -> None:
    """Within one: an interval need not begin with an arrival."""
    rates = RateSchedule(steps, OPENS)
    since_ns = OPENS + round(since_s * SECOND)
    until_ns = since_ns + round(length_s * SECOND)
    first, last = np.ceil([rates.expected(since_ns), rates.expected(until_ns)])
    expected = rates.expected(until_ns) - rates.expected(since_ns)
    assert last - first == pytest.approx(expected, abs=1)
    # The marks of that interval do lie in it, up to a nanosecond of rounding.
    if last - first >= 1:
        ends = rates.when(np.array([first, last - 1]))
        assert since_ns - 2 <= ends[0] <= ends[1] <= until_ns + 2


@settings(max_examples=60)
@given(RATES, st.sampled_from(["constant", "poisson"]), st.floats(0, 5), st.integers(0, 99))
def test_arrivals_never_go_back(steps, kind, warm_s, seed) -> None:
    load = Open("open", steps, kind)
    found = made(load, 3_000, round(warm_s * SECOND), seed)
    assert (np.diff(found) >= 0).all()
    assert found[0] >= -round(warm_s * SECOND) - 1


@given(st.floats(0.1, 200_000))
def test_constant_arrivals_are_even(rate) -> None:
    gaps = np.diff(made(Open("open", rate), 2_500))
    assert np.abs(gaps - SECOND / rate).max() <= 1 + 1e-6 * SECOND / rate


def test_poisson_counts_have_the_mean_and_variance_of_their_rate() -> None:
    """20,000 slices of 10 ms at 1,000/s: ten arrivals on average, variance ten."""
    found = made(Open("open", 1_000, "poisson"), 200_000, seed=5)
    counts = np.bincount(found // 10_000_000)[:19_000]
    assert counts.mean() == pytest.approx(10, rel=0.02)
    assert counts.var() == pytest.approx(10, rel=0.05)
    gaps = np.diff(found) / SECOND * 1_000
    assert gaps.std() == pytest.approx(1, rel=0.02)
    # Gaps have no memory.
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 0.02


def test_poisson_follows_the_steps() -> None:
    steps = (RateStep(100, 10), RateStep(1_000, 10))
    found = made(Open("open", steps, "poisson"), 11_000)
    slow = int((found < 10 * SECOND).sum())
    fast = int(((found >= 10 * SECOND) & (found < 20 * SECOND)).sum())
    assert slow == pytest.approx(1_000, abs=130)
    assert fast == pytest.approx(10_000, abs=400)


def test_the_seed_alone_decides() -> None:
    load = Open("open", 50, "poisson")
    assert (made(load, 2_000, seed=3) == made(load, 2_000, seed=3)).all()
    assert (made(load, 2_000, seed=3) != made(load, 2_000, seed=4)).any()


def test_those_of_a_window_are_counted() -> None:
    chunks = (np.arange(first, first + 7) for first in range(0, 10_000, 7))
    window = ArrivalCounter(chunks, 3)
    assert [window.until(at) for at in (2, 3, 10, 10, 1_005)] == [0, 0, 7, 7, 1_002]
    assert ArrivalCounter(iter([np.arange(5, 9)]), 0).until(6) == 1


@pytest.mark.parametrize("kind", ["constant", "poisson"])
def test_shares_add_up_to_the_whole(kind) -> None:
    load = Open("open", 300, kind)
    whole = made(load, 3_000)
    parts = [made(load, 1_000, share=Shard(first, 3)) for first in range(3)]
    assert (np.sort(np.concatenate(parts)) == whole).all()


def supply(per_chunk: int) -> ArrivalQueue:
    """0, 1, 2 … without end."""
    return ArrivalQueue(np.arange(first, first + per_chunk) for first in count(0, per_chunk))


def test_each_is_handed_out_once() -> None:
    queue = supply(7)
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: [queue.take() for _ in range(500)], range(8)))
    assert sorted(mark for part in taken for mark in part) == list(range(4_000))
    assert all(part == sorted(part) for part in taken)


def test_the_next_one_can_be_seen_and_stays() -> None:
    queue = supply(10)
    assert queue.opens_ns == 0
    assert [queue.take(), queue.opens_ns] == [0, 1]


def one_user(begin_ns: int):
    return closed(begin_ns, 1)


def test_the_limit_is_for_all_users_together() -> None:
    phase = PacedPhase(4, one_user, limit=1_000)
    phase.start()

    def work(_user: int) -> int:
        turns = 0
        while phase.after(0, 0) is not None:
            turns += 1
        return turns

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(work, range(4))) == 1_000


def test_nothing_is_due_at_the_end_or_later() -> None:
    phase = PacedPhase(1, one_user, begin_ns=0, until_ns=100)
    phase.start()
    assert phase.after(0, 99) == 99
    assert phase.after(0, 100) is None


def test_it_begins_when_all_stand_ready() -> None:
    told: list[int] = []
    before_ns = clock_ns()
    phase = PacedPhase(1, one_user, on_start=told.append)
    phase.start()
    assert before_ns <= told[0] <= clock_ns()
    assert phase.first(0) == told[0]


def test_a_planned_begin_is_kept() -> None:
    told: list[int] = []
    phase = PacedPhase(1, one_user, begin_ns=12, on_start=told.append)
    phase.start()
    assert told == [12]
    assert phase.first(0) == 12


def arriving(*moments_ns: int) -> Callable[[int], ArrivalQueue]:
    later = (np.array([at_ns]) for at_ns in count(10**12))
    return lambda _begin_ns: ArrivalQueue(chain([np.array(moments_ns)], later))


def test_arrivals_go_to_whoever_is_free_until_the_end() -> None:
    phase = OpenPhase(3, arriving(5, 10, 20, 100), begin_ns=0, until_ns=100)
    phase.start()
    assert [phase.arrive() for _ in range(4)] == [5, 10, 20, None]
    assert [phase.over(at_ns) for at_ns in (99, 100)] == [False, True]


def test_a_window_of_arrivals_opens_with_the_first() -> None:
    told: list[int] = []
    phase = OpenPhase(1, arriving(7, 9), limit=1, on_start=told.append)
    phase.start()
    assert told == [7]
    assert (phase.arrive(), phase.arrive()) == (7, None)
