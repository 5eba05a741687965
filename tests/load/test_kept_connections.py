"""Servers that end kept connections: every strategy goes on alike, and nothing is hidden."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.load.strategies.kept_connections import (
    ConnectionCounter,
    Ending,
    KeptConnections,
    ending_of,
    is_ended,
)
from tests.load.closing_driver import USERS, driven
from tests.load.endings_table import documented, row
from tests.load.hostile import OK, read_request

SOME = 16
"""Each of the users may find that out twice before all know."""

Serve = Callable[[socket.socket], None]


def closes(sock: socket.socket) -> None:
    """Without a word, as `closer.py` of R23."""
    read_request(sock)
    sock.sendall(OK)


def ends_its_side(sock: socket.socket) -> None:
    """As servers that linger: what comes after is taken and never answered."""
    read_request(sock)
    sock.sendall(OK)
    sock.shutdown(socket.SHUT_WR)
    while sock.recv(65_536):
        pass


def closes_after_three(sock: socket.socket) -> None:
    for _ in range(3):
        if not read_request(sock)[0]:
            return
        sock.sendall(OK)


def lost_at_most(serve: Serve) -> int:
    """One at each end of a connection, which may come behind the next request."""
    return REQUESTS // 3 if serve is closes_after_three else SOME


def says_so(sock: socket.socket) -> None:
    read_request(sock)
    sock.sendall(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))


def http_1_0(sock: socket.socket) -> None:
    read_request(sock)
    sock.sendall(OK.replace(b"1.1", b"1.0"))


def http_1_0_without_length(sock: socket.socket) -> None:
    read_request(sock)
    sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nok")


def rejects_bodies(sock: socket.socket) -> None:
    """Answers before it has read the body, and closes."""
    head = b""
    while b"\r\n\r\n" not in head and (more := sock.recv(100)):
        head += more
    sock.sendall(OK.replace(b"200 OK", b"413 Content Too Large"))


IDLE_S = 0.2


def ends_idle_ones(sock: socket.socket) -> None:
    """Which pause for as long: chance decides whether the next request or the end comes first."""
    sock.settimeout(IDLE_S)
    with suppress(TimeoutError):
        while read_request(sock)[0]:
            sock.sendall(OK)


@contextmanager
def served(serve: Serve, backlog: int = 128) -> Iterator[str]:
    """Yield the URL of a server with a thread for each connection."""

    def work(sock: socket.socket) -> None:
        with sock, suppress(OSError):
            serve(sock)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=work, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)


ENDING = (closes, closes_after_three, http_1_0_without_length)
HALF = (ends_its_side, says_so, http_1_0)
REQUESTS, PAUSED_REQUESTS = 120, 16
BODY = {"generated": {"shape": "name-data", "size_bytes": 300_000}}
CASES: dict[tuple[Serve, str], dict[str, Any]] = {
    **{(serve, method): {"method": method} for serve in ENDING for method in ("GET", "POST")},
    **{(serve, "GET"): {} for serve in HALF},
    (closes_after_three, "PUT"): {"method": "PUT", "body": {"json": {"id": 1}}},
    (rejects_bodies, "PUT"): {"method": "PUT", "body": BODY},
}


@pytest.fixture(scope="module")
def found() -> dict[str, dict[tuple[Serve, str], dict[str, Any]]]:
    """Return by strategy and case what the driver tells."""
    return asyncio.run(_all())


async def _all() -> dict[str, dict[tuple[Serve, str], dict[str, Any]]]:
    with ExitStack() as stack:
        urls = [stack.enter_context(served(serve)) for serve, _ in CASES]
        stop = {"requests": REQUESTS}
        cases = [
            (url, {"stop": stop, "request": request})
            for url, request in zip(urls, CASES.values(), strict=True)
        ]
        told = await asyncio.gather(*(driven(strategy, cases) for strategy in STRATEGIES))
    return {
        strategy: dict(zip(CASES, results, strict=True))
        for strategy, results in zip(STRATEGIES, told, strict=True)
    }


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("serve", "method"), [case for case in CASES if case[0] in ENDING])
def test_a_server_that_ends_connections_fails_no_request(
    found: Any, strategy: str, serve: Serve, method: str
) -> None:
    """But what was reset unread and may not be sent again, because it changes something."""
    told = found[strategy][serve, method]
    errors = sum(told["errors"].values())
    assert errors <= (lost_at_most(serve) if method == "POST" else 0), told["errors"]
    assert told["completed"] == REQUESTS - errors
    assert told["connections"] == (1 if STRATEGIES[strategy].alone else USERS)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("serve", HALF)
def test_a_server_that_ends_its_side_fails_hardly_any(
    found: Any, strategy: str, serve: Serve
) -> None:
    told = found[strategy][serve, "GET"]
    errors = sum(told["errors"].values())
    assert errors <= (SOME if serve is ends_its_side else 0), told["errors"]
    assert told["new_connections"] + errors == REQUESTS


async def test_a_pause_as_long_as_the_keep_alive_fails_no_request() -> None:
    """And each connection that ended is replaced, or its request went out again."""
    with served(ends_idle_ones) as url:
        told = await asyncio.gather(*(_paused(strategy, url) for strategy in STRATEGIES))
    for strategy, found in zip(STRATEGIES, told, strict=True):
        assert (found["errors"], found["completed"]) == ({}, PAUSED_REQUESTS), strategy
        assert found["new_connections"] <= PAUSED_REQUESTS + found["sent_again"], strategy


async def _paused(strategy: str, url: str) -> dict[str, Any]:
    users = 1 if STRATEGIES[strategy].alone else USERS
    load = {"model": "closed", "concurrency": users, "think_time_s": IDLE_S}
    (told,) = await driven(strategy, [(url, {"load": load, "stop": {"requests": PAUSED_REQUESTS}})])
    return told


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_response_before_the_body_was_read_is_the_response(found: Any, strategy: str) -> None:
    told = found[strategy][rejects_bodies, "PUT"]
    assert told["statuses"].get("413", 0) >= REQUESTS - SOME, told["errors"]


@pytest.mark.parametrize(("serve", "method"), CASES)
def test_the_document_says_how_it_is_classed(found: Any, serve: Serve, method: str) -> None:
    """By what became of nearly all."""
    classes = {}
    for strategy, cases in found.items():
        told = cases[serve, method]
        counts = {"completed": told["completed"], **told["errors"]}
        classes[strategy] = max(counts, key=lambda name: counts[name])
        assert counts[classes[strategy]] >= REQUESTS - lost_at_most(serve), (strategy, counts)
    assert row(f"{serve.__name__} {method}", classes) in documented()


@pytest.mark.parametrize(
    ("method", "number", "ending", "again"),
    [
        ("GET", 1, Ending.REFUSED, False),
        ("GET", 1, Ending.RESET, False),
        ("GET", 2, Ending.REFUSED, True),
        ("GET", 2, Ending.RESET, True),
        ("GET", 2, Ending.TAKEN, False),
        ("DELETE", 9, Ending.RESET, True),
        ("PUT", 9, Ending.RESET, True),
        ("POST", 9, Ending.REFUSED, True),
        ("POST", 9, Ending.RESET, False),
        ("PATCH", 9, Ending.RESET, False),
        ("POST", 9, Ending.TAKEN, False),
    ],
)
def test_what_goes_out_again(method: str, number: int, ending: Ending, *, again: bool) -> None:
    counter = ConnectionCounter()
    kept = KeptConnections(counter, keeps=True, pauses=False)
    assert kept.send_again(method, number, ending) is again
    assert counter.sent_again() == again


def test_a_server_keeps_none_when_three_connections_ended_after_their_first_response() -> None:
    kept = KeptConnections(ConnectionCounter(), keeps=True, pauses=False)
    kept.ended_unasked(2)
    kept.send_again("GET", 2, Ending.RESET)
    assert kept.keeps
    kept.ended_unasked(2)
    assert not kept.keeps


def test_what_says_nothing_of_that() -> None:
    """A connection that lasted, requests that were taken, later ones, and pauses."""
    counter = ConnectionCounter()
    lasting = KeptConnections(counter, keeps=True, pauses=False)
    lasting.carried_two()
    pausing = KeptConnections(counter, keeps=True, pauses=True)
    other = KeptConnections(counter, keeps=True, pauses=False)
    for _ in range(9):
        lasting.ended_unasked(2)
        pausing.ended_unasked(2)
        other.send_again("GET", 2, Ending.TAKEN)
        other.ended_unasked(1)
        other.ended_unasked(3)
    assert (lasting.keeps, pausing.keeps, other.keeps) == (True, True, True)


def test_new_connections_stay_new() -> None:
    kept = KeptConnections(ConnectionCounter(), keeps=False, pauses=False)
    kept.carried_two()
    assert not kept.keeps


@contextmanager
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Yield both ends of a connection, that of the client first."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            yield client, server


def test_tcp_tells_a_request_that_came_too_late() -> None:
    with connected() as (client, server):
        assert not is_ended(client)
        server.close()
        assert is_ended(client)
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert (client.recv(1), ending_of(client)) == (b"", Ending.REFUSED)


def test_tcp_tells_a_request_that_was_taken() -> None:
    """The end of the connection looks the same to who reads it."""
    with connected() as (client, server):
        client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        server.recv(100)
        server.close()
        assert (client.recv(1), ending_of(client)) == (b"", Ending.TAKEN)
        assert is_ended(client)


def test_what_is_not_known_was_taken() -> None:
    with connected() as (client, _):
        client.close()
        assert (ending_of(client), is_ended(client)) == (Ending.TAKEN, False)
    assert (ending_of(None), is_ended(None)) == (Ending.TAKEN, False)


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
