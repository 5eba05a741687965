from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, count

import numpy as np

from control_plane.load.arrivals import ArrivalQueue
from control_plane.load.clock import clock_ns
from control_plane.load.next_start import OpenPhase, PacedPhase
from control_plane.load.pacing import closed


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
