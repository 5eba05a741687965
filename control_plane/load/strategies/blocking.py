"""`blocking`: requests, one request after the other in one thread."""

from control_plane.load.baton import turns_of
from control_plane.load.phase import Phase
from control_plane.load.strategies.requests_client import RequestsClient
from control_plane.load.strategies.strategy import Gear


class Blocking:
    def __init__(self, gear: Gear) -> None:
        self._client = RequestsClient(gear, sessions=1)

    def run(self, phase: Phase) -> None:
        self._client.drive(0, turns_of(phase), phase.start)
