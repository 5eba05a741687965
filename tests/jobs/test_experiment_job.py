"""An experiment whose machine fails it: what is no property of an arm ends none at once."""

import socket
from pathlib import Path
from typing import Any

from control_plane.domain.run import LastRun
from control_plane.jobs import Runtime
from control_plane.jobs.experiment_job import ExperimentJob
from control_plane.jobs.run_job import RunJob
from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, BLOCKING, THREADED, decided
from tests.dashboard import BARE, TERMINAL, provide_database, until
from tests.in_process import in_process

CLASHING = """
import socket
from pathlib import Path

starts = Path("starts")
starts.open("a").write("x")
if starts.stat().st_size != 2:
    socket.create_server(("127.0.0.1", {port}))


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({{"type": kind + ".complete"}})
            if kind.endswith("shutdown"):
                return
    await send({{"type": "http.response.start", "status": 204, "headers": []}})
    await send({{"type": "http.response.body"}})
"""
"""Wants a port of its own that another program has, but for its second start."""


def test_a_block_whose_port_is_taken_is_set_aside_once(tmp_path: Path) -> None:
    """And measured again at the end; of an arm that it meets again it is the end."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        (tmp_path / "app.py").write_text(CLASHING.format(port=other.getsockname()[1]))
        config = tmp_path / "looplab.toml"
        config.write_text(f'[applications.clashing]\napp = "app:app"\ndirectory = "{tmp_path}"\n')
        found = measured(tmp_path, config)
    assert [(block["row"], block["outcome"]) for block in found["begun"]] == [
        (0, "spoiled"),
        *((row, "complete") for row in (1, 2, 3, 0)),
    ]
    (spoiled,) = found["spoiled"]
    assert spoiled["block"] == 0
    assert "kept a target from starting" in spoiled["why"]
    steady, clashing = found["runs"]
    assert (steady["state"], steady["blocks"]) == ("finished", 4)
    assert (clashing["state"], clashing["blocks"]) == ("failed", 1)
    assert clashing["reason"].startswith("start: target ended before it was ready, exit code")


def measured(folder: Path, config: Path) -> dict[str, Any]:
    stream = {
        "requests": [{"path": "/"}],
        "load": {"model": "closed", "concurrency": 1},
        "stop": {"requests": 5},
    }
    arms = [
        {"name": "steady", "spec": {"target": BARE["target"]}},
        {"name": "clashing", "spec": {"target": {"application": "clashing"}}},
    ]
    spec = {"client": BARE["client"], "workload": {"streams": [stream]}, "warmup_s": 0}
    document = {"question": "Which port?", "blocks": 4, "spec": spec, "arms": arms}
    with in_process(folder, config) as looplab:
        made = looplab.post("/api/experiments", document)
        assert made.status_code == 202, made.text
        address = f"/api/experiments/runs/{made.json()['id']}"

        def over() -> dict[str, Any] | None:
            told: dict[str, Any] = looplab.get(address).json()
            return told if told["state"] in TERMINAL else None

        # Judging an experiment takes long.
        for arm in looplab.get(address).json()["runs"]:
            looplab.until_state(arm["id"], TERMINAL)
        found: dict[str, Any] = until(over, "the experiment is over", 60, every_s=0.2)
        return found


def test_all_arms_ask_the_address_that_the_first_one_reached(tmp_path: Path) -> None:
    store = open_store(provide_database(tmp_path / "runs.db"))
    made = decided(store, "classic", (BLOCKING, THREADED, ASYNC))
    runtime = Runtime(store.instance, tmp_path, frozenset(), "normal")
    runs = [store.run(arm.run_id or "") for arm in made.arms]
    jobs = {run.id: RunJob(run, store, runtime, lambda _run: LastRun()) for run in runs}
    ExperimentJob(made, jobs, store)
    store.close()
    first, *others = jobs.values()
    first.reached["http://two.test"] = "http://127.0.0.3:80"
    assert [job.reached for job in others] == [first.reached, first.reached]
