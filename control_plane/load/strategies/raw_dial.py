"""How the raw strategy makes connections to its one server."""

import asyncio
import ssl
from urllib.parse import urlsplit

from control_plane.load.strategies.raw_answer import Answer, Head
from control_plane.load.strategies.raw_line import Asker, Line
from control_plane.load.strategies.raw_wire import Wires
from control_plane.load.strategies.strategy import Gear


class Dial:
    """What all users share."""

    def __init__(self, gear: Gear, loop: asyncio.AbstractEventLoop) -> None:
        parts = urlsplit(gear.plan.base_url)
        secure = parts.scheme == "https"
        self.loop, self.wires = loop, Wires(gear)
        self._host, self._port = parts.hostname or "", parts.port or (443 if secure else 80)
        self._ssl = _unverified() if secure else None
        self._connections = gear.connections
        self._limit = gear.plan.client.max_body_bytes
        self._heads: dict[bytes, Head] = {}

    def line(self, asker: Asker) -> Line:
        return Line(asker, Answer(self._heads, self._limit), self._connections)

    def start(self, line: Line) -> asyncio.Task[object]:
        connecting = self.loop.create_connection(
            lambda: line, self._host, self._port, ssl=self._ssl
        )
        return self.loop.create_task(connecting)


def _unverified() -> ssl.SSLContext:
    """Targets are on this machine, where there is nobody to pretend to be one."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
