from concurrent.futures import ThreadPoolExecutor

import pytest

from control_plane.load.strategies import FirstByte
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


@pytest.mark.parametrize(
    ("pieces", "begins"),
    [
        ([b"HTTP/1.1 200 OK\r\n", b"\r\n"], [True]),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], [True]),
        ([b"HTTP/1.1 101 Switching Protocols\r\n\r\n"], [True]),
        ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"], [True]),
        ([b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK"], [False, True]),
        ([b"HTTP/1.1 103 Early Hints\r\nLi", b"nk: <a>\r\n\r\n", b"HT"], [False, False, True]),
        ([b"H", b"TTP/1.1 20", b"0 OK\r\n"], [True, False, False]),
        ([b"HTTP/1.1 1", b"00 Continue\r\n\r\n", b"HTTP/1.1 200 OK"], [True, False, True]),
        ([b"SSH-2.0-OpenSSH_9.2p1\r\n"], [True]),
    ],
)
def test_an_answer_begins_with_its_first_byte_past_interim_responses(
    pieces: list[bytes], begins: list[bool]
) -> None:
    first = FirstByte()
    looked = [first.begins_in(piece) for piece in pieces if not first.found]
    assert looked == begins[: len(looked)]
    assert first.found is (pieces[-1] != b"HT")
    first.restart()
    assert first.begins_in(b"HTTP/1.1 200 OK")
