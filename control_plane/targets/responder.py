"""A server that costs next to nothing, against which a client shows what it can do.

`python -m control_plane.targets.responder HOST PORT` answers each GET with the same 200 and keeps
the connection. It looks for the end of a request's head and reads nothing else.
"""

import asyncio
import sys
from typing import cast

import uvloop

BODY = b"ok"
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s"
    % (len(BODY), BODY)
)  # fmt: skip
END = b"\r\n\r\n"
LONGEST_HEAD = 65_536
BACKLOG = 2_048


class Responder(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._begun = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every head that is whole now; what follows the last one is kept."""
        data = self._begun + data
        heads = data.count(END)
        self._begun = b"" if data.endswith(END) else data.rpartition(END)[2]
        if len(self._begun) > LONGEST_HEAD:
            self._transport.close()
        elif heads:
            self._transport.write(ANSWER * heads)


async def serve(host: str, port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Responder, host, port, backlog=BACKLOG)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], int(sys.argv[2])))
