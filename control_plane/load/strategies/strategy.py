"""What a client strategy is given, and what it must do; counts its connections."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from threading import get_ident
from typing import Protocol

import uvloop

from control_plane.domain.spec import Client
from control_plane.load.clock import BusyWait
from control_plane.load.phase import Phase
from control_plane.load.plan import LoadPlan
from control_plane.load.request_source import RequestSource
from control_plane.load.sample_buffer import SampleBuffer


def new_loop(client: Client) -> asyncio.AbstractEventLoop:
    """Return an event loop of the kind that the client names."""
    return uvloop.new_event_loop() if client.loop == "uvloop" else asyncio.new_event_loop()


MAX_HEADER_BYTES = 65_536
MAX_HEADERS = 100
"""Responses with longer or more headers are class `protocol`: the limits of http.client."""


class ConnectionCounter:
    """Counts connections, each of which is known by a number that no other open one has.

    Safe to use from many threads, none of which waits.
    """

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._sizes = {0}
        self._by_thread = Counter[int]()
        self._before = 0

    def open_window(self) -> None:
        """Count from now on; what is open stays open."""
        self._before = self._ever()
        self._sizes = {len(self._open)}

    def add(self, key: int) -> None:
        """Count a connection that was established."""
        self._by_thread[get_ident()] += 1
        self._open.add(key)
        self._sizes.add(len(self._open))

    def remove(self, key: int) -> None:
        """Forget a connection that was closed, by either side."""
        self._open.discard(key)

    def opened(self) -> int:
        """Return how many were established since the window began."""
        return self._ever() - self._before

    def most(self) -> int:
        """Return the most that were open at once since then."""
        return max(self._sizes)

    def _ever(self) -> int:
        return sum(self._by_thread.copy().values())


@dataclass(frozen=True)
class StrategyContext:
    """What a strategy is given. Time spent waiting actively is put down in `busy_wait`."""

    plan: LoadPlan
    source: RequestSource
    samples: SampleBuffer
    connections: ConnectionCounter
    busy_wait: BusyWait = field(default_factory=BusyWait)

    @property
    def timeout_ns(self) -> int:
        """The deadline of a request, from its actual start."""
        return round(self.plan.timeout_s * 1e9)


class Strategy(Protocol):
    """How requests overlap. Made once, from a `StrategyContext`, in the thread that runs it.

    Redirects are not followed, nothing of the environment is read, nothing is sent twice, bodies
    are counted up to the limit and never unpacked, every request has a deadline.
    """

    def run(self, phase: Phase) -> None:
        """Start the phase when all its users stand ready; return when all of them are through."""
