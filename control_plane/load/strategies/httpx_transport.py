"""What the httpx strategy puts in the place of parts of httpx and httpcore."""

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx
from httpcore._backends.anyio import AnyIOStream

from control_plane.load.connections import Connections
from control_plane.load.strategies.strategy import Gear


class CountingTransport(httpx.AsyncHTTPTransport):
    """A pool as large as the concurrency, whose connections never expire by themselves.

    Certificates are not verified, because targets are on this machine.
    """

    def __init__(self, gear: Gear) -> None:
        users = gear.plan.users
        kept = users if gear.plan.client.reuse_connections else 0
        limits = httpx.Limits(
            max_connections=users, max_keepalive_connections=kept, keepalive_expiry=None
        )
        super().__init__(verify=False, trust_env=False, limits=limits, retries=0)
        self._pool._network_backend = _Backend(gear.connections)  # noqa: SLF001 - no other way in


class _Backend(httpcore.AnyIOBackend):
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore calls it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        made: Any = await super().connect_tcp(host, port, timeout, local_address, socket_options)
        return _Counted(made, self._connections)


class _Counted(AnyIOStream):
    """A connection that is known until it is closed; TLS goes on below the same one."""

    def __init__(self, plain: AnyIOStream, connections: Connections) -> None:
        super().__init__(plain._stream)  # noqa: SLF001 - httpcore gives no other way to wrap it
        self._connections = connections
        connections.add(id(self))

    async def aclose(self) -> None:
        self._connections.remove(id(self))
        await super().aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as httpcore calls it
    ) -> httpcore.AsyncNetworkStream:
        secure: Any = await super().start_tls(ssl_context, server_hostname, timeout)
        self._stream = secure._stream  # noqa: SLF001 - see above
        return self
