"""A real server of the application, on loopback."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil

START_DEADLINE_S = 20
STOP_DEADLINE_S = 10


@dataclass(frozen=True)
class Server:
    """A running server and a client that knows its address."""

    process: subprocess.Popen[bytes]
    client: httpx.Client


@contextmanager
def serving(*module: str, environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """`python -m` with these arguments and a free port, ready when it answers."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", *module, "--host", "127.0.0.1", "--port", str(port)],
        env=os.environ | dict(environment or {}),
    )
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60
        ) as client:
            wait_until_ready(process, client)
            yield Server(process, client)
    finally:
        stop(process)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_ready(process: subprocess.Popen[bytes], client: httpx.Client) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended while it started"
        try:
            client.get("/health").raise_for_status()
        except httpx.ConnectError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("the server did not answer in time")


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def together(client: httpx.Client, path: str, count: int) -> float:
    """Seconds until `count` requests, sent at the same time, are all answered with 200."""
    start = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        statuses = [answer.status_code for answer in pool.map(client.get, [path] * count)]
    assert statuses == [200] * count
    return time.perf_counter() - start


def timed(request: Callable[[], httpx.Response]) -> float:
    """Seconds until the answer, which must be a good one."""
    start = time.perf_counter()
    request().raise_for_status()
    return time.perf_counter() - start


def children(process: subprocess.Popen[bytes], word: str) -> list[psutil.Process]:
    """Living descendants with `word` in their command line."""
    below = psutil.Process(process.pid).children(recursive=True)
    return [process for process in below if word in " ".join(process.cmdline())]


def wait_until_gone(processes: list[psutil.Process], within_s: float = 3) -> None:
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    assert alive == []
