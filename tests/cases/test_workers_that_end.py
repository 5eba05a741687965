"""Workers that end are counted by process, as the server's own log counts them."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from http.client import BadStatusLine, HTTPConnection, IncompleteRead
from pathlib import Path

import pytest

from control_plane.targets.application import Application, command_target
from control_plane.targets.launch import LaunchContext, start_application
from control_plane.targets.observation import procfs
from control_plane.targets.observation.worker_watch import EndedWorkers
from control_plane.targets.running_target import StartedTarget
from tests.targets.site import until

APPLICATIONS = Path(__file__).parent / "workers"
BIND = "--bind {host}:{port} --workers 2"
GUNICORN = f"{sys.executable} -m gunicorn --no-control-socket {BIND}"
LIMIT = "--max-requests 50"
UVICORN = (
    f"{sys.executable} -m uvicorn asgi:app --host {{host}} --port {{port}} --workers 2 "
    "--log-level info"
)
LIMITED = {
    "sync": (f"{GUNICORN} {LIMIT} wsgi:app", "Worker exiting"),
    "gthread": (f"{GUNICORN} {LIMIT} --threads 2 wsgi:app", "Worker exiting"),
    "asgi": (f"{GUNICORN} {LIMIT} --worker-class asgi asgi:app", "Worker exiting"),
    "uvicorn_worker": (
        f"{GUNICORN} {LIMIT} --worker-class uvicorn_worker.UvicornWorker asgi:app",
        "Worker exiting",
    ),
    "uvicorn": (f"{UVICORN} --limit-max-requests 150", "Child process"),
    "hypercorn": (
        f"{sys.executable} -m hypercorn --bind {{host}}:{{port}} --workers 2 --max-requests 100 "
        "asgi:app",
        "Running on",
    ),
}
FIRST = {"hypercorn": 2}
"""How often the line came for the first workers."""
KILLED = {
    "sync": (LIMITED["sync"][0].replace(LIMIT, ""), "Booting worker with pid"),
    "gthread": (LIMITED["gthread"][0].replace(LIMIT, ""), "Booting worker with pid"),
    "asgi": (LIMITED["asgi"][0].replace(LIMIT, ""), "Booting worker with pid"),
    "uvicorn_worker": (
        LIMITED["uvicorn_worker"][0].replace(LIMIT, ""),
        "Booting worker with pid",
    ),
    "uvicorn": (UVICORN, "Started server process"),
    "granian": (
        f"{sys.executable} -m granian --interface asgi --host {{host}} --port {{port}} --workers 2 "
        "--respawn-failed-workers asgi:app",
        "Started worker-",
    ),
}
KILLS = {"granian": 1}
"""How many, where two are too many: granian gives up where they come close together."""
REQUESTS = 600


@asynccontextmanager
async def serving(command: str, folder: Path) -> AsyncIterator[StartedTarget]:
    """Started as a run starts it, with the look that comes before the load."""
    served = Application(
        "", APPLICATIONS, name="own", command=tuple(command.split()), start_timeout_s=30
    )
    context = LaunchContext("test-workers", None, folder, log_lines=20_000)
    target = await start_application(served, command_target("own"), context)
    try:
        await target.check()
        yield target
    finally:
        await target.stop()


def get(target: StartedTarget, number: int) -> None:
    """Each on a connection of its own; one that a worker's end breaks off is made again."""
    answered = 0
    for _ in range(number + 20):
        connection = HTTPConnection(target.host, target.port, timeout=20)
        with closing(connection), suppress(ConnectionError, BadStatusLine, IncompleteRead):
            connection.request("GET", "/", headers={"Connection": "close"})
            connection.getresponse().read()
            answered += 1
        if answered == number:
            return
    raise AssertionError(f"{answered} of {number} requests were answered")


def logged(target: StartedTarget, text: str) -> int:
    return sum(text in line for line in target.log(20_000))


def agrees(target: StartedTarget, server: str, least: int) -> Callable[[], bool]:
    line, first = LIMITED[server][1], FIRST.get(server, 0)
    return lambda: least <= target.ended_workers().all == logged(target, line) - first


@pytest.mark.parametrize("server", LIMITED)
async def test_workers_at_their_limit_are_told_as_such(server: str, tmp_path: Path) -> None:
    async with serving(LIMITED[server][0], tmp_path) as target:
        get(target, REQUESTS)
        # An ASGI worker goes on to answer while it waits for its connections to end.
        least = 8 if server in {"sync", "gthread"} else 2
        enough = agrees(target, server, least)
        until(enough, lambda: f"{target.ended_workers()}\n{printed(target)}", 40)
        ended = target.ended_workers()
        assert ended.all <= 13
        assert ended.at_limit == ended.all
        assert target.failure() is None


@pytest.mark.parametrize("server", KILLED)
async def test_a_worker_that_is_killed_is_none_at_its_limit(server: str, tmp_path: Path) -> None:
    command, begun = KILLED[server]
    kills = KILLS.get(server, 2)
    async with serving(command, tmp_path) as target:
        for number in range(1, kills + 1):
            until(partial(has_begun, target, begun, 1 + number), partial(printed, target), 20)
            os.kill(workers(target)[-1], signal.SIGKILL)
            until(partial(has_ended, target, number), lambda: f"{target.ended_workers()}", 10)
        until(partial(has_begun, target, begun, 2 + kills), partial(printed, target), 20)
        get(target, 10)


def has_ended(target: StartedTarget, number: int) -> bool:
    return target.ended_workers() == EndedWorkers(number, 0)


def printed(target: StartedTarget) -> str:
    return "\n".join(target.log(99))


def has_begun(target: StartedTarget, text: str, number: int) -> bool:
    """Return whether so many workers said that they run: nobody knows one that is killed before."""
    return logged(target, text) == number


def workers(target: StartedTarget) -> list[int]:
    listener = procfs.inodes_at(target.host, target.port)
    return sorted(procfs.holders(listener, target.pids()).keys() - {target.pid})


@pytest.mark.parametrize("limit", [1, 20])
async def test_forks_of_an_own_command_are_counted(limit: int, tmp_path: Path) -> None:
    """Workers of one connection live for less time than passes between two looks."""
    async with serving(
        f"{sys.executable} prefork.py {{host}} {{port}} {limit}", tmp_path
    ) as target:
        before = logged(target, "a worker ended")
        get(target, 200)
        least, ready = before + 200 // limit - 1, 2 // limit

        def agree() -> bool:
            """One that ended is counted before the server says so, or after."""
            told = logged(target, "a worker ended")
            return told >= least and abs(target.ended_workers().all - told) <= ready

        until(agree, lambda: f"{target.ended_workers()}\n{printed(target)}", 10)
        assert target.ended_workers().at_limit == 0


@pytest.mark.parametrize("name", ["per_connection", "program_per_request"])
async def test_a_process_for_one_request_is_no_worker(name: str, tmp_path: Path) -> None:
    async with serving(f"{sys.executable} {name}.py {{host}} {{port}}", tmp_path) as target:
        get(target, 100)
        assert target.ended_workers() == EndedWorkers(0, 0)


async def test_an_exit_code_that_tells_nothing_is_told_as_such(tmp_path: Path) -> None:
    command = f"{sys.executable} -m hypercorn --bind {{host}}:{{port}} asgi:app"
    async with serving(command, tmp_path) as target:
        listener = procfs.inodes_at(target.host, target.port)
        (worker,) = procfs.accepting(listener, target.pids())
        os.kill(worker, signal.SIGKILL)
        assert await target.ended() == (
            "target ended, exit code 0, which hypercorn gives also when its worker died"
        )
