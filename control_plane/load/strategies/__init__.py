"""The client strategies, one file each: what it is given, what it does, how it is made.

A strategy is imported when it is made, so that a load worker holds one client library only.
"""

import asyncio
import ssl
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol

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
from control_plane.load.strategies.kept_connections import (
    PAUSE_S,
    ConnectionCounter,
    KeptConnections,
)
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
