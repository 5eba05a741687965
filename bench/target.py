"""Servers pinned to one core: the bundled application, nginx, and servers of this folder."""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.error import URLError

TARGET_CORE, CLIENT_CORE = 0, 1
_PATIENCE_S = 20

NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 200 "ok"; }}
  }}
}}
"""
"""A fixed 200 for every path, on connections that stay."""


@contextmanager
def target(access_log: IO[bytes] | None = None) -> Iterator[str]:
    """The bundled application under uvicorn: its URL. With `access_log` every request that it
    answered is a line there."""
    port = free_port()
    command = [
        *[sys.executable, "-m", "uvicorn", "target_app.main:app", "--port", str(port)],
        *["--log-level", "info", "--loop", "uvloop", "--http", "httptools"],
        "--access-log" if access_log else "--no-access-log",
    ]
    with pinned(command, f"http://127.0.0.1:{port}", "/health", access_log) as url:
        yield url


@contextmanager
def nginx() -> Iterator[str]:
    """nginx with one worker, answering a fixed 200."""
    port, program = free_port(), shutil.which("nginx") or "/usr/sbin/nginx"
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "nginx.conf"
        configuration.write_text(NGINX.format(folder=folder, port=port))
        command = [program, "-p", folder, "-c", str(configuration)]
        with pinned(command, f"http://127.0.0.1:{port}") as url:
            yield url


@contextmanager
def own(module: str) -> Iterator[str]:
    """A server of this folder, which is given its port."""
    port = free_port()
    command = [sys.executable, "-m", module, str(port)]
    with pinned(command, f"http://127.0.0.1:{port}") as url:
        yield url


@contextmanager
def pinned(
    command: list[str], url: str, ready: str = "/", log: IO[bytes] | None = None
) -> Iterator[str]:
    """Start a server on the core of the target; its URL once it answers; ended in the end."""
    server = subprocess.Popen(
        ["taskset", "-c", str(TARGET_CORE), *command],
        stdout=log or subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_ready(url + ready)
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


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            urllib.request.urlopen(url).close()
        except URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
