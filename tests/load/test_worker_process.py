"""Load workers end when they should, whatever they are doing."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from control_plane.domain.errors import ClientFailed
from control_plane.jobs.worker_process import LoadWorker
from control_plane.load.worker_protocol import WindowOpened
from tests.load.hostile import HostileServer
from tests.load.workers import plan_of

STRATEGIES = ("async", "threaded", "blocking")
ROOT = Path(__file__).resolve().parents[2]
USERS = {"async": 20, "threaded": 20, "blocking": 1}


def endless(server: HostileServer, strategy: str, path: str = "/silence"):
    """Every user waits for an answer that never comes."""
    return plan_of(
        server.url,
        path,
        strategy=strategy,
        load={"model": "closed", "concurrency": USERS[strategy]},
        stop={"duration_s": 60},
        timeout_s=60.0,
    )


async def started(plan) -> LoadWorker:
    worker = await LoadWorker.start(plan, cores=None, environment={"LOOPLAB_INSTANCE": "tests"})
    await worker.ready()
    return worker


async def opened(plan) -> LoadWorker:
    """A worker whose window is open."""
    worker = await started(plan)
    worker.go(time.monotonic_ns())
    async for event in worker.events():
        assert isinstance(event, WindowOpened)
        break
    return worker


async def last_event(worker: LoadWorker) -> object:
    return [event async for event in worker.events()][-1]


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def until(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    return bool(condition())


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_stop_ends_a_worker_that_waits(server: HostileServer, strategy: str) -> None:
    worker = await opened(endless(server, strategy))
    assert await until(lambda: server.requests["silence"] == USERS[strategy], 5)
    async with asyncio.timeout(5):
        await worker.stop()
    assert not psutil.pid_exists(worker.pid)
    await worker.stop()


async def test_stop_goes_on_when_it_is_cancelled(server: HostileServer) -> None:
    worker = await opened(endless(server, "async"))
    os.kill(worker.pid, signal.SIGSTOP)
    stopping = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    stopping.cancel()
    assert await until(lambda: not psutil.pid_exists(worker.pid), 2)
    await worker.stop()


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_signal_that_killed_it_is_named(server: HostileServer, strategy: str) -> None:
    worker = await opened(endless(server, strategy))
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(ClientFailed, match=r"client died, signal 9 \(SIGKILL\)"):
        await anext(worker.events())
    await worker.stop()


async def test_a_worker_that_is_killed_early_is_not_ready(server: HostileServer) -> None:
    worker = await LoadWorker.start(endless(server, "async"), cores=None, environment={})
    os.kill(worker.pid, signal.SIGSEGV)
    with pytest.raises(ClientFailed, match="SIGSEGV"):
        await worker.ready()
    await worker.stop()


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_it_ends_with_its_input(server: HostileServer, strategy: str) -> None:
    """As when the parent closes the pipe, or dies where nobody tells its children."""
    worker = await opened(endless(server, strategy))
    assert await until(lambda: server.requests["silence"] > 0, 5)
    assert worker._process.stdin is not None  # noqa: SLF001 - the pipe of the parent
    worker._process.stdin.close()  # noqa: SLF001 - what the end of the parent does
    assert await until(lambda: gone(worker.pid), 1)
    await worker.stop()


PARENT = """
import asyncio, sys, time
from control_plane.load.worker_protocol import LoadPlan
from control_plane.jobs.worker_process import LoadWorker

async def main():
    worker = await LoadWorker.start(LoadPlan.read(sys.argv[1].encode()), cores=None, environment={})
    await worker.ready()
    worker.go(time.monotonic_ns())
    await anext(worker.events())
    print(worker.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_it_dies_with_its_parent(server: HostileServer, strategy: str) -> None:
    line = endless(server, strategy).line().decode()
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, line], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert await until(lambda: server.requests["silence"] > 0, 5)
        parent.kill()
        assert await until(lambda: gone(pid), 1)


async def test_a_worker_whose_alarm_rang_was_stuck(server: HostileServer) -> None:
    worker = await opened(endless(server, "async"))
    os.kill(worker.pid, signal.SIGALRM)
    with pytest.raises(ClientFailed, match="client got stuck and ended itself"):
        await anext(worker.events())
    await worker.stop()


async def test_a_worker_that_is_held_fails_in_every_phase(server: HostileServer) -> None:
    """SIGSTOP keeps its own alarm from ringing, too."""
    warming = await started(replace(endless(server, "async"), warmup_s=60))
    warming.go(time.monotonic_ns())
    measuring = await opened(endless(server, "async"))
    early = await LoadWorker.start(endless(server, "async"), cores=None, environment={})
    workers = early, warming, measuring
    for worker in workers:
        os.kill(worker.pid, signal.SIGSTOP)
    waits = early.ready(), last_event(warming), last_event(measuring)
    async with asyncio.timeout(30):
        ends = await asyncio.gather(*waits, return_exceptions=True)
    held = [f"client (process {worker.pid}) is held by a signal (SIGSTOP)" for worker in workers]
    assert list(map(str, ends)) == held
    await asyncio.gather(*(worker.stop() for worker in workers))
    assert all(gone(worker.pid) for worker in workers)


async def test_too_few_files_are_told_in_words(server: HostileServer) -> None:
    script = f"ulimit -n 100; exec {sys.executable} -P -m control_plane.load"
    plan = plan_of(server.url, load={"model": "closed", "concurrency": 500})
    process = await asyncio.create_subprocess_exec(
        *["bash", "-c", script],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    worker = LoadWorker(plan, process)
    worker._write(plan.line())  # noqa: SLF001 - as start does, but under a limit of the shell
    with pytest.raises(ClientFailed, match=r"500 connections need 564 open files.* is 100"):
        await worker.ready()
    await worker.stop()


async def test_what_it_printed_is_kept(server: HostileServer) -> None:
    worker = await LoadWorker.start(plan_of("http://["), cores=None, environment={})
    worker.go(time.monotonic_ns())
    with pytest.raises(ClientFailed, match="exit code 1") as caught:
        [event async for event in worker.events()]
    assert any("Error" in line for line in caught.value.log)
    await worker.stop()


async def test_it_runs_on_its_cores_with_its_own_environment(
    server: HostileServer, monkeypatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    core = min(os.sched_getaffinity(0))
    worker = await LoadWorker.start(
        plan_of(server.url), cores=[core], environment={"LOOPLAB_INSTANCE": "tests"}
    )
    await worker.ready()
    process = psutil.Process(worker.pid)
    assert process.cpu_affinity() == [core]
    assert process.nice() == 0
    assert process.environ()["LOOPLAB_INSTANCE"] == "tests"
    assert "http_proxy" not in process.environ()
    assert os.getsid(worker.pid) == worker.pid
    await worker.stop()
