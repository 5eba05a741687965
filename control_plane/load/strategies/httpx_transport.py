"""What the httpx strategy puts in the place of parts of httpx and httpcore."""

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx
from httpcore._backends.anyio import AnyIOStream

from control_plane.load.connections import Connections
from control_plane.load.strategies.strategy import Gear


class Lanes:
    """Makes transports of one connection each, which never expires by itself.

    Certificates are not verified, because targets are on this machine. All share what is costly to
    make.
    """

    def __init__(self, gear: Gear) -> None:
        kept = 1 if gear.plan.client.reuse_connections else 0
        self._limits = httpx.Limits(
            max_connections=1, max_keepalive_connections=kept, keepalive_expiry=None
        )
        self._backend = _Backend(gear.connections)
        self._context = httpx.create_ssl_context(verify=False, trust_env=False)

    def transport(self) -> httpx.AsyncHTTPTransport:
        made = httpx.AsyncHTTPTransport(verify=self._context, trust_env=False, limits=self._limits)
        made._pool._network_backend = self._backend  # noqa: SLF001 - no other way in
        return made


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
