"""A server that answers after the wait that is asked for, and measures its own handling.

`python -m bench.clocked PORT`: GET /wait/10 answers after 10 ms; GET /clock tells the median of the
handling in seconds since it was asked last, from the whole head read to the answer written.
"""

import asyncio
import statistics
import sys
import time
from typing import cast

import uvloop

END = b"\r\n\r\n"
HANDLED_S: list[float] = []


class Clocked(asyncio.Protocol):
    """One connection, one request at a time."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        began = time.perf_counter()
        path = data.split(b" ", 2)[1]
        if path.startswith(b"/wait/"):
            wait_s = int(path.removeprefix(b"/wait/")) / 1_000
            self._loop.call_later(wait_s, self._answer_timed, began)
        elif path == b"/clock":
            self._answer(b"%.9f" % statistics.median(HANDLED_S or [0.0]))
            HANDLED_S.clear()
        else:
            self._answer(b"ok")

    def _answer_timed(self, began: float) -> None:
        self._answer(b"ok")
        HANDLED_S.append(time.perf_counter() - began)

    def _answer(self, body: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Clocked, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
