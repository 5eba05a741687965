"""A control plane that is killed: nothing is left running, nothing finished is lost."""

import random
import time
from pathlib import Path

import pytest

from tests.dashboard import dashboard, gone_within_a_second, items_spec, long_spec

CYCLES = 20


@pytest.mark.parametrize("state", ["queued", "starting", "warming", "running"])
def test_kill_the_control_plane_in_each_state(clean_after: Path, state: str) -> None:
    with dashboard(clean_after) as looplab:
        finished = looplab.submit(items_spec(title="kept"))
        before = looplab.finished(finished)
        if state == "queued":
            looplab.submit(long_spec())
        run_id = looplab.submit(long_spec(warmup_s=30 if state == "warming" else 0.1))
        looplab.until_state(run_id, {state})
        looplab.kill()
        gone_within_a_second(looplab.instance)
    with dashboard(clean_after) as again:
        run = again.run(run_id)
        assert run["state"] == "interrupted"
        assert run["reason"]
        assert again.run(finished) == before


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kill_the_control_plane_at_random_moments(clean_after: Path) -> None:
    """Runs that were acknowledged as finished stay, byte for byte; no other run stays open."""
    chance = random.Random(20)
    finished: dict[str, bytes] = {}
    for cycle in range(CYCLES):
        with dashboard(clean_after) as looplab:
            for run_id, body in finished.items():
                assert looplab.get(f"/api/runs/{run_id}").content == body
            listed = looplab.get("/api/runs?limit=200").json()["runs"]
            assert {run["state"] for run in listed} <= {"finished", "interrupted"}
            made = [looplab.submit(items_spec(trials=2)) for _ in range(3)]
            if cycle == 0:
                looplab.finished(made[0])
            deadline = time.monotonic() + chance.uniform(0.1, 3.0)
            while time.monotonic() < deadline:
                finished |= {
                    run_id: looplab.get(f"/api/runs/{run_id}").content
                    for run_id in made
                    if looplab.run(run_id)["state"] == "finished"
                }
            looplab.kill()
            gone_within_a_second(looplab.instance)
    assert finished
