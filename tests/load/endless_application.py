"""An application of Starlette under uvicorn, by TLS, whose answers never end."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from tests.dashboard import until


async def _events() -> AsyncIterator[bytes]:
    yield b": a comment first\n\n"
    while True:
        await asyncio.sleep(0.02)
        yield b"event: tick\ndata: {}\n\n"


async def _ticks(_request: Request) -> StreamingResponse:
    await asyncio.sleep(0.03)
    return StreamingResponse(_events(), media_type="text/event-stream")


@contextmanager
def endless_application(folder: Path) -> Iterator[str]:
    """Yield the address, by TLS, of a Starlette application whose answers never end."""
    subject = ["-days", "2", "-subj", "/CN=localhost", "-keyout", "k.pem", "-out", "c.pem"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject]
    subprocess.run(made, cwd=folder, check=True, capture_output=True)
    served = Starlette(routes=[Route("/ticks", _ticks)])
    files: dict[str, Any] = {"ssl_keyfile": folder / "k.pem", "ssl_certfile": folder / "c.pem"}
    quiet: dict[str, Any] = {"port": 0, "log_level": "critical", "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(served, **quiet, **files))
    thread = Thread(target=server.run)
    thread.start()
    until(lambda: server.started, "uvicorn started")
    yield f"https://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = server.force_exit = True
    thread.join()
