"""The bare responder: a server that costs next to nothing, to measure the client alone.

`python -m control_plane.targets.responder HOST PORT` responds to each GET with the same 200 and
keeps the connection. It looks for the end of a request's head and reads nothing else.
"""

import asyncio
import sys
from typing import cast

import uvloop

BODY = b"ok"
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s"
    % (len(BODY), BODY)
)  # fmt: skip
END = b"\r\n\r\n"
MAX_HEAD_BYTES = 65_536
BACKLOG = 2_048


class Responder(asyncio.Protocol):
    """The server's side of one connection."""

    def __init__(self) -> None:
        self._partial = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Respond to every head that is complete; what follows the last one is kept."""
        data = self._partial + data
        heads = data.count(END)
        self._partial = b"" if data.endswith(END) else data.rpartition(END)[2]
        if len(self._partial) > MAX_HEAD_BYTES:
            self._transport.close()
        elif heads:
            self._transport.write(RESPONSE * heads)


async def serve(host: str, port: int) -> None:
    """Serve until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Responder, host, port, backlog=BACKLOG)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
