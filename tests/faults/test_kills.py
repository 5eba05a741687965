"""A control plane that is killed: nothing is left running, nothing finished is lost."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
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
    until,
)
from tests.in_process import in_process
from tests.pages.form_page import form_of_page, send

HANGING = """#!/bin/sh
setsid sh -c 'trap "" TERM; sleep 300' &
sh -c 'touch asked; sleep 300'
"""
"""For an interpreter: it leaves a daemon, and is itself no more than the parent of what hangs."""
SILENT = """
import asyncio
from pathlib import Path


async def app(scope, receive, send):
    if scope["path"] == "/openapi.json":
        Path("asked").touch()
        await asyncio.sleep(300)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_kill_the_control_plane_in_each_state(clean_after: Path) -> None:
    """The next start tells that the run was interrupted, and has what was finished before.

    The one that is killed while its target starts was executed, as users start it.
    """
    cut: list[str] = []
    before: dict[str, Any] = {}
    for state in ("queued", "starting", "warming", "running"):
        start = dashboard if state == "starting" else forked_dashboard
        with start(clean_after) as looplab:
            assert_kept(looplab, before, cut)
            if not before:
                before = looplab.finished(looplab.submit(items_spec(title="kept", **BARE)))
            if state == "queued":
                cut.append(looplab.submit(long_spec(**BARE)))
            target = {} if state == "starting" else BARE
            warmup_s = 30 if state == "warming" else 0.1
            cut.append(looplab.submit(long_spec(warmup_s=warmup_s, **target)))
            looplab.until_state(cut[-1], {state})
            looplab.kill()
            gone_within_a_second(looplab.instance)
    with in_process(clean_after) as again:
        assert_kept(again, before, cut)


def assert_kept(looplab: Dashboard, before: dict[str, Any], cut: list[str]) -> None:
    assert not before or looplab.run(before["id"]) == before
    for run in map(looplab.run, cut):
        assert run["state"] == "interrupted"
        assert run["reason"]


def check(looplab: DashboardProcess, name: str) -> None:
    looplab.post(f"/targets/applications/{name}/checkup")


def read(looplab: DashboardProcess, name: str) -> None:
    form = form_of_page(looplab.get(f"/runs/new?application={name}").text, "/runs")
    send(looplab, "/runs/new/offer", form)


@pytest.mark.parametrize(("ask", "name"), [(check, "hangs"), (read, "hangs"), (read, "silent")])
def test_kill_the_control_plane_while_it_asks_an_application(
    clean_after: Path, ask: Callable[[DashboardProcess, str], None], name: str
) -> None:
    """While its interpreter tells what it has, and while it makes its OpenAPI document."""
    hanging = clean_after / "python"
    hanging.write_text(HANGING.replace("touch ", f"touch {clean_after}/"))
    hanging.chmod(0o700)
    (clean_after / "silent.py").write_text(SILENT)
    (clean_after / "looplab.toml").write_text(
        own.entry("hangs", python="python") + "[applications.silent]\napp = 'silent:app'\n"
    )
    with forked_dashboard(clean_after) as looplab:
        asking = threading.Thread(target=unheard, args=(ask, looplab, name))
        asking.start()
        until((clean_after / "asked").exists, "it is asked")
        assert len(marked(looplab.instance)) >= 2
        looplab.kill()
        gone_within_a_second(looplab.instance)
        asking.join()


def unheard(
    ask: Callable[[DashboardProcess, str], None], looplab: DashboardProcess, name: str
) -> None:
    with suppress(httpx2.TransportError):
        ask(looplab, name)


def test_experiments_that_are_killed_are_paused_and_go_on(clean_after: Path) -> None:
    """One that waits and one in a block: complete blocks stay, and those in progress are gone."""
    stream = {
        "requests": [{"path": "/"}],
        "load": {"model": "closed", "concurrency": 1},
        "stop": {"requests": 200},
    }
    common = {**BARE, "workload": {"streams": [stream]}, "warmup_s": 0}
    arms = [{"name": name, "spec": {"client": {"loop": name}}} for name in ("uvloop", "asyncio")]
    document = {"question": "Which loop?", "blocks": 50, "spec": common, "arms": arms}
    with forked_dashboard(clean_after) as looplab:
        first, second = (looplab.post("/api/experiments", document).json() for _ in range(2))
        address = f"/api/experiments/runs/{first['id']}"
        looplab.until_blocks(first["id"], 1)
        looplab.kill()
        gone_within_a_second(looplab.instance)
    with in_process(clean_after) as again:
        assert_paused(again.get(address).json(), sessions=1, blocks=1)
        assert_paused(again.get(f"/api/experiments/runs/{second['id']}").json(), 0, 0)
        assert again.get(first["url"]).status_code == 200
        assert again.post(f"{address}/resume").json()["state"] in {"queued", "running"}
        until(lambda: again.get(address).json()["sessions"] == 2, "it goes on", 60, every_s=0.2)
        assert again.post(f"{address}/cancel").json()["state"] == "cancelled"


def assert_paused(found: dict[str, Any], sessions: int, blocks: int) -> None:
    assert (found["state"], found["sessions"]) == ("paused", sessions)
    assert {arm["state"] for arm in found["runs"]} == {"paused"}
    assert found["blocks"] >= blocks
    assert {arm["blocks"] for arm in found["runs"]} == {found["blocks"]}
    outcomes = [block["outcome"] for block in found["begun"]]
    assert (outcomes.count("complete"), outcomes.count("begun")) == (found["blocks"], 0)
    assert found["discarded"] == outcomes.count("discarded")
