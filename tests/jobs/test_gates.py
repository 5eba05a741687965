"""Gates that fire and gates that stay silent, on real runs that are made to show it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from control_plane.analysis.validity.client_and_machine_gates import OTHER_CPU
from control_plane.targets.observation.procfs import machine_cpu_s
from tests.builders import own
from tests.dashboard import DashboardProcess, forked_dashboard
from tests.undisturbed import judged, levels, unless_disturbed

SERVED = {"application": "bare"}
CLOCKS_S = 0.2
"""How far the clock of the machine, which counts ticks, and that of processes may be apart."""


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardProcess]:
    folder = tmp_path_factory.mktemp("gates")
    own.bare(folder)
    with forked_dashboard(folder) as started:
        yield started


def run_of(looplab: DashboardProcess, spec: dict[str, Any]) -> dict[str, Any]:
    return looplab.finished(looplab.submit(spec))


def all_ok(run: dict[str, Any], gates: set[str]) -> bool:
    return dict.fromkeys(gates, "ok").items() <= levels(run).items()


def of_one_second(
    path: str,
    users: int,
    request: dict[str, Any] | None = None,
    think_time_s: float = 0,
    **changes: Any,
) -> dict[str, Any]:
    load = {"model": "closed", "concurrency": users, "think_time_s": think_time_s}
    request = {"path": path, **(request or {})}
    stream = {"requests": [request], "load": load, "stop": {"duration_s": 1}}
    return {"target": SERVED, "workload": {"streams": [stream]}, "warmup_s": 0, **changes}


def ran(looplab: DashboardProcess, path: str, users: int, **changes: Any) -> dict[str, str]:
    """The level of each gate."""
    return levels(run_of(looplab, of_one_second(path, users, **changes)))


@contextmanager
def busy() -> Iterator[None]:
    """A process that is none of ours and never rests."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_light_load_is_silent(looplab: DashboardProcess) -> None:
    """Answers of 0.2 s leave 20 ms to be late by."""

    def silent(run: dict[str, Any]) -> bool:
        assert all_ok(run, {"errors", "client_cpu", "pool", "target_restarted"})
        return all_ok(run, {"censored", "recorder", "delayed_ack"})

    unless_disturbed(lambda: run_of(looplab, of_one_second("/wait/0.2", 2)), silent)


def test_an_open_load_on_time_is_silent(looplab: DashboardProcess) -> None:
    load = {"model": "open", "rate_per_s": 20}
    stream = {"requests": [{"path": "/wait/0.2"}], "load": load, "stop": {"duration_s": 1}}
    spec = {"target": SERVED, "workload": {"streams": [stream]}, "warmup_s": 0.5}

    def silent(run: dict[str, Any]) -> bool:
        assert all_ok(run, {"errors", "client_cpu"})
        assert {"late_send", "not_sent", "censored"} <= judged(run).keys()
        return all_ok(run, {"late_send", "not_sent", "censored"})

    unless_disturbed(lambda: run_of(looplab, spec), silent)


def test_an_address_that_is_not_there(looplab: DashboardProcess) -> None:
    assert ran(looplab, "/missing", 2, think_time_s=0.02)["errors"] == "invalid"
    forgiven = ran(looplab, "/missing", 2, think_time_s=0.02, max_error_share=1)
    assert forgiven["errors"] == "suspect"


def test_a_blocked_loop_leaves_requests_in_flight(looplab: DashboardProcess) -> None:
    assert ran(looplab, "/block/0.4", 8)["censored"] == "suspect"


def test_workers_on_asyncio_wait_for_delayed_acks(looplab: DashboardProcess) -> None:
    """Of each trial the first request is looked at, before the window in which others are seen."""
    spec = of_one_second("/null", 1, target={**SERVED, "loop": "asyncio", "workers": 2}, trials=2)

    def found(run: dict[str, Any]) -> bool:
        assert all_ok(run, {"errors", "target_restarted"})
        return levels(run).get("delayed_ack") == "suspect"

    unless_disturbed(lambda: run_of(looplab, spec), found)


def test_a_client_that_is_busy_with_itself(looplab: DashboardProcess) -> None:
    """Its one user makes up long values for most of the time, and has nothing in flight then.

    Where other programs had its processor it may not have reached its limit.
    """
    long = {f"value_{number}": {"kind": "string", "length": 10_000} for number in range(10)}
    body = {"json": {name: f"{{{name}}}" for name in long}}
    request = {"method": "POST", "values": long, "body": body}
    levels = ran(looplab, "/null", 1, request=request)
    assert levels["recorder"] == "invalid"
    assert "suspect" in (levels["client_cpu"], levels["other_load"])


def test_another_process_at_work(looplab: DashboardProcess) -> None:
    with busy():
        levels = ran(looplab, "/wait/0.2", 2)
    assert levels["other_load"] == "suspect"


def test_what_others_use_is_not_overrated(looplab: DashboardProcess) -> None:
    """In the window they use no more than in the whole run, of which this test keeps its own
    account: the machine's time without that of all that the dashboard waited for. Its own counts
    where it was much.
    """
    process = psutil.Process(looplab.process.pid)

    def of_others_s() -> float:
        machine_s = machine_cpu_s()
        assert machine_s is not None
        return machine_s - sum(process.cpu_times()[2:4])

    before_s = of_others_s()
    spec = of_one_second("/null", 4, think_time_s=0.01)
    found = judged(run_of(looplab, spec))["other_load"]
    assert found["value"] <= of_others_s() - before_s + CLOCKS_S
    assert found["level"] == ("ok" if found["value"] <= OTHER_CPU else "suspect")
