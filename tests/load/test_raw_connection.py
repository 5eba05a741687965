"""What a connection tells the handler that waits for its responses."""

import asyncio
import errno
from typing import Any

from control_plane.load.request_source import Request
from control_plane.load.strategies.kept_connections import ConnectionCounter, KeptConnections
from control_plane.load.strategies.raw_connection import Connection
from control_plane.load.strategies.raw_response import ResponseParser

GET = Request("GET", "/", {}, b"", None)
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Handler:
    """Sends nothing by itself."""

    repeats = True

    def __init__(self) -> None:
        self.told: list[Any] = []

    def on_response(self, parser: ResponseParser) -> None:
        self.told.append((parser.status, parser.received))

    def on_same_response(self, connection: Connection) -> None:
        self.told.append("again")
        connection.awaiting = False

    def on_first_byte(self, came_ns: int) -> None:
        assert came_ns > 0

    def on_open_end(self, media_type: str) -> None:
        del media_type

    def on_failure(self, kind: str, received: int = 0, sample: bytes = b"") -> None:
        self.told.append(kind)

    def on_send_again(self) -> None:
        self.told.append("sent again")


class Transport(asyncio.Transport):
    """Goes nowhere."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        del data

    def abort(self) -> None:
        return


def opened(handler: Handler) -> Connection:
    connection = unopened(handler)
    connection.connection_made(Transport())
    return connection


def unopened(handler: Handler) -> Connection:
    counter = ConnectionCounter()
    kept = KeptConnections(counter, keeps=True, pauses=False)
    return Connection(handler, ResponseParser({}, 1_000), counter, kept)


def fed(handler: Handler, *responses: tuple[bytes, ...]) -> list[Any]:
    """What the handler is told where each response comes in these pieces."""
    connection = opened(handler)
    for pieces in responses:
        connection.send(b"", GET)
        for piece in pieces:
            connection.data_received(piece)
    return handler.told


def test_nothing_is_sent_on_a_connection_that_its_server_ended() -> None:
    """The transport closes it in a later round of the loop; a timer may ring before that."""
    connection = unopened(Handler())
    connection.open = True
    connection.eof_received()
    assert not connection.open


def test_a_response_that_comes_again_is_not_read_again() -> None:
    other = RESPONSE.replace(b"ok", b"no")
    told = fed(Handler(), (RESPONSE,), (RESPONSE,), (RESPONSE,), (other,), (other,))
    assert told == [(200, 2), (200, 2), "again", (200, 2), "again"]


def test_a_piece_of_a_body_that_looks_like_the_last_response_is_a_piece() -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {2 * len(RESPONSE)}\r\n\r\n".encode()
    told = fed(Handler(), (RESPONSE,), (RESPONSE,), (head, RESPONSE, RESPONSE), (RESPONSE,))
    assert told == [(200, 2), (200, 2), (200, 2 * len(RESPONSE)), (200, 2)]


def test_a_response_after_which_the_connection_ends_never_comes_again() -> None:
    closing = RESPONSE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert fed(Handler(), (closing,), (closing,)) == [(200, 2), (200, 2)]


def test_what_nobody_asked_for_is_no_response() -> None:
    handler = Handler()
    connection = opened(handler)
    for _ in range(2):
        connection.send(b"", GET)
        connection.data_received(RESPONSE)
    connection.data_received(RESPONSE)
    assert (handler.told, connection.open) == ([(200, 2), (200, 2)], False)


def test_a_first_response_shows_nothing_of_whether_connections_are_kept() -> None:
    """So it is read by the way that looks, and the next one after it."""
    assert fed(Handler(), (RESPONSE,), (RESPONSE,)) == [(200, 2), (200, 2)]


def test_a_request_that_a_reset_left_unread_goes_out_again_on_a_kept_connection() -> None:
    for before, told in ((0, "reset"), (1, "sent again"), (2, "sent again")):
        handler = Handler()
        connection = opened(handler)
        for _ in range(before):
            connection.send(b"", GET)
            connection.data_received(RESPONSE)
        connection.send(b"", GET)
        connection.connection_lost(ConnectionResetError(errno.ECONNRESET, "reset"))
        assert (handler.told[before:], connection.open) == ([told], False)


def test_a_response_that_began_is_never_asked_for_again() -> None:
    handler = Handler()
    connection = opened(handler)
    connection.send(b"", GET)
    connection.data_received(RESPONSE)
    connection.send(b"", GET)
    connection.data_received(RESPONSE[:20])
    connection.connection_lost(ConnectionResetError(errno.ECONNRESET, "reset"))
    assert handler.told == [(200, 2), "reset"]


def test_requests_that_differ_are_told_apart() -> None:
    handler = Handler()
    handler.repeats = False
    assert fed(handler, (RESPONSE,), (RESPONSE,)) == [(200, 2), (200, 2)]
