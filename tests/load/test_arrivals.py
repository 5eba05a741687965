"""Schedules by their properties: monotone, the right count in any interval, reproducible."""

from concurrent.futures import ThreadPoolExecutor
from itertools import chain, count, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_plane.domain.load_models import Open, RateStep
from control_plane.load.arrivals import ArrivalQueue, RateSchedule, arrival_times, count_between
from control_plane.load.plan import WHOLE, Shard

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
    assert count_between(chunks, 3, 1_005) == 1_002
    assert count_between(iter([np.arange(5, 9)]), 0, 6) == 1


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
