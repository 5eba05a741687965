"""A server that answers at once and stands still for half a second of every two.

`python -m bench.stalling PORT`. GET /clock tells the median of its own handling in seconds, from
the head read to the answer written.
"""

import asyncio
import statistics
import sys
import time
from typing import cast

import uvloop

EVERY_S, STALL_S = 2.0, 0.5
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HANDLED_S: list[float] = []


class Stalling(asyncio.Protocol):
    """One connection, one request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /clock "):
            told = b"%.9f" % statistics.median(HANDLED_S or [0.0])
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(told) + told
            )
            return
        began = time.perf_counter()
        self._transport.write(ANSWER)
        HANDLED_S.append(time.perf_counter() - began)


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(Stalling, "127.0.0.1", port)
    stalls_at_s = loop.time()
    while True:
        stalls_at_s += EVERY_S
        await asyncio.sleep(stalls_at_s - loop.time())
        # The whole loop stands still: that is what is measured.
        time.sleep(max(0.0, stalls_at_s + STALL_S - loop.time()))  # noqa: ASYNC251 - see above


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
