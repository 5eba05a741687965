"""A server that answers at once and notes when each request arrived.

`python -m bench.arriving PORT`: GET /slices tells as JSON how many requests arrived in each 100 ms
since it was asked last, whole slices only.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from typing import cast

import uvloop

SLICE_S = 0.1
ARRIVED: Counter[int] = Counter()


class Arriving(asyncio.Protocol):
    """One connection, one request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /slices"):
            self._answer(json.dumps(slices()).encode())
            return
        ARRIVED[int(time.monotonic() / SLICE_S)] += 1
        self._answer(b"ok")

    def _answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        self._transport.write(head + body)


def slices() -> list[int]:
    """The first and the last slice are not whole."""
    first, last = min(ARRIVED, default=0) + 1, max(ARRIVED, default=0)
    found = [ARRIVED[number] for number in range(first, last)]
    ARRIVED.clear()
    return found


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Arriving, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
