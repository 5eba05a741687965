"""Signalled, stopped and hanging processes: nothing is left running, every run ends."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from tests.builders import own
from tests.dashboard import (
    BARE,
    Dashboard,
    DashboardProcess,
    dashboard,
    forked_dashboard,
    gone_within_a_second,
    items_spec,
    long_spec,
    marked,
    one_of,
    until,
    whole,
)
from tests.in_process import in_process

SERVED = {"target": {"application": "bare"}}
"""Under uvicorn; of the dashboards that have it."""
SIGNALS = ([signal.SIGTERM], [signal.SIGINT, signal.SIGINT], [signal.SIGHUP, signal.SIGTERM])


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardProcess]:
    folder = tmp_path_factory.mktemp("processes")
    own.bare(folder)
    with forked_dashboard(folder) as looplab:
        yield looplab


@pytest.fixture
def looplab(started: DashboardProcess) -> Iterator[DashboardProcess]:
    """Shared by the tests that leave it alive: after each, nothing runs and its file is whole."""
    yield started
    gone_within_a_second(started.instance)
    until(lambda: not psutil.Process(started.process.pid).children(), "all are reaped", 1.0)
    assert whole(started.db)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_signal_stops_everything_in_order(clean_after: Path) -> None:
    """However often it comes; the next start tells what became of the run.

    The first is one that was executed, because a forked one ends without its interpreter's end.
    """
    interrupted: list[str] = []
    own.bare(clean_after)
    for signals in SIGNALS:
        start = forked_dashboard if interrupted else dashboard
        with start(clean_after) as looplab:
            assert_interrupted(looplab, interrupted)
            run_id = looplab.submit(long_spec(**(BARE if interrupted else SERVED)))
            looplab.until_state(run_id, {"running"})
            assert_stops(looplab, signals)
            gone_within_a_second(looplab.instance)
        interrupted.append(run_id)
    with in_process(clean_after) as again:
        assert_interrupted(again, interrupted)


def assert_stops(looplab: DashboardProcess, signals: Sequence[int]) -> None:
    with open_answers(looplab, 50):
        begun = time.monotonic()
        for number in signals:
            looplab.process.send_signal(number)
        assert looplab.process.wait(timeout=8) == 0
        assert time.monotonic() - begun <= 5


def assert_interrupted(looplab: Dashboard, run_ids: Sequence[str]) -> None:
    told = "interrupted", "Looplab was stopped in trial 1 of 1"
    for run in map(looplab.run, run_ids):
        assert (run["state"], run["reason"]) == told


@contextmanager
def open_answers(looplab: DashboardProcess, count: int) -> Iterator[None]:
    """Connections that stay open, with half a request sent."""

    parts = urlsplit(looplab.url)
    sockets = [socket.create_connection((parts.hostname, parts.port)) for _ in range(count)]
    for sock in sockets:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    try:
        yield
    finally:
        for sock in sockets:
            sock.close()


@pytest.mark.parametrize("victim", ["guard", "server", "client"])
def test_kill_a_part_of_a_run(looplab: DashboardProcess, victim: str) -> None:
    run_id = looplab.submit(long_spec(**SERVED))
    looplab.until_state(run_id, {"running"})
    one_of(looplab, victim).kill()
    run = looplab.until_state(run_id, {"failed", "finished"}, 10)
    expected = "client died" if victim == "client" else "target died"
    assert run["state"] == "failed"
    assert expected in run["reason"]
    looplab.finished(looplab.submit(items_spec(**BARE)))
    until(lambda: not marked(looplab.instance), "nothing of the run is left", 2.0)


def test_a_stopped_target_does_not_hold_the_run(looplab: DashboardProcess) -> None:
    """One stream by requests is enough for that, whatever runs beside it."""
    spec = items_spec(timeout_s=0.5, **SERVED)
    (stream,) = spec["workload"]["streams"]
    beside = {**stream, "name": "beside", "stop": {"duration_s": 60}}
    counted = {**stream, "name": "counted", "stop": {"requests": 10_000_000}}
    spec["workload"]["streams"] = [counted, beside]
    run_id = looplab.submit(spec)
    looplab.until_state(run_id, {"running"})
    one_of(looplab, "server").send_signal(signal.SIGSTOP)
    run = looplab.until_state(run_id, {"failed"}, 15)
    assert "stopped answering" in run["reason"]
    assert "in stream counted" in run["reason"]


def test_a_target_that_exits_fails_the_run(looplab: DashboardProcess) -> None:
    run_id = looplab.submit(long_spec(**SERVED))
    looplab.until_state(run_id, {"running"})
    one_of(looplab, "server").send_signal(signal.SIGTERM)
    run = looplab.until_state(run_id, {"failed"}, 10)
    assert "target" in run["reason"]


@pytest.mark.parametrize("state", ["starting", "warming", "running"])
def test_cancel_within_two_seconds(looplab: DashboardProcess, state: str) -> None:
    run_id = looplab.submit(long_spec(warmup_s=30 if state == "warming" else 0, **BARE))
    looplab.until_state(run_id, {state})
    begun = time.monotonic()
    run = looplab.post(f"/api/runs/{run_id}/cancel").json()
    assert run["state"] == "cancelled"
    assert time.monotonic() - begun <= 2
    assert marked(looplab.instance) == []


def test_a_control_plane_that_slept_goes_on(looplab: DashboardProcess) -> None:
    spec = items_spec(**BARE)
    (stream,) = spec["workload"]["streams"]
    stream["stop"], stream["load"]["think_time_s"] = {"duration_s": 1.5}, 0.02
    run_id = looplab.submit(spec)
    looplab.until_state(run_id, {"running"})
    process = psutil.Process(looplab.process.pid)
    process.suspend()
    until(lambda: not any(is_client(child) for child in process.children()), "client is done", 15)
    process.resume()
    looplab.until_state(run_id, {"finished", "failed"}, 20)


def is_client(process: psutil.Process) -> bool:
    try:
        alive = process.status() != psutil.STATUS_ZOMBIE
        return alive and any("control_plane.load" in word for word in process.cmdline())
    except psutil.Error:
        return False


def test_a_failed_start_shows_the_reason(looplab: DashboardProcess) -> None:
    """The bundled application cannot start when its threads cannot be read."""
    dead = f"http://127.0.0.1:{unused_port()}"
    run = looplab.until_state(looplab.submit(items_spec(target={"url": dead})), {"failed"}, 30)
    assert dead.removeprefix("http://") in run["reason"]


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_the_second_start_on_one_file_names_the_first(looplab: DashboardProcess) -> None:
    second = start_again(looplab.db.parent)
    assert second.returncode == 3
    assert str(looplab.process.pid) in second.stderr
    assert looplab.url in second.stderr
    assert second.stderr.count("\n") == 1


def start_again(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Executed, because how it ends is the point."""
    command = [sys.executable, "-m", "control_plane", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=20, check=False
    )


def test_a_taken_port_names_its_owner(
    looplab: DashboardProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    port = looplab.url.rpartition(":")[2]
    other = start_again(tmp_path_factory.mktemp("other"), "--port", port)
    assert other.returncode == 2
    assert looplab.url in other.stderr
    assert other.stderr.count("\n") == 1
