"""The experiments that come with Looplab: listed, started once for each key, refused."""

from pathlib import Path

from control_plane.domain.limits import Limits
from tests.dashboard import Dashboard
from tests.in_process import in_process
from tests.pages.stored import words


def test_one_that_cannot_be_measured_here_says_why(tmp_path: Path) -> None:
    with in_process(tmp_path, limits=Limits(max_trials=5)) as small:
        listed = {each["slug"]: each for each in small.get("/api/experiments").json()}
        assert listed["clients"]["seconds"] is None
        assert "LOOPLAB_MAX_TRIALS" in listed["clients"]["refusal"]
        assert "Not here: " in words(small.get("/").text)
        assert small.get("/experiments").status_code == 200
        refused = small.post("/api/experiments/clients/start", {"variant": "quick"})
        assert refused.status_code == 422


def test_those_that_come_with_looplab_are_listed_and_started(looplab: Dashboard) -> None:
    listed = {each["slug"]: each for each in looplab.get("/api/experiments").json()}
    loops = listed["event-loop"]
    assert loops["arms"] == ["asyncio", "uvloop"]
    assert 0 < loops["seconds"]["quick"] < loops["seconds"]["full"]
    assert "uvloop or asyncio?" in words(looplab.get("/experiments").text)
    headers = {"Idempotency-Key": "started once"}
    made, again = (
        looplab.client.post(
            "/api/experiments/event-loop/start", json={"variant": "full"}, headers=headers
        ).json()
        for _ in range(2)
    )
    assert made == again
    address = f"/api/experiments/runs/{made['id']}"
    assert looplab.get(address).json()["design"]["blocks"] == 12
    assert looplab.post(f"{address}/cancel").json()["state"] == "cancelled"
    answer = looplab.post_form("/experiments/event-loop/start", [("variant", "quick")])
    assert answer.status_code == 303
    page = answer.headers["location"]
    assert looplab.post_form(f"{page}/cancel", []).headers["location"] == page
    noise, twice = (
        looplab.post_form("/experiments/noise-floor", [("key", "k")]).headers["location"]
        for _ in range(2)
    )
    assert noise == twice
    assert looplab.post(
        f"/api{noise.replace('experiments/', 'experiments/runs/')}/cancel"
    ).is_success
    assert looplab.post("/api/experiments/none/start", {}).status_code == 404
    assert looplab.post("/api/experiments/event-loop/start", {"variant": "x"}).status_code == 422
