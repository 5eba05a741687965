from control_plane.load.connections import Connections


def test_the_window_starts_with_those_that_are_open() -> None:
    pool = Connections()
    for _ in range(5):
        pool.add()
    pool.remove()
    pool.open_window()
    assert (pool.opened, pool.most) == (0, 4)
    pool.add()
    pool.add()
    pool.remove()
    pool.add()
    assert (pool.opened, pool.most) == (3, 6)
