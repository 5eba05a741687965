"""Targets on other machines: refused at each entry, unless the settings allow them with a login.

No run elsewhere begins in these tests: the queue takes none, or holds it. No name is looked up.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control_plane.app import create_app
from control_plane.cli_options import tell_load_elsewhere
from control_plane.dashboard_server import asked_token
from control_plane.domain.errors import InvalidInput, SettingsError
from control_plane.domain.experiment import read_experiment
from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec
from control_plane.domain.target_addresses import allowed_target
from control_plane.jobs import recover
from control_plane.local_dashboard import LocalDashboard
from control_plane.settings import Settings
from control_plane.store.bundles import write_bundle
from control_plane.store.store import Draft, open_store
from tests.builders.runs import ASYNC, BLOCKED, finished, led
from tests.dashboard import BARE, Dashboard, items_spec, long_spec, provide_database
from tests.html import read_html
from tests.in_process import in_process
from tests.pages.form_page import Pairs, changed, form_of_page, send
from tests.pages.stored import words

ALLOWED = "http://bench.test:8000"
OTHER = "http://bench.test:8001"
LIMITS = Limits(max_queue=0, allowed_targets=(allowed_target("bench.test:8000"),))
ARMS = [{"name": name, "spec": {"client": {"strategy": name}}} for name in ("raw", "httpx")]
EXPERIMENT = {"question": "Which?", "arms": ARMS, "blocks": 4}


def spec_for(url: str) -> dict[str, Any]:
    return items_spec(target={"url": url}, trials=3)


def told_of(url: str) -> str:
    return f"{url} is another machine: it gets 4 users for 200 requests, 3 times, each after 0.1 s"


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
    """The full queue refuses what the field does not; what is taken is asked back first."""
    document = {**EXPERIMENT, "spec": spec_for(url)}
    for path, body, field in (
        ("/api/runs", spec_for(url), "target.url"),
        ("/api/experiments", document, "arms.0.spec.target.url"),
    ):
        answer = open_to_one.post(path, body)
        assert answer.status_code == status
        fields = [error["field"] for error in answer.json()["fields"]]
        assert fields[:1] == ([field] if status == 422 else [])
    for path, pairs in (
        ("/runs", form_for(open_to_one, url)),
        ("/runs/spec", [("spec", json.dumps(spec_for(url)))]),
    ):
        answer = send(open_to_one, path, pairs)
        if status == 429:
            assert (answer.status_code, "Nothing was started yet" in answer.text) == (409, True)
            agreed = {"name": "agreed", "form": "spec-form" if "spec" in path else "new-run"}
            (told,) = [
                field.attributes["value"]
                for field in read_html(answer.text).all("input")
                if agreed.items() <= field.attributes.items()
            ]
            assert f"{url} is another machine: it gets " in told
            answer = send(open_to_one, path, [*pairs, ("agreed", told)])
        assert answer.status_code == status
        assert ("is allowed at port 8000, not 8001" in answer.text) == (status == 422)


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


def test_each_page_says_who_would_be_asked_again_and_how_much(tmp_path: Path) -> None:
    store = open_store(provide_database(tmp_path / "runs.db"))
    specs = [
        read_spec(spec_for(ALLOWED) | {"client": {"strategy": strategy}}, LIMITS)
        for strategy in ("raw", "httpx")
    ]
    runs = [finished(store, spec, ASYNC).id for spec in specs]
    store.pin(runs[0], "release 2.3")
    submitted = read_experiment({**EXPERIMENT, "spec": spec_for(ALLOWED)})
    drafts = [(arm.name, Draft(replace(specs[0], trials=4), ALLOWED)) for arm in submitted.arms]
    made = store.add_experiment(submitted.question, submitted.design, drafts, 100)
    for arm in made.arms:
        led(store, store.run(arm.run_id or ""), ASYNC)
    store.close()
    with in_process(tmp_path, limits=LIMITS) as looplab:
        assert told_of(ALLOWED) in words(looplab.get(f"/runs/{runs[0]}").text)
        compared = words(looplab.get(f"/compare?runs={','.join(runs)}").text)
        # Two arms of 10 blocks, two of which may be measured again, and the burnt trial: once
        # beside Refresh of the pin, once beside the experiment over these runs.
        assert compared.count(f"{ALLOWED} is another machine") == 2
        assert compared.count("4 users for 200 requests, at most 25 times") == 2
        shown = words(looplab.get(f"/experiments/{made.id}").text)
        assert "4 users for 200 requests, at most 11 times" in shown
        for path in (f"/runs/{runs[0]}.html", f"/experiments/{made.id}.html"):
            assert "is another machine" not in looplab.get(path).text


def test_a_repeat_says_so_before_its_button(open_to_one: Dashboard, tmp_path: Path) -> None:
    store = open_store(provide_database(tmp_path / "theirs.db"))
    theirs = finished(store, read_spec(items_spec(trials=3, title="theirs"), LIMITS), ASYNC).id
    store.close()
    write_bundle(tmp_path / "theirs.db", tmp_path / "theirs.looplab", [theirs])
    bundle = (tmp_path / "theirs.looplab").read_bytes()
    taken = open_to_one.client.post("/api/import", content=bundle)
    assert taken.status_code == 200, taken.text
    page = read_html(open_to_one.get(f"/repeat/{theirs}?url.0={ALLOWED}").text)
    (red,) = [each for each in page.all("p") if each.attributes.get("class") == "load-elsewhere"]
    assert told_of(ALLOWED) in red.text
    body = {"serve": {"bundled": {"url": ALLOWED}}}
    planned = open_to_one.post(f"/api/repeats/{theirs}", body).json()
    assert [told_of(ALLOWED) in line for line in planned["elsewhere"]] == [True]
    assert open_to_one.post(f"/api/repeats/{theirs}", {}).json()["elsewhere"] == []


def test_the_api_says_so_in_what_it_answers(tmp_path: Path) -> None:
    """The first run keeps the others in the queue, until they are cancelled."""
    with in_process(tmp_path, limits=replace(LIMITS, max_queue=9)) as looplab:
        first = looplab.submit(long_spec(**BARE))
        looplab.until_state(first, {"running"})
        run = looplab.post("/api/runs", spec_for(ALLOWED)).json()
        experiment = {**EXPERIMENT, "spec": spec_for(ALLOWED)}
        made = looplab.post("/api/experiments", experiment).json()
        here = looplab.post("/api/runs", items_spec()).json()
        assert [told_of(ALLOWED) in line for line in run["elsewhere"]] == [True]
        assert ["at most 11 times" in line for line in made["elsewhere"]] == [True]
        assert here["elsewhere"] == []
        address = f"/api/experiments/runs/{made['id']}"
        assert looplab.post(f"{address}/cancel").is_success
        shown = looplab.get(f"{address}/confirm?blocks=6").json()
        again = looplab.post(f"{address}/confirm", {"blocks": 6}).json()
        assert [f"{ALLOWED} is another machine" in line for line in again["elsewhere"]] == [True]
        assert ["at most 15 times" in line for line in again["elsewhere"]] == [True]
        # What is shown can be handed in as it is.
        other = looplab.post("/api/experiments", shown).json()
        assert other["elsewhere"] == again["elsewhere"]
        for each in (again, other):
            assert looplab.post(f"/api/experiments/runs/{each['id']}/cancel").is_success
        for run_id in (run["id"], here["id"], first):
            assert looplab.cancel(run_id).is_success


def test_a_repeated_key_is_answered_the_same_though_arms_were_deleted(tmp_path: Path) -> None:
    send = {"headers": {"Idempotency-Key": "once"}}
    with in_process(tmp_path, limits=replace(LIMITS, max_queue=9)) as looplab:
        first = looplab.submit(long_spec(**BARE))
        looplab.until_state(first, {"running"})
        given = {**EXPERIMENT, "spec": spec_for(ALLOWED)}
        made = looplab.post("/api/experiments", given, **send).json()
        address = f"/api/experiments/runs/{made['id']}"
        assert looplab.post(f"{address}/cancel").is_success
        for run in looplab.get(address).json()["runs"]:
            assert looplab.client.delete(f"/api/runs/{run['id']}").status_code == 204
        replayed = looplab.post("/api/experiments", given, **send).json()
        assert replayed == made
        assert ["at most 11 times" in line for line in made["elsewhere"]] == [True]
        assert looplab.cancel(first).is_success


def test_the_command_line_says_so_before_it_hands_in(capsys: pytest.CaptureFixture[str]) -> None:
    tell_load_elsewhere(spec_for(OTHER), Limits())
    assert told_of(OTHER) in capsys.readouterr().err
    document = {**EXPERIMENT, "spec": spec_for(ALLOWED)}
    tell_load_elsewhere(document | {"control": True, "blocks": 3}, Limits())
    # Three arms, whose blocks are rounded up to a Latin square of theirs.
    assert "for 200 requests, at most 13 times" in capsys.readouterr().err
    for silent in (spec_for("http://127.0.0.1:9000"), spec_for("http://["), items_spec(), {}):
        tell_load_elsewhere(silent, Limits())
    assert capsys.readouterr().err == ""


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
        with pytest.raises(InvalidInput, match=r"bench\.test is allowed at port 8000, not 8001"):
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
