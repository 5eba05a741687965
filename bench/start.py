"""How long until a target is ready, against the same server bare: its own command and options.

`python -m bench.start [--pairs 20] [--workers 1] [--server NAME]` starts both in turn, in an order
that changes with each pair, and prints the medians and the ratio of each server. Bare: from the
call of `Popen` to the first 200 on /health, asked every 2 ms. Ours: from the call of `start` to its
return, which with several workers means that all of them accept.
"""

import argparse
import asyncio
import http.client
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from control_plane.domain.spec import Target
from control_plane.targets.application import bundled_application
from control_plane.targets.launch import command, free_ports, listening_host, start

POLL_S = 0.002
WANTED = 1.3
_DEFAULT = Target()
_OTHER = replace(_DEFAULT, http=None)
SERVERS = {
    "uvicorn": _DEFAULT,
    "gunicorn, uvicorn_worker": replace(
        _DEFAULT, server="gunicorn", worker="uvicorn_worker", reuse_port=False
    ),
    "gunicorn, asgi": replace(_OTHER, server="gunicorn", worker="asgi", reuse_port=False),
    "hypercorn": replace(_OTHER, server="hypercorn"),
    "granian": replace(_OTHER, server="granian", keep_alive_s=None),
}


def bare_s(target: Target) -> float:
    host = listening_host()
    port = next(free_ports(host))
    arguments = [sys.executable, "-m", *command(target, host, port)]
    began = time.perf_counter()
    with subprocess.Popen(
        arguments,
        cwd=bundled_application().directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        while not answers(host, port):
            time.sleep(POLL_S)
        taken = time.perf_counter() - began
        server.terminate()
    return taken


def answers(host: str, port: int) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


async def ours_s(target: Target, folder: Path) -> float:
    began = time.perf_counter()
    running = await start(target, instance="bench-start", cores=None, state_dir=folder)
    taken = time.perf_counter() - began
    await running.stop()
    return taken


def measure(target: Target, pairs: int) -> list[tuple[float, float]]:
    """Seconds of bare and ours for each pair, after one of each that warms the file cache."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        bare_s(target)
        asyncio.run(ours_s(target, place))
        for pair in range(pairs):
            if pair % 2:
                ours, bare = asyncio.run(ours_s(target, place)), bare_s(target)
            else:
                bare, ours = bare_s(target), asyncio.run(ours_s(target, place))
            found.append((bare, ours))
    return found


def row(name: str, pairs: list[tuple[float, float]]) -> bool:
    """One line of the table; whether its ratio is reached."""
    bare, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratios = sorted(ours / bare for bare, ours in pairs)
    ratio = statistics.median(ratios)
    word = "reached" if ratio <= WANTED else "MISSED"
    print(f"{name:26}{bare * 1e3:8.0f} ms{ours * 1e3:8.0f} ms{ratio:8.3f}", end="  ")
    print(f"({ratios[0]:.3f} to {ratios[-1]:.3f})  {word}", flush=True)
    return ratio <= WANTED


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--server", choices=SERVERS, help="this one alone")
    given = parser.parse_args()
    names = [given.server] if given.server else list(SERVERS)
    print(f"{'server':26}{'bare':>11}{'ready':>11}{'ratio':>8}  wanted at most {WANTED}")
    reached = [
        row(name, measure(replace(SERVERS[name], workers=given.workers), given.pairs))
        for name in names
    ]
    sys.exit(0 if all(reached) else 1)


if __name__ == "__main__":
    main()
