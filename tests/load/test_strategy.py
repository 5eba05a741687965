from concurrent.futures import ThreadPoolExecutor

from control_plane.load.strategies.kept_connections import ConnectionCounter


def test_the_window_starts_with_those_that_are_open() -> None:
    pool = ConnectionCounter()
    for key in range(5):
        pool.add(key)
    pool.remove(0)
    pool.open_window()
    assert (pool.opened(), pool.most()) == (0, 4)
    pool.add(5)
    pool.add(6)
    pool.remove(5)
    pool.remove(5)
    pool.add(7)
    assert (pool.opened(), pool.most()) == (3, 6)
    assert pool.opened() == 3


def test_threads_lose_nothing() -> None:
    pool = ConnectionCounter()
    pool.open_window()

    def work(user: int) -> None:
        for _ in range(2_000):
            pool.add(user)
            pool.remove(user)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert pool.opened() == 16_000
    assert 1 <= pool.most() <= 8
