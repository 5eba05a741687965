"""The bundled application under uvicorn, pinned to one core, as the target of measurements."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO
from urllib.error import URLError

TARGET_CORE, CLIENT_CORE = 0, 1
_PATIENCE_S = 20


@contextmanager
def target(access_log: IO[bytes] | None = None) -> Iterator[str]:
    """Its URL. With `access_log` every request that it answered is a line there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [
            *["taskset", "-c", str(TARGET_CORE), sys.executable, "-m", "uvicorn"],
            *["target_app.main:app", "--port", str(port), "--log-level", "info"],
            *["--loop", "uvloop", "--http", "httptools"],
            "--access-log" if access_log else "--no-access-log",
        ],
        stdout=access_log or subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_ready(url)
        yield url
    finally:
        server.terminate()
        server.wait()


def on_client_core(*command: str) -> str:
    """What `command` prints, run on the core of the client."""
    done = subprocess.run(
        ["taskset", "-c", str(CLIENT_CORE), *command], capture_output=True, text=True, check=True
    )
    return done.stdout


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(f"{url}/health").close()
        except URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
