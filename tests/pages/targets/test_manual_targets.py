"""Targets started by hand: seen, stopped, out of the way of a run, and never left behind."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import requests

from control_plane.targets.configurations import BUILTIN_CONFIGURATIONS
from tests.dashboard import BARE, Dashboard, forked_dashboard, items_spec, long_spec, marked, until
from tests.html import read_html
from tests.pages.form_page import send

ONE, OTHER, THIRD = (configuration.name for configuration in BUILTIN_CONFIGURATIONS[:3])
TWO = next(
    configuration.name
    for configuration in BUILTIN_CONFIGURATIONS
    if configuration.target.workers == 2
)


@pytest.fixture
def looplab(empty: Dashboard) -> Iterator[Dashboard]:
    yield empty
    for name in running(empty):
        stop(empty, name)


def start(looplab: Dashboard, name: str) -> httpx2.Response:
    """A slow machine may answer before the target is ready."""
    answer = send(looplab, "/targets/start", [("name", name)])
    until(lambda: "starting…" not in looplab.get("/targets/by-hand").text, "it has started")
    return answer


def stop(looplab: Dashboard, name: str) -> httpx2.Response:
    return send(looplab, "/targets/stop", [("name", name)])


def running(looplab: Dashboard) -> list[str]:
    """Those that can be stopped."""
    buttons = read_html(looplab.get("/targets/by-hand").text).by_role("button")
    return [name.removeprefix("Stop ") for name in (button.name for button in buttons)
            if name.startswith("Stop ")]  # fmt: skip


def addresses(looplab: Dashboard) -> list[str]:
    links = read_html(looplab.get("/targets").text).by_id("by-hand").by_role("link", "/docs")
    return [link.attributes["href"].removesuffix("/docs") for link in links]


def answers(address: str) -> bool:
    try:
        return requests.get(f"{address}/ping", timeout=5).json() == {"ping": "pong"}
    except requests.ConnectionError:
        return False


def test_it_is_shown_until_it_is_stopped(looplab: Dashboard) -> None:
    assert start(looplab, ONE).headers["location"] == "/targets#by-hand"
    (address,) = addresses(looplab)
    assert answers(address)
    part = read_html(looplab.get("/targets/by-hand").text)
    assert part.by_role("heading", ONE)
    assert re.search(r"pid \d+, started ", part.text)
    assert "Uvicorn running on" in part.text
    assert start(looplab, ONE).status_code == 409
    assert stop(looplab, ONE).status_code == 303
    assert not answers(address)
    assert "stopped by hand" in looplab.get("/targets").text
    assert stop(looplab, ONE).status_code == 409


def test_a_run_stops_it_and_says_so(looplab: Dashboard) -> None:
    start(looplab, ONE)
    start(looplab, TWO)
    found = addresses(looplab)
    assert len(found) == 2
    run = looplab.finished(looplab.submit(items_spec(**BARE)))
    assert run["environment"]["stopped_before"] == [ONE, TWO]
    assert "Stopped before it, started by hand" in looplab.get(f"/runs/{run['id']}").text
    assert f"stopped because run {run['id']} began" in looplab.get("/targets").text
    assert not any(answers(address) for address in found)
    second = looplab.finished(looplab.submit(items_spec(**BARE)))
    assert "stopped_before" not in second["environment"]


def test_none_starts_while_a_run_measures(looplab: Dashboard) -> None:
    run_id = looplab.submit(long_spec(**BARE))
    looplab.until_state(run_id, {"running"})
    refused = start(looplab, ONE)
    assert refused.status_code == 409
    assert "start the target after it" in refused.text
    looplab.post(f"/api/runs/{run_id}/cancel")
    assert start(looplab, ONE).status_code == 303


@pytest.mark.parametrize("gently", [True, False], ids=["SIGTERM", "kill -9"])
def test_it_ends_with_the_dashboard(tmp_path: Path, gently: bool) -> None:
    with forked_dashboard(tmp_path) as looplab:
        start(looplab, ONE)
        instance = looplab.instance
        assert len(marked(instance)) >= 3
        if gently:
            looplab.stop()
        else:
            looplab.kill()
        until(lambda: not marked(instance), "nothing is left", 1.0)


def test_what_is_wrong_starts_nothing(looplab: Dashboard) -> None:
    assert start(looplab, "nothing").status_code == 422
    assert stop(looplab, "nothing").status_code == 404
    assert looplab.get("/targets/start").status_code in {404, 405}
    for name in (ONE, OTHER, THIRD):
        assert start(looplab, name).status_code == 303
    assert start(looplab, TWO).status_code == 409
    other = {"Origin": "http://other.example", "Sec-Fetch-Site": "cross-site"}
    forged = looplab.post_form("/targets/stop", [("name", ONE)], headers=other)
    assert forged.status_code == 403
    assert len(addresses(looplab)) == 3
