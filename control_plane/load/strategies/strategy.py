"""What a client strategy is given, and what it must do."""

from dataclasses import dataclass, field
from typing import Protocol

from control_plane.load.connections import Connections
from control_plane.load.phase import Phase
from control_plane.load.plan import Plan
from control_plane.load.recorder import Recorder
from control_plane.load.source import RequestSource
from control_plane.load.spin import Spin

HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "looplab"}
"""What every request carries besides its own headers."""

LONGEST_HEADER = 65_536
MOST_HEADERS = 100
"""Answers with longer or more headers are class `protocol`: the limits of http.client."""


@dataclass(frozen=True)
class Gear:
    """What every strategy works with. Time spent waiting actively is put down in `spin`."""

    plan: Plan
    source: RequestSource
    recorder: Recorder
    connections: Connections
    spin: Spin = field(default_factory=Spin)

    @property
    def timeout_ns(self) -> int:
        return round(self.plan.timeout_s * 1e9)


class Strategy(Protocol):
    """How requests overlap. Made once, from a `Gear`, in the thread that runs it.

    Redirects are not followed, nothing of the environment is read, nothing is sent twice, bodies
    are counted up to the limit and never unpacked, every request has a deadline.
    """

    def run(self, phase: Phase) -> None:
        """Start the phase when all its users stand ready; return when all of them are through."""
