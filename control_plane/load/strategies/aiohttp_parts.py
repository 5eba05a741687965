"""What the async strategy puts in the place of parts of aiohttp."""

import asyncio
from collections.abc import Iterable
from functools import partial

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.typedefs import LooseHeaders
from multidict import CIMultiDict
from yarl import URL

from control_plane.load.connections import Connections
from control_plane.load.strategies.strategy import HEADERS, Gear


def request_class(base_url: str) -> type[aiohttp.ClientRequest]:
    """Requests to one server, whose common headers are made once and copied.

    aiohttp makes them anew for each request, which took a twentieth of the client's time.
    """
    common = CIMultiDict({"Host": URL(base_url).host_port_subcomponent or "", **HEADERS})

    class LeanRequest(aiohttp.ClientRequest):
        def update_headers(self, headers: LooseHeaders | None) -> None:
            self.headers = common.copy()
            if headers:
                self.headers.update(headers)

        def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
            """They are among the common ones."""

    return LeanRequest


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
        self._connections.add(id(protocol))
        closed = protocol.closed
        if closed is None:
            self._connections.remove(id(protocol))
        else:
            closed.add_done_callback(partial(self._lost, id(protocol)))
        return protocol

    def _lost(self, key: int, closed: asyncio.Future[None]) -> None:
        self._connections.remove(key)
        closed.exception()
