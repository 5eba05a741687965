"""How long until a target is ready, against the same server bare: its own command and options.
And how long until the dashboard answers, against a FastAPI application of one route.

`python -m bench.start [--pairs 20] [--workers 1] [--server NAME]` starts both in turn, in an order
that changes with each pair, and prints the medians and the ratio of each server. Bare: from the
call of `Popen` to the first 200 on /health, asked every 2 ms. Ours: from the call of `start` to its
return, which with several workers means that all of them accept. `--dashboard` measures that alone:
from `Popen` to the first 200 on /healthz, and the processor time until then. Both are judged. What
pages take is imported with the first of them: from another start to the first 200 on the home page
is told beside it, and nothing is wanted of that.
"""

import argparse
import asyncio
import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from control_plane.domain.spec import Target
from control_plane.targets.application import bundled_application
from control_plane.targets.launch import command, free_ports, listening_host, start

POLL_S = 0.002
WANTED = 1.3
WANTED_OF_DASHBOARD = 2.5
MINIMAL = """
import sys
import uvicorn
from fastapi import FastAPI
app = FastAPI()
@app.get("/healthz")
def healthz() -> dict[str, str]:
    return {"name": "minimal"}
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""
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
    arguments = ["-m", *command(target, host, port)]
    return first_answer(arguments, bundled_application().directory, (host, port, "/health"))[0]


def first_answer(
    arguments: list[str], folder: Path, asked: tuple[str, int, str]
) -> tuple[float, float]:
    """Return seconds, and those of a processor, until a Python process answers 200."""
    began = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as server:
        while not answers(*asked):
            time.sleep(POLL_S)
        taken = time.perf_counter() - began
        used = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        server.terminate()
    return taken, sum(map(int, used)) / os.sysconf("SC_CLK_TCK")


def answers(host: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
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


def row(name: str, pairs: list[tuple[float, float]], wanted: float | None = WANTED) -> bool:
    """One line of the table; whether its ratio is reached, where one is wanted."""
    bare, ours = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratios = sorted(ours / bare for bare, ours in pairs)
    ratio = statistics.median(ratios)
    reached = wanted is None or ratio <= wanted
    word = "" if wanted is None else "reached" if reached else "MISSED"
    print(f"{name:26}{bare * 1e3:8.0f} ms{ours * 1e3:8.0f} ms{ratio:8.3f}", end="  ")
    print(f"({ratios[0]:.3f} to {ratios[-1]:.3f})  {word}", flush=True)
    return reached


def dashboard(pairs: int) -> bool:
    """Measure the starts, and print what they took; return whether what is wanted is reached."""
    looplab = ["-m", "control_plane", "--no-token", "--port"]
    asked = ((["-c", MINIMAL], "/healthz"), (looplab, "/healthz"), (looplab, "/"))
    host, found = "127.0.0.1", []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(pairs + 1):
            taken = {}
            for place in range(len(asked)):
                which = (turn + place) % len(asked)
                port, (command_line, path) = next(free_ports(host)), asked[which]
                arguments = [*command_line, str(port)]
                taken[which] = first_answer(arguments, Path(folder), (host, port, path))
            found.append(taken)
    # The first turn warms the file cache and makes the database.
    return judged(found[1:])


def judged(turns: Sequence[Mapping[int, tuple[float, float]]]) -> bool:
    """Print a line of each figure; return whether all are reached of which something is wanted.

    A turn has, by place, the seconds and those of a processor of the minimal application, of the
    dashboard's first answer and of its first page.
    """
    rows = (
        ("first answer, /healthz", 1, 0, WANTED_OF_DASHBOARD),
        ("processor time until then", 1, 1, WANTED_OF_DASHBOARD),
        ("first page, /", 2, 0, None),
    )
    reached = [
        row(name, [(turn[0][unit], turn[which][unit]) for turn in turns], wanted)
        for name, which, unit, wanted in rows
    ]
    return all(reached)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--server", choices=SERVERS, help="this one alone")
    parser.add_argument("--dashboard", action="store_true", help="the dashboard alone")
    given = parser.parse_args()
    if given.dashboard:
        print(
            f"{'':26}{'minimal':>11}{'ours':>11}{'ratio':>8}  wanted at most {WANTED_OF_DASHBOARD}"
        )
        sys.exit(0 if dashboard(given.pairs) else 1)
    names = [given.server] if given.server else list(SERVERS)
    print(f"{'server':26}{'bare':>11}{'ready':>11}{'ratio':>8}  wanted at most {WANTED}")
    reached = [
        row(name, measure(replace(SERVERS[name], workers=given.workers), given.pairs))
        for name in names
    ]
    sys.exit(0 if all(reached) else 1)


if __name__ == "__main__":
    main()
