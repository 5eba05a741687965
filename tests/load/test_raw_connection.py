"""What a line tells the user who waits for its answers."""

import asyncio
from typing import Any

from control_plane.load.connections import ConnectionCounter
from control_plane.load.request_source import Request
from control_plane.load.strategies.raw_connection import Connection
from control_plane.load.strategies.raw_response import ResponseParser

GET = Request("GET", "/", {}, b"", None)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class User:
    """Asks nothing by itself."""

    repeats = True

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_response(self, answer: ResponseParser) -> None:
        self.told.append((answer.status, answer.received))

    def again(self, line: Connection) -> None:
        self.told.append("again")
        line.asked = False

    def on_failure(self, kind: str, received: int = 0) -> None:
        self.told.append(kind)


class Wire(asyncio.Transport):
    """Goes nowhere."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        del data

    def abort(self) -> None:
        return


def opened(user: User) -> Connection:
    line = Connection(user, ResponseParser({}, 1_000), ConnectionCounter())
    line.connection_made(Wire())
    return line


def fed(user: User, *answers: tuple[bytes, ...]) -> list[Any]:
    """What the user is told where each answer comes in these pieces."""
    line = opened(user)
    for pieces in answers:
        line.ask(b"", GET)
        for piece in pieces:
            line.data_received(piece)
    return user.told


def test_nothing_is_asked_on_a_line_that_its_server_ended() -> None:
    """The transport closes it in a later round of the loop; a timer may ring before that."""
    line = Connection(User(), ResponseParser({}, 100), ConnectionCounter())
    line.open = True
    line.eof_received()
    assert not line.open


def test_an_answer_that_comes_again_is_not_read_again() -> None:
    other = ANSWER.replace(b"ok", b"no")
    told = fed(User(), (ANSWER,), (ANSWER,), (other,), (other,))
    assert told == [(200, 2), "again", (200, 2), "again"]


def test_a_piece_of_a_body_that_looks_like_the_last_answer_is_a_piece() -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {2 * len(ANSWER)}\r\n\r\n".encode()
    told = fed(User(), (ANSWER,), (head, ANSWER, ANSWER), (ANSWER,))
    assert told == [(200, 2), (200, 2 * len(ANSWER)), (200, 2)]


def test_an_answer_after_which_the_line_ends_never_comes_again() -> None:
    closing = ANSWER.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert fed(User(), (closing,), (closing,)) == [(200, 2), (200, 2)]


def test_what_nobody_asked_for_is_no_answer() -> None:
    user = User()
    line = opened(user)
    line.ask(b"", GET)
    line.data_received(ANSWER)
    line.data_received(ANSWER)
    assert (user.told, line.open) == ([(200, 2)], False)


def test_requests_that_differ_are_told_apart() -> None:
    user = User()
    user.repeats = False
    assert fed(user, (ANSWER,), (ANSWER,)) == [(200, 2), (200, 2)]
