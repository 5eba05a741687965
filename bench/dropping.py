"""A server that closes every second request on a connection without an answer, and counts all.

`python -m bench.dropping PORT`: GET /count tells how many requests came since it was asked last,
those to /count and / left out.
"""

import asyncio
import sys
from collections import Counter
from typing import cast

import uvloop

END = b"\r\n\r\n"
SEEN: Counter[str] = Counter()


class DroppingServer(asyncio.Protocol):
    """One connection, one request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._served, self._begun = 0, b""

    def data_received(self, data: bytes) -> None:
        self._begun += data
        while END in self._begun:
            head, _, self._begun = self._begun.partition(END)
            self._take(head.split(b" ", 2)[1])

    def _take(self, path: bytes) -> None:
        if path == b"/count":
            self._answer(b"%d" % SEEN.pop("requests", 0))
            return
        if path == b"/":
            self._answer(b"ok")
            return
        SEEN["requests"] += 1
        self._served += 1
        if self._served % 2:
            self._answer(b"ok")
        else:
            self._transport.close()

    def _answer(self, body: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(DroppingServer, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
