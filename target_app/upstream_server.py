"""The upstream that the application calls: a process of its own that ends with its parent.

`python -m target_app.upstream_server DESCRIPTOR DELAY_S` serves JSON documents on an inherited
listening socket. It stops at the end of its standard input, which the parent holds open, and on
Linux also by signal when the parent is killed.
"""

import asyncio
import ctypes
import json
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn

PR_SET_PDEATHSIG = 1
READY = "/ready"

Message = MutableMapping[str, Any]


class Documents:
    """Answers each path with a JSON document after the delay, READY at once. ASGI."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s

    async def __call__(
        self,
        scope: Message,
        _receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["path"] != READY:
            await asyncio.sleep(self._delay_s)
        body = json.dumps({"path": scope["path"], "delay_s": self._delay_s}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def end_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def stop_at_end_of_input(server: uvicorn.Server) -> None:
    """Wait until the parent closes the standard input, then let the server stop."""
    sys.stdin.read()
    server.should_exit = True


def main() -> None:
    """Serve on the socket of the first argument until the parent ends."""
    end_with_parent()
    listener = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(
        Documents(float(sys.argv[2])),
        lifespan="off",
        log_level="warning",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    threading.Thread(target=stop_at_end_of_input, args=(server,), daemon=True).start()
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
