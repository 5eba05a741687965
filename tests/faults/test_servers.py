"""A worker dies while a run measures: with each server the run says so, and nothing is left."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import psutil
import pytest

from control_plane.domain.spec import Target
from control_plane.targets.configurations import BUILTIN_CONFIGURATIONS
from tests.dashboard import DashboardProcess, forked_dashboard, items_spec, marked, until

REPLACES = {"uvicorn", "gunicorn"}
"""Servers whose master starts another worker for one that died; the others end."""
TWO_WORKERS = [
    configuration.target
    for configuration in BUILTIN_CONFIGURATIONS
    if configuration.target.workers == 2
    and not (configuration.target.server == "gunicorn" and configuration.target.reuse_port)
]


def name(target: Target) -> str:
    return "-".join(filter(None, (target.server, target.worker)))


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardProcess]:
    with forked_dashboard(tmp_path_factory.mktemp("servers")) as started:
        yield started


def measuring(looplab: DashboardProcess, target: Target) -> str:
    """The id of a run that lasts a little, and leaves most of the machine to others, once it has
    begun to measure."""
    spec = items_spec(target=asdict(target))
    (stream,) = spec["workload"]["streams"]
    stream["stop"], stream["load"]["think_time_s"] = {"duration_s": 1.5}, 0.01
    run_id = looplab.submit(spec)
    looplab.until_state(run_id, {"running"})
    return run_id


def worker(looplab: DashboardProcess) -> psutil.Process:
    """The process of the target that worked most."""

    def found() -> psutil.Process | None:
        guard = next(
            child for child in psutil.Process(looplab.process.pid).children() if is_guard(child)
        )
        (master,) = guard.children()
        below = master.children(recursive=True)
        worked = [(sum(process.cpu_times()[:2]), process.pid) for process in below]
        return psutil.Process(max(worked)[1]) if len(worked) >= 2 else None

    process: psutil.Process = until(found, "the workers work")
    return process


def is_guard(process: psutil.Process) -> bool:
    return any(word.endswith("guard.py") for word in process.cmdline())


def over(looplab: DashboardProcess, run_id: str) -> dict[str, Any]:
    run = looplab.until_state(run_id, {"finished", "failed"}, 30)
    until(lambda: not marked(looplab.instance), "nothing of the target is left", 1.5)
    return run


def test_every_server_is_tried() -> None:
    assert {name(target) for target in TWO_WORKERS} == {
        "uvicorn", "gunicorn-uvicorn_worker", "gunicorn-asgi", "hypercorn", "granian",
    }  # fmt: skip


@pytest.mark.parametrize("target", TWO_WORKERS, ids=name)
def test_a_worker_that_dies_is_told(looplab: DashboardProcess, target: Target) -> None:
    run_id = measuring(looplab, target)
    worker(looplab).kill()
    run = over(looplab, run_id)
    if target.server in REPLACES:
        assert run["state"] == "finished", run["reason"]
        fired = {reason["gate"]: reason["text"] for reason in run["validity"]["reasons"]}
        assert run["validity"]["outcome"] == "invalid"
        assert "1 worker of the target died" in fired["target_restarted"]
    else:
        assert run["state"] == "failed"
        assert run["reason"].startswith("target "), run["reason"]
