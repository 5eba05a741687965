"""Calls the upstream process, which stands for a service of somebody else."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx

BACKLOG = 2048
CONNECTIONS = 1000
STOP_S = 2.0
TIMEOUT_S = 60.0


class Upstream:
    """A client shared by all requests, and the means to make one more."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.shared = self.new_client()

    def new_client(self) -> httpx.AsyncClient:
        """Make a client with connections of its own. The caller closes it."""
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        return httpx.AsyncClient(
            base_url=self._address, limits=limits, timeout=TIMEOUT_S, trust_env=False
        )

    async def fetch(self, client: httpx.AsyncClient, path: str) -> dict[str, Any]:
        """Return a JSON document. Raises httpx.HTTPStatusError for a status of 400 or more."""
        response = await client.get(path)
        document: dict[str, Any] = response.raise_for_status().json()
        return document

    async def fetch_together(
        self, client: httpx.AsyncClient, paths: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Call all paths at the same time; return the documents in the order of the paths."""
        return await asyncio.gather(*(self.fetch(client, path) for path in paths))


@asynccontextmanager
async def open_upstream(delay_s: float) -> AsyncIterator[Upstream]:
    """Start an upstream and open a client of it. Each worker has one of its own."""
    with _upstream(delay_s) as address:
        upstream = Upstream(address)
        async with upstream.shared:
            await upstream.fetch(upstream.shared, "/ready")
            yield upstream


@contextmanager
def _upstream(delay_s: float) -> Iterator[str]:
    """Start an upstream and give its address. Connections wait in the backlog until it serves."""
    # Only with the protocol named does asyncio set TCP_NODELAY on accepted connections.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(BACKLOG)
        descriptor, port = listener.fileno(), listener.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "target_app.upstream_server",
            str(descriptor),
            str(delay_s),
        ]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[descriptor])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.communicate(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
