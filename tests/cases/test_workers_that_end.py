"""Workers that end are counted by process, as the server's own log counts them."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import requests

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
}
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
    adapter = requests.adapters.HTTPAdapter(max_retries=20)
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", adapter)
        for _ in range(number):
            session.get(target.url, timeout=20, headers={"Connection": "close"})


def logged(target: StartedTarget, text: str) -> int:
    return sum(text in line for line in target.log(20_000))


def agrees(target: StartedTarget, text: str, least: int) -> Callable[[], bool]:
    return lambda: least <= target.ended_workers().all == logged(target, text)


@pytest.mark.parametrize("server", LIMITED)
async def test_workers_at_their_limit_are_told_as_such(server: str, tmp_path: Path) -> None:
    command, line = LIMITED[server]
    async with serving(command, tmp_path) as target:
        get(target, REQUESTS)
        # An ASGI worker goes on to answer while it waits for its connections to end.
        least = 8 if server in {"sync", "gthread"} else 2
        enough = agrees(target, line, least)
        until(enough, lambda: f"{target.ended_workers()}\n{target.log(99)}", 40)
        ended = target.ended_workers()
        assert ended.all <= 13
        assert ended.at_limit == ended.all
        assert target.failure() is None


@pytest.mark.parametrize("server", ["sync", "gthread", "uvicorn_worker"])
async def test_a_worker_that_is_killed_is_none_at_its_limit(server: str, tmp_path: Path) -> None:
    async with serving(LIMITED[server][0].replace(LIMIT, ""), tmp_path) as target:
        for number in range(1, 4):
            until(lambda: len(workers(target)) == 2, lambda: "two workers", 10)
            os.kill(workers(target)[-1], signal.SIGKILL)
            until(partial(has_ended, target, number), lambda: f"{target.ended_workers()}", 10)
        get(target, 10)


def has_ended(target: StartedTarget, number: int) -> bool:
    return target.ended_workers() == EndedWorkers(number, 0)


def workers(target: StartedTarget) -> list[int]:
    """Return those that said that they run: nobody knows one that is killed before."""
    children = set(target.pids()) & set(procfs.children(target.pid))
    return sorted(pid for pid in children if logged(target, f"Booting worker with pid: {pid}"))


@pytest.mark.parametrize("limit", [1, 20])
async def test_forks_of_an_own_command_are_counted(limit: int, tmp_path: Path) -> None:
    """Workers of one connection live for less time than passes between two looks."""
    async with serving(
        f"{sys.executable} prefork.py {{host}} {{port}} {limit}", tmp_path
    ) as target:
        before = logged(target, "a worker ended")
        get(target, 200)
        until(lambda: logged(target, "a worker ended") >= before + 200 // limit - 1, str, 10)
        ready = 2 // limit
        found = target.ended_workers().all
        assert abs(found - logged(target, "a worker ended")) <= ready
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
