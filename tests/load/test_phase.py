from concurrent.futures import ThreadPoolExecutor

from control_plane.load.pacing import closed
from control_plane.load.phase import Phase, clock_ns


def one_user(begin_ns: int):
    return closed(begin_ns, 1)


def test_the_limit_is_for_all_users_together() -> None:
    phase = Phase(4, one_user, limit=1_000)
    phase.start()

    def work(_user: int) -> int:
        turns = 0
        while phase.turn(0) is not None:
            turns += 1
        return turns

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(work, range(4))) == 1_000


def test_nothing_is_due_at_the_end_or_later() -> None:
    phase = Phase(1, one_user, begin_ns=0, until_ns=100)
    phase.start()
    assert phase.turn(99) == 99
    assert phase.turn(100) is None


def test_it_begins_when_all_stand_ready() -> None:
    told: list[int] = []
    before_ns = clock_ns()
    phase = Phase(1, one_user, on_start=told.append)
    phase.start()
    assert before_ns <= told[0] <= clock_ns()
    assert phase.entry(0) == told[0]


def test_a_planned_begin_is_kept() -> None:
    told: list[int] = []
    phase = Phase(1, one_user, begin_ns=12, on_start=told.append)
    phase.start()
    assert told == [12]
    assert phase.entry(0) == 12
