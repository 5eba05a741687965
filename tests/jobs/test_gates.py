"""Gates that fire and gates that stay silent, on real runs that are made to show it.

Little's law cannot be broken from outside: a load worker that is stopped still has its requests in
flight, and their time counts. Its limits are shown by a table of the room `analysis`.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.dashboard import Dashboard, dashboard


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("gates"), [], {}) as started:
        yield started


def ran(looplab: Dashboard, path: str, users: int, **changes: Any) -> dict[str, str]:
    """The level of each gate that was judged in a run of one second."""
    load = {"model": "closed", "concurrency": users, **changes.pop("load", {})}
    stream = {"requests": [{"path": path}], "load": load, "stop": {"duration_s": 1}}
    spec = {"workload": {"streams": [stream]}, "warmup_s": 0, **changes}
    run = looplab.finished(looplab.submit(spec))
    return {one["gate"]: one["level"] for one in run["validity"]["judged"]}


@contextmanager
def busy() -> Iterator[None]:
    """A process that is none of ours and never rests."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_a_light_load_is_silent(looplab: Dashboard) -> None:
    """Answers of 0.2 s leave 20 ms to be late by."""
    levels = ran(looplab, "/movies/1", 2)
    gates = ("errors", "client_cpu", "censored", "recorder", "pool", "delayed_ack")
    assert {gate: levels[gate] for gate in gates} == dict.fromkeys(gates, "ok")
    assert levels["target_restarted"] == "ok"


def test_an_open_load_on_time_is_silent(looplab: Dashboard) -> None:
    load = {"model": "open", "rate_per_s": 20}
    stream = {"requests": [{"path": "/movies/1"}], "load": load, "stop": {"duration_s": 1}}
    run = looplab.finished(looplab.submit({"workload": {"streams": [stream]}, "warmup_s": 0.5}))
    levels = {one["gate"]: one["level"] for one in run["validity"]["judged"]}
    assert (levels["late_send"], levels["not_sent"], levels["censored"]) == ("ok", "ok", "ok")


def test_an_address_that_is_not_there(looplab: Dashboard) -> None:
    assert ran(looplab, "/missing", 2)["errors"] == "invalid"
    assert ran(looplab, "/missing", 2, max_error_share=1)["errors"] == "suspect"


def test_a_blocked_loop_leaves_requests_in_flight(looplab: Dashboard) -> None:
    assert ran(looplab, "/blocking-delay/0.4", 8)["censored"] == "suspect"


def test_workers_on_asyncio_wait_for_delayed_acks(looplab: Dashboard) -> None:
    levels = ran(looplab, "/null", 1, target={"loop": "asyncio", "workers": 2})
    assert levels["delayed_ack"] == "suspect"


def test_a_slow_client_on_a_quick_target(looplab: Dashboard) -> None:
    """Where other programs had its processor it may not have reached its limit."""
    levels = ran(looplab, "/null", 32, client={"strategy": "httpx"})
    assert "suspect" in (levels["client_cpu"], levels["other_load"])


def test_another_process_at_work(looplab: Dashboard) -> None:
    with busy():
        levels = ran(looplab, "/movies/1", 2)
    assert levels["other_load"] == "suspect"
