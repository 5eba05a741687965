import asyncio

import pytest

from control_plane.load.clock import TIMER_TICK_NS, BusyWait, clock_ns, delay_s, overdue


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


IDLE_NS, WORK_NS = 6_000, 200_000


def test_one_quick_round_does_not_make_work_of_idle_ones() -> None:
    busy_wait = BusyWait()
    for took_ns in [IDLE_NS, 100, *[IDLE_NS] * 100]:
        busy_wait.idle_ns(took_ns)
    assert busy_wait.idle_ns(IDLE_NS) == IDLE_NS


def test_of_rounds_with_work_only_the_usual_part_was_waiting() -> None:
    busy_wait = BusyWait()
    counted = [busy_wait.idle_ns(took_ns) for took_ns in [IDLE_NS, IDLE_NS, IDLE_NS, WORK_NS] * 500]
    assert sum(counted) < 1.5 * 2_000 * IDLE_NS


@pytest.mark.parametrize("shared", [False, True])
def test_it_returns_at_the_moment_and_counts_what_it_spent(shared: bool) -> None:
    busy_wait = BusyWait(shared=shared)

    async def ahead() -> int:
        at_ns = clock_ns() + TIMER_TICK_NS - 1
        await busy_wait.until(at_ns)
        return clock_ns() - at_ns

    assert min(asyncio.run(ahead()) for _ in range(5)) >= 0
    assert busy_wait.spent_ns > 0


def test_timers_of_loops_are_given_a_tick_at_least() -> None:
    assert delay_s(clock_ns() + 1_000) == delay_s(0) == 0.001
