"""A control plane that is killed again and again: what it acknowledged as finished is kept."""

import random
import time
from pathlib import Path

import pytest

from tests.dashboard import BARE, forked_dashboard, gone_within_a_second, items_spec

CYCLES = 5
LATEST_S = 1.2
"""By then the first run has finished on a quiet machine, and the second one has begun."""
LOOK_S = 0.05


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kill_the_control_plane_at_random_moments(clean_after: Path) -> None:
    """Runs that were acknowledged as finished stay, byte for byte; no other run stays open."""
    chance = random.Random(20)
    finished: dict[str, bytes] = {}
    for cycle in range(CYCLES):
        with forked_dashboard(clean_after) as looplab:
            for run_id, body in finished.items():
                assert looplab.get(f"/api/runs/{run_id}").content == body
            listed = looplab.get("/api/runs?limit=200").json()["runs"]
            assert {run["state"] for run in listed} <= {"finished", "interrupted"}
            made = [looplab.submit(items_spec(trials=2, **BARE)) for _ in range(3)]
            if cycle == 0:
                looplab.finished(made[0])
            deadline = time.monotonic() + chance.uniform(0.1, LATEST_S)
            while time.monotonic() < deadline:
                finished |= {
                    run_id: looplab.get(f"/api/runs/{run_id}").content
                    for run_id in made
                    if looplab.run(run_id)["state"] == "finished"
                }
                time.sleep(LOOK_S)
            looplab.kill()
            gone_within_a_second(looplab.instance)
    assert finished
