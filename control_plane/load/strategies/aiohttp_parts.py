"""What the async strategy puts in the place of parts of aiohttp."""

import asyncio

import aiohttp
from aiohttp.client_proto import ResponseHandler
from multidict import istr

from control_plane.load.connections import Connections
from control_plane.load.strategies.strategy import HEADERS, Gear

_HEADERS = {istr(name): value for name, value in HEADERS.items()}


class LeanRequest(aiohttp.ClientRequest):
    """aiohttp adds these headers by itself, which is cheaper than headers of the session."""

    DEFAULT_HEADERS = _HEADERS


def connector(gear: Gear) -> aiohttp.TCPConnector:
    """A pool as large as the concurrency, whose connections never expire by themselves.

    Certificates are not verified, because targets are on this machine.
    """
    pool, users = gear.connections, gear.plan.users
    if gear.plan.client.reuse_connections:
        return _Counting(pool, limit=users, keepalive_timeout=None, ssl=False)
    return _Counting(pool, limit=users, force_close=True, ssl=False)


class _Counting(aiohttp.TCPConnector):
    """Counts connections where they are made, which costs requests on kept ones nothing."""

    def __init__(self, connections: Connections, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type] # options of TCPConnector
        self._connections = connections

    async def _create_connection(self, *arguments: object) -> ResponseHandler:
        protocol = await super()._create_connection(*arguments)  # type: ignore[arg-type] # as given
        self._connections.add()
        closed = protocol.closed
        if closed is None:
            self._connections.remove()
        else:
            closed.add_done_callback(self._lost)
        return protocol

    def _lost(self, closed: asyncio.Future[None]) -> None:
        self._connections.remove()
        closed.exception()
