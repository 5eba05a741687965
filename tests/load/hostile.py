"""A server of raw sockets that misbehaves as the path of the request says, and counts.

Each fault is a function that is given the connection and writes what it likes. What it returns
says whether the connection is kept for the next request.
"""

import gzip
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[["Connection"], bool]

GOOD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = GOOD + b"Transfer-Encoding: chunked\r\n\r\n"
OK = GOOD + b"Content-Length: 2\r\n\r\nok"
BOMB = gzip.compress(bytes(30_000_000))
DRIP_S = 0.02


class Connection:
    """One accepted socket; `requests` counts those that came over it."""

    def __init__(self, server: "HostileServer", sock: socket.socket) -> None:
        self.server, self.sock, self.requests = server, sock, 0

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def drip(self, data: bytes) -> None:
        """Byte by byte, until nobody listens any more."""
        for byte in data:
            self.send(bytes([byte]))
            time.sleep(DRIP_S)


FAULTS: dict[str, Answer] = {}


def fault(answer: Answer) -> Answer:
    """Served at `/name-of-the-function`."""
    FAULTS[answer.__name__.strip("_").replace("_", "-")] = answer
    return answer


def _sends(name: str, data: bytes, *, kept: bool = False) -> None:
    def answer(connection: Connection) -> bool:
        connection.send(data)
        return kept

    FAULTS[name] = answer


_sends("ok", OK, kept=True)
_sends("empty", b"")
_sends("truncated", GOOD + b"Content-Length: 1000\r\n\r\nten bytes.")
_sends("truncated-chunk", CHUNKED + b"64\r\nten bytes.")
_sends("missing-chunk", CHUNKED + b"2\r\nok\r\n")
_sends("bad-chunk", CHUNKED + b"zz\r\nok\r\n0\r\n\r\n")
_sends("two-lengths", GOOD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!")
_sends("not-http", b"SSH-2.0-OpenSSH_9.2p1\r\n")
_sends("cut-status", b"HTTP/1.1 20")
_sends("cut-headers", b"HTTP/1.1 200 OK\r\nContent-Le")
_sends("long-header", GOOD + b"X-Long: " + b"x" * 100_000 + b"\r\nContent-Length: 2\r\n\r\nok")
_sends("many-headers", GOOD + b"X-A: b\r\n" * 5_000 + b"Content-Length: 2\r\n\r\nok")
_sends("until-close", GOOD + b"\r\nbody until the connection closes")
_sends("server-error", b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno", kept=True)
_sends("other-content", GOOD + b"Content-Length: 4\r\n\r\n[42]", kept=True)
_sends("no-content", b"HTTP/1.1 204 No Content\r\n\r\n", kept=True)
_sends("surplus", OK + b"SURPLUS", kept=True)
_sends("hints-first", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK, kept=True)
_sends("newlines-alone", OK.replace(b"\r\n", b"\n"), kept=True)
_sends("same-length-twice", OK.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n"), kept=True)
_sends(
    "length-and-chunks", CHUNKED[:-2] + b"Content-Length: 9\r\n\r\n2\r\nok\r\n0\r\n\r\n", kept=True
)
_sends("signed-length", GOOD + b"Content-Length: +2\r\n\r\nok", kept=True)
_sends("negative-length", GOOD + b"Content-Length: -2\r\n\r\nok", kept=True)
_sends("listed-length", GOOD + b"Content-Length: 2, 2\r\n\r\nok", kept=True)
_sends("spaced-name", GOOD + b"Connection: close\r\nContent-Length : 2\r\n\r\nok")
_sends("folded-header", GOOD + b"X-A: a\r\n  b\r\nContent-Length: 2\r\n\r\nok", kept=True)
_sends("chunk-without-end", CHUNKED + b"2\r\nokXX0\r\n\r\n", kept=True)
_sends("http-1-2", OK.replace(b"HTTP/1.1", b"HTTP/1.2"), kept=True)
_sends("http-2-0", OK.replace(b"HTTP/1.1", b"HTTP/2.0"), kept=True)
_sends(
    "gzip-bomb",
    GOOD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB,
    kept=True,
)


@fault
def reset(connection: Connection) -> bool:
    connection.reset()
    return False


@fault
def reset_in_body(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nten bytes.")
    # The client must have read them, or the reset overtakes the bytes.
    time.sleep(0.1)
    connection.reset()
    return False


@fault
def long_content(connection: Connection) -> bool:
    """In two chunks, the first of them longer than what is read at once; the end tells it whole."""
    body = b'{"long": "' + b"x" * 300_000 + b'", "items": []}'
    connection.send(CHUNKED)
    for part in (body[:-10], body[-10:]):
        connection.send(b"%x\r\n" % len(part) + part + b"\r\n")
        time.sleep(DRIP_S)
    connection.send(b"0\r\n\r\n")
    return True


@fault
def measured_content(connection: Connection) -> bool:
    """Of known length, in two pieces."""
    body = b'{"items": [], "long": "' + b"x" * 300_000 + b' the end"}'
    connection.send(GOOD + b"Content-Length: %d\r\n\r\n" % len(body) + body[:20])
    time.sleep(DRIP_S)
    connection.send(body[20:])
    return True


@fault
def redirect(connection: Connection) -> bool:
    place = f"http://127.0.0.1:{connection.server.port}/forbidden"
    connection.send(
        f"HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode()
    )
    return True


@fault
def early_hints(connection: Connection) -> bool:
    while True:
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
        time.sleep(DRIP_S)


@fault
def slow_headers(connection: Connection) -> bool:
    connection.drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1_000)
    return False


@fault
def slow_body(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    connection.drip(b"x" * 1_000)
    return False


@fault
def silence(connection: Connection) -> bool:
    connection.sock.recv(1)
    return False


@fault
def empty_line(connection: Connection) -> bool:
    connection.send(b"\r\n")
    return silence(connection)


@fault
def huge_body(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 300000000\r\n\r\n")
    for _ in range(300):
        connection.send(bytes(1_000_000))
    return False


@fault
def endless_chunks(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.send(b"10000\r\n" + bytes(65_536) + b"\r\n")


@fault
def drop_second(connection: Connection) -> bool:
    """Every second request on a kept connection gets no answer."""
    if connection.requests % 2 == 0:
        return False
    connection.send(OK)
    return True


@fault
def paused(connection: Connection) -> bool:
    """A head after 50 ms, and its body 100 ms later."""
    time.sleep(0.05)
    connection.send(GOOD + b"Content-Length: 2\r\n\r\n")
    time.sleep(0.1)
    connection.send(b"ok")
    return True


@fault
def paused_chunks(connection: Connection) -> bool:
    time.sleep(0.05)
    connection.send(CHUNKED + b"2\r\nok\r\n")
    time.sleep(0.1)
    connection.send(b"0\r\n\r\n")
    return True


@fault
def continued(connection: Connection) -> bool:
    """An interim response at once, in two pieces, before what `paused` sends."""
    connection.send(b"HTTP/1.1 1")
    time.sleep(0.005)
    connection.send(b"00 Continue\r\n\r\n")
    return paused(connection)


@fault
def continued_whole(connection: Connection) -> bool:
    """An interim response in two pieces, and the answer in one."""
    connection.send(b"HTTP/1.1 100 Cont")
    time.sleep(DRIP_S)
    connection.send(b"inue\r\n\r\n")
    time.sleep(DRIP_S)
    connection.send(OK)
    return True


@fault
def whole_events(connection: Connection) -> bool:
    """Head and first event in one piece, and no end."""
    connection.send(CHUNKED + b"9\r\ndata: 1\n\n\r\n")
    connection.sock.recv(1)
    return False


@fault
def hinted(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
    return paused(connection)


@fault
def events(connection: Connection) -> bool:
    """Server-sent events without an end, after a comment, in pieces that cut lines."""
    connection.send(GOOD + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in (b": hello\r\n\r", b"\nda", b"ta: 1\n", b"\nda"):
        connection.send(b"%x\r\n" % len(piece) + piece + b"\r\n")
        time.sleep(DRIP_S)
    while True:
        connection.send(b"9\r\nta: 2\n\nda\r\n")
        time.sleep(DRIP_S)


@fault
def stream(connection: Connection) -> bool:
    """Ten bytes again and again, without a length, as HTTP/1.0 has it."""
    connection.send(GOOD + b"Connection: close\r\n\r\n")
    while True:
        connection.send(b"ten bytes.")
        time.sleep(DRIP_S)


@fault
def begun(connection: Connection) -> bool:
    """Half of a body, and nothing more."""
    connection.send(GOOD + b"Content-Length: 10\r\n\r\nhello")
    connection.sock.recv(1)
    return False


@fault
def slow(connection: Connection) -> bool:
    time.sleep(0.05)
    connection.send(OK)
    return True


@fault
def slower(connection: Connection) -> bool:
    """Each answer on a connection takes a little longer than the one before."""
    time.sleep(0.01 + 0.0002 * connection.requests)
    connection.send(OK)
    return True


GATED_AFTER = 20


@fault
def gated(connection: Connection) -> bool:
    """After 20 ms; after the first `GATED_AFTER` requests no sooner than the gate is open."""
    if connection.server.requests["/gated"] > GATED_AFTER:
        connection.server.gate.wait(60)
    time.sleep(0.02)
    connection.send(OK)
    return True


class HostileServer:
    """`requests` counts what came, by path without query; `heads` holds the raw heads."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1_024)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests: Counter[str] = Counter()
        self.connections = 0
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.gate = threading.Event()
        self.gate.set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Nobody listens from now on; shutting down also wakes the thread that accepts."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        connection = Connection(self, sock)
        with sock, suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while self._answer(connection):
                pass

    def _answer(self, connection: Connection) -> bool:
        head, body = read_request(connection.sock)
        if not head:
            return False
        path = head.split(b" ")[1].decode().partition("?")[0]
        name = path.split("/")[1]
        connection.requests += 1
        with self._lock:
            self.requests[name] += 1
            self.heads.append(head)
            self.bodies.append(body)
        return FAULTS[name](connection)


def read_request(sock: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of the next request; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65_536)
        if not more:
            return b"", b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    wanted = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < wanted:
        body += sock.recv(65_536)
    return head, body


@contextmanager
def hostile_server() -> Iterator[HostileServer]:
    server = HostileServer()
    try:
        yield server
    finally:
        server.close()
