"""What a client strategy is given, and what it must do."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

import uvloop

from control_plane.domain.spec import Client
from control_plane.load.clock import BusyWait
from control_plane.load.connections import ConnectionCounter
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
