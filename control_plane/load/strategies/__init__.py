"""The client strategies, one file each: what it is given, which headers it sends, what it does.

A strategy is imported when it is made, so that a load worker holds one client library only.
"""

import asyncio
import os
import re
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol
from urllib.parse import urlsplit

import uvloop

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.spec import Client
from control_plane.load.clock import BusyWait
from control_plane.load.outcome import (
    BodySample,
    Ended,
    FirstFailures,
    Headers,
    Outcome,
    error_class,
    failure,
)
from control_plane.load.request_source import Request, RequestSource
from control_plane.load.responses import Reading
from control_plane.load.sample_buffer import SampleBuffer
from control_plane.load.schedule import Phase
from control_plane.load.strategies.kept_connections import ConnectionCounter, KeptConnections
from control_plane.load.worker_protocol import LoadPlan


def new_loop(client: Client) -> asyncio.AbstractEventLoop:
    """Return an event loop of the kind that the client names."""
    return uvloop.new_event_loop() if client.loop == "uvloop" else asyncio.new_event_loop()


def tls_context() -> ssl.SSLContext:
    """Return a context for all connections of a client; making one takes longer than a handshake.

    Certificates are not verified, nor are any loaded: https is for targets on this machine, where
    there is nobody to pretend to be one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


PAUSE_S = 0.1
"""Servers keep an idle connection for longer than this."""

_READ_BYTES = 65_536


def unread_bytes(transport: asyncio.BaseTransport | None) -> bytes:
    """Return what came before a connection was lost and was not read yet.

    Where a write fails because the server closed, event loops give up a connection whose response
    waits in the kernel. It cannot be read where it is encrypted.
    """
    sock = transport.get_extra_info("socket") if transport is not None else None
    if transport is None or sock is None or transport.get_extra_info("sslcontext") is not None:
        return b""
    parts: list[bytes] = []
    with suppress(OSError, ValueError):
        descriptor = sock.fileno()
        while part := os.read(descriptor, _READ_BYTES):
            parts.append(part)
    return b"".join(parts)


_INTERIM = re.compile(rb"HTTP/1\.\d 1(?!01)\d\d")
_STATUS_BYTES, _CLASS_AT, _INTERIM_CLASS = 12, 9, ord("1")


class FirstByte:
    """Finds where an answer begins in the pieces that come over a connection.

    Interim responses (100, 102, 103) are not the answer. `found`: no more needs to be looked at.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Look for the answer to the next request."""
        self.found = self._told = False
        self._rest = b""

    def begins_in(self, piece: bytes) -> bool:
        """Return whether the answer begins in this piece.

        One that is too short to tell counts as its beginning, until the next one shows an interim
        response: then it begins again.
        """
        if not self._rest and len(piece) >= _STATUS_BYTES and piece[_CLASS_AT] != _INTERIM_CLASS:
            self.found = True
            return True
        rest, told = self._rest + piece, self._told
        while _INTERIM.match(rest):
            told, (interim, end, following) = False, rest.partition(b"\r\n\r\n")
            if not end:
                self._rest, self._told = interim, False
                return False
            rest = following
        self.found, self._told = len(rest) >= _STATUS_BYTES, bool(rest)
        self._rest = b"" if self.found else rest
        return bool(rest) and not told


MAX_HEADER_BYTES = 65_536
MAX_HEADERS = 100
"""Responses with longer or more headers are class `protocol`: the limits of http.client."""


COMMON_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "looplab"}
"""What every request carries besides its own headers."""

_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""Methods that state the length of a body also where there is none (RFC 9110, 8.6)."""


class RequestHeaders:
    """The headers of requests as every strategy sends them, in one order.

    `Host`, the common ones that the request has not itself, its own ones, `Content-Length` where
    there is a body or the method asks for it, and `Connection: close` on a new connection.
    """

    def __init__(
        self,
        plan: LoadPlan,
        source: RequestSource,
        form: Callable[[dict[str, str]], Mapping[str, str]] = dict,
    ) -> None:
        """`form` makes of them what the library takes."""
        self._source, self._form = source, form
        self._common = {"Host": plan.host or urlsplit(plan.base_url).netloc, **COMMON_HEADERS}
        self._last = {} if plan.client.reuse_connections else {"Connection": "close"}
        self._known: dict[tuple[int, int], Mapping[str, str]] = {}

    def of(self, request: Request) -> Mapping[str, str]:
        """Return all headers of a request.

        Where they have no placeholders it is the same object for each length of the body.
        """
        key = request.kind, len(request.body)
        known = self._known.get(key)
        if known is not None:
            return known
        own = {name.lower() for name in request.headers}
        common = {name: text for name, text in self._common.items() if name.lower() not in own}
        headers = self._form({**common, **request.headers, **_length(request), **self._last})
        if self._source.fixed_headers(request.kind):
            self._known[key] = headers
        return headers


def _length(request: Request) -> dict[str, str]:
    if request.body or request.method in _WITH_LENGTH:
        return {"Content-Length": str(len(request.body))}
    return {}


@dataclass(frozen=True)
class StrategyContext:
    """What a strategy is given. Time spent waiting actively is put down in `busy_wait`."""

    plan: LoadPlan
    source: RequestSource
    samples: SampleBuffer
    connections: ConnectionCounter
    busy_wait: BusyWait = field(default_factory=BusyWait)
    failures: FirstFailures = field(default_factory=FirstFailures)

    def kept_connections(self) -> KeptConnections:
        """Return what the connections of a strategy share."""
        return KeptConnections(
            self.connections,
            keeps=self.plan.client.reuse_connections,
            pauses=self.plan.stream.load.idle_s >= PAUSE_S,
        )

    def read_until(
        self,
        reading: Reading,
        ended: Outcome,
        request: Request,
        headers: Headers,
        sample: BodySample | None,
    ) -> Ended:
        """Return how a request ended that was read until somewhere, and count its connection."""
        if reading.ended:
            self.connections.count_read_enough()
        code, sent, received = ended
        if reading.missed and error_class(code) is None:
            ended = failure("content", sent, received, code >> 4)
            self.failures.keep(ended, request, headers, detail=reading.missed)
            return ended
        return self.failures.response(ended, request, lambda: headers, sample)

    @property
    def timeout_ns(self) -> int:
        """The deadline of a request, from its actual start."""
        return round(self.plan.timeout_s * 1e9)


class Strategy(Protocol):
    """How requests overlap. Made once, from a `StrategyContext`, in the thread that runs it.

    Redirects are not followed, nothing of the environment is read, bodies are counted up to the
    limit and never unpacked, every request has a deadline. Nothing is sent twice but what
    `kept_connections` says.
    """

    def run(self, phase: Phase) -> None:
        """Start the phase when all its users stand ready; return when all of them are through."""


def make_strategy(context: StrategyContext) -> Strategy:
    """Return the strategy that the plan of `context` names."""
    module, _, name = STRATEGIES[context.plan.client.strategy].made_by.partition(":")
    strategy: Strategy = getattr(import_module(f"{__name__}.{module}"), name)(context)
    return strategy
