"""Targets on other machines: refused at each entry, unless the settings allow them with a login.

No run of these tests begins: the queue takes none. No name is looked up.
"""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control_plane.app import create_app
from control_plane.dashboard_server import asked_token
from control_plane.domain.errors import InvalidInput, SettingsError
from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec
from control_plane.domain.target_addresses import allowed_target
from control_plane.jobs import recover
from control_plane.local_dashboard import LocalDashboard
from control_plane.settings import Settings
from control_plane.store.store import open_store
from tests.builders.runs import BLOCKED, finished
from tests.dashboard import Dashboard, items_spec, provide_database
from tests.in_process import in_process
from tests.pages.form_page import Pairs, changed, form_of_page, send, wrong
from tests.pages.stored import words

ALLOWED = "http://bench.test:8000"
OTHER = "http://bench.test:8001"
LIMITS = Limits(max_queue=0, allowed_targets=(allowed_target("bench.test:8000"),))


def spec_for(url: str) -> dict[str, Any]:
    return items_spec(target={"url": url}, trials=3)


def form_for(looplab: Dashboard, url: str) -> Pairs:
    pairs = form_of_page(looplab.get("/runs/new").text, "/runs")
    return changed(pairs, target="url", target__url=url)


@pytest.fixture(scope="module")
def open_to_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with in_process(tmp_path_factory.mktemp("allowed"), limits=LIMITS) as looplab:
        yield looplab


@pytest.mark.parametrize(("url", "status"), [(OTHER, 422), (ALLOWED, 429)])
def test_each_entry_takes_what_is_allowed_alone(
    open_to_one: Dashboard, url: str, status: int
) -> None:
    """The full queue refuses what the field does not."""
    clients = ("raw", "httpx")
    arms = [{"name": name, "spec": {"client": {"strategy": name}}} for name in clients]
    document = {"question": "Which?", "spec": spec_for(url), "arms": arms}
    for path, body, field in (
        ("/api/runs", spec_for(url), "target.url"),
        ("/api/experiments", document, "arms.0.spec.target.url"),
    ):
        answer = open_to_one.post(path, body)
        assert answer.status_code == status
        fields = [error["field"] for error in answer.json()["fields"]]
        assert fields[:1] == ([field] if status == 422 else [])
    answer = send(open_to_one, "/runs", form_for(open_to_one, url))
    assert answer.status_code == status
    assert ("target.url" in wrong(answer.text)) == (status == 422)
    text = json.dumps(spec_for(url))
    assert send(open_to_one, "/runs/spec", [("spec", text)]).status_code == status


def test_the_plan_says_in_red_who_is_asked_and_how_much(open_to_one: Dashboard) -> None:
    pairs = changed(form_for(open_to_one, ALLOWED), trials="4", stream__stop__duration_s="5")
    said = words(send(open_to_one, "/runs/new/plan", pairs).text)
    assert f"{ALLOWED} is another machine: it gets 64 users for 5 s, 4 times" in said
    here = changed(pairs, target__url="http://127.0.0.1:9000")
    assert "another machine" not in words(send(open_to_one, "/runs/new/plan", here).text)


def test_a_pasted_address_is_the_target_where_it_may_be_asked(open_to_one: Dashboard) -> None:
    for url, filled in ((OTHER, "bundled"), (ALLOWED, "url")):
        pairs = form_of_page(open_to_one.get("/runs/new").text, "/runs")
        pasted = [*changed(pairs, target="bundled"), ("paste", f"curl {url}/items")]
        page = send(open_to_one, "/runs/new/pasted", pasted).text
        assert (url in dict(form_of_page(page, "/runs"))["target.url"]) == (filled == "url")


def test_a_run_is_not_begun_again_once_that_is_not_allowed_any_more(tmp_path: Path) -> None:
    store = open_store(provide_database(tmp_path / "runs.db"))
    run_id = finished(store, read_spec(spec_for(ALLOWED), LIMITS), BLOCKED).id
    store.close()
    with in_process(tmp_path, limits=Limits(max_queue=0)) as looplab:
        assert looplab.get(f"/runs/{run_id}").status_code == 200
        answer = send(looplab, f"/runs/{run_id}/again", [])
        assert answer.status_code == 422
        assert "bench.test is not on this machine" in answer.text


def test_the_command_line_refuses_it_before_there_is_a_database(tmp_path: Path) -> None:
    settings = Settings(db=tmp_path / "runs.db", limits=LIMITS)
    with asyncio.Runner() as runner:
        here = LocalDashboard(settings, runner)
        with pytest.raises(InvalidInput, match=r"bench\.test is not on this machine"):
            here.submit(spec_for(OTHER))
        here.close()
    assert not settings.db.exists()


def test_without_a_login_nothing_is_allowed(tmp_path: Path) -> None:
    settings = Settings(db=provide_database(tmp_path / "runs.db"), limits=LIMITS)
    token, reason = asked_token(settings)
    assert token
    assert "LOOPLAB_ALLOWED_TARGETS" in reason
    store = open_store(settings.db)
    runtime = recover(store, {settings.port}, "normal")
    with pytest.raises(SettingsError, match="takes a login"):
        create_app(settings, store, runtime)
    store.close()
