"""Configurations of one's own: added, copied, used and removed, by page and API."""

from html import escape
from typing import Any

import httpx2

from control_plane.targets.configurations import BUILTIN_CONFIGURATIONS
from tests.dashboard import Dashboard, items_spec, long_spec
from tests.pages.form_page import Pairs, changed, form_of_page, send
from tests.pages.stored import words

NAME = "uvicorn <8> & threads"


def add(looplab: Dashboard, copy: str, **changes: str | tuple[str, ...]) -> httpx2.Response:
    page = looplab.get("/targets/new", params={"copy": copy}).text
    pairs = form_of_page(page, "/targets/new")
    return send(looplab, "/targets/new", changed(pairs, **changes))


def remove(looplab: Dashboard, name: str) -> httpx2.Response:
    return send(looplab, "/targets/remove", [("name", name)])


def listed(looplab: Dashboard) -> dict[str, dict[str, Any]]:
    return {
        configuration["name"]: configuration
        for configuration in looplab.get("/api/configurations").json()
    }


def test_a_copy_is_added_used_and_removed(empty: Dashboard) -> None:
    copied = next(
        configuration
        for configuration in BUILTIN_CONFIGURATIONS
        if configuration.target.threads == 200
    )
    answer = add(empty, copied.name, name=NAME, target__threads="8")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/targets#")
    shown = listed(empty)[NAME]
    assert (shown["builtin"], shown["available"], shown["missing_extra"]) == (False, True, None)
    assert shown["target"]["threads"] == 8
    page = empty.get("/runs/new", params={"configuration": NAME}).text
    assert f'value="{escape(NAME)}" checked' in page
    run_id = empty.submit(items_spec(target={"configuration": NAME}))
    finished = empty.finished(run_id)
    assert finished["spec"]["target"]["threads"] == 8
    assert finished["configuration"] == NAME
    asked = empty.get("/targets/remove", params={"name": NAME}).text
    assert f"Remove {escape(NAME)}?" in asked
    assert NAME in listed(empty)
    assert remove(empty, NAME).status_code == 303
    assert NAME not in listed(empty)
    assert empty.run(run_id)["spec"]["target"]["threads"] == 8
    assert empty.run(run_id)["configuration"] == NAME
    assert f"<option>{escape(NAME)}</option>" in empty.get("/history").text
    assert empty.post("/api/runs", items_spec(target={"configuration": NAME})).status_code == 422
    assert remove(empty, NAME).status_code == 404


def test_what_is_wrong_stands_at_its_field(empty: Dashboard) -> None:
    before = listed(empty)
    wrong = {
        "name": (
            "",
            "own",
            BUILTIN_CONFIGURATIONS[0].name,
            "a\u202eb",
            "x" * 81,
            "bare responder",
            "Bare-Responder",
            "…",
        ),
        "target.workers": ("0", "two", "65"),
        "target.backlog": ("-1",),
        "target.settings": ("{", '{"colour": 1}'),
    }
    for field, texts in wrong.items():
        for text in texts:
            values = {"name": "mine", "target.workers": "3", field: text}
            answer = add(empty, "", **values)
            assert answer.status_code == 422, (field, text)
            assert f'id="wrong-{field}"' in answer.text, (field, text)
            assert f'value="{escape(values["target.workers"])}"' in answer.text
    assert listed(empty) == before


def test_a_name_is_taken_once(empty: Dashboard) -> None:
    assert add(empty, "", name="twice").status_code == 303
    for alike in ("twice", " Twice ", "twice!"):
        assert 'id="wrong-name"' in add(empty, "", name=alike).text
    assert remove(empty, "twice").status_code == 303


def test_the_bare_responder_is_no_configuration(empty: Dashboard) -> None:
    assert 'value="responder"' not in empty.get("/targets/new").text
    assert 'value="responder"' in empty.get("/runs/new").text
    answer = add(empty, "", name="mine", target__server="responder", target__workers="1")
    assert answer.status_code == 422
    assert 'id="wrong-target.server"' in answer.text
    assert "mine" not in listed(empty)


def test_what_comes_with_looplab_stays(empty: Dashboard) -> None:
    assert remove(empty, BUILTIN_CONFIGURATIONS[0].name).status_code == 409
    page = empty.get("/targets").text
    assert 'action="/targets/remove"' not in page


def test_an_unknown_one_cannot_be_copied(empty: Dashboard) -> None:
    assert empty.get("/targets/new", params={"copy": "nothing"}).status_code == 404


def edited(looplab: Dashboard, run_id: str) -> Pairs:
    """The form that "Edit and run" opens."""
    return form_of_page(looplab.get(f"/runs/new?from={run_id}").text, "/runs")


def ticked(pairs: Pairs) -> list[str]:
    return [value for name, value in pairs if name == "target.configuration"]


def test_a_run_has_one_name_wherever_it_is_shown(empty: Dashboard) -> None:
    assert add(empty, "", name="my fast", target__threads="9").status_code == 303
    run_id = empty.submit(long_spec(target={"configuration": "my fast"}))
    assert "my fast" in words(empty.get(f"/runs/{run_id}").text)
    empty.post(f"/api/runs/{run_id}/cancel")
    parts = empty.run(run_id)["spec"]["target"]
    typed = empty.submit(long_spec(target=parts))
    empty.post(f"/api/runs/{typed}/cancel")
    derived = "uvicorn, 1 worker, uvloop, 9 threads"
    for shown, name, other in ((run_id, "my fast", derived), (typed, derived, "my fast")):
        page = words(empty.get(f"/runs/{shown}").text)
        assert name in page
        assert other not in page
        alone = words(empty.get(f"/compare?runs={shown}").text)
        assert name in alone
        assert other not in alone
    both = words(empty.get(f"/compare?runs={run_id},{typed}").text)
    assert f"{derived} (same settings as A)" in both
    history = {run["id"]: run["configuration"] for run in empty.get("/api/runs").json()["runs"]}
    assert (history[run_id], history[typed]) == ("my fast", derived)
    found = empty.get("/history", params={"configuration": "my fast"}).text
    assert run_id in found
    assert typed not in found
    assert ticked(edited(empty, run_id)) == ["my fast"]
    assert ticked(edited(empty, typed)) == ["own"]
    assert remove(empty, "my fast").status_code == 303
    assert ticked(edited(empty, run_id)) == ["own"]
    again = send(empty, f"/runs/{run_id}/again", [("key", "again")])
    assert empty.run(again.headers["location"].rpartition("/")[2])["configuration"] == "my fast"


def test_an_edited_run_keeps_its_name_while_its_target_is_the_same(empty: Dashboard) -> None:
    assert add(empty, "", name="like the first").status_code == 303
    run_id = empty.submit(long_spec(target={"configuration": "like the first"}))
    empty.post(f"/api/runs/{run_id}/cancel")
    form = edited(empty, run_id)
    assert ticked(form) == ["like the first"]

    def started(**changes: str) -> str:
        answer = send(empty, "/runs", changed(form, key=str(changes), **changes))
        made = answer.headers["location"].rpartition("/")[2]
        empty.post(f"/api/runs/{made}/cancel")
        name: str = empty.run(made)["configuration"]
        return name

    assert started(trials="2") == "like the first"
    assert started(target__configuration="own") == BUILTIN_CONFIGURATIONS[0].name
    assert started(target__configuration="own", target__threads="7").endswith("7 threads")
    assert remove(empty, "like the first").status_code == 303
