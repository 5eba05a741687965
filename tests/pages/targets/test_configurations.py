"""Configurations of one's own: added, copied, used and removed, by page and API."""

import re
from html import escape
from typing import Any

import requests

from control_plane.targets.catalogue import CATALOGUE
from tests.dashboard import Dashboard, items_spec
from tests.pages.form_page import changed, form_of_page, send

NAME = "uvicorn <8> & threads"


def add(looplab: Dashboard, copy: str, **changes: str | tuple[str, ...]) -> requests.Response:
    page = looplab.get("/targets/new", params={"copy": copy}).text
    pairs = form_of_page(page, "/targets/new")
    return send(looplab, "/targets/new", changed(pairs, **changes))


def remove(looplab: Dashboard, name: str) -> requests.Response:
    return send(looplab, "/targets/remove", [("name", name)])


def listed(looplab: Dashboard) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in looplab.get("/api/configurations").json()}


def test_a_copy_is_added_used_and_removed(empty: Dashboard) -> None:
    copied = next(one for one in CATALOGUE if one.target.threads == 200)
    answer = add(empty, copied.name, name=NAME, target__threads="8")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/targets#")
    shown = listed(empty)[NAME]
    assert (shown["builtin"], shown["available"], shown["missing_extra"]) == (False, True, None)
    assert shown["target"]["threads"] == 8
    page = empty.get("/runs/new", params={"configuration": NAME}).text
    assert f'value="{escape(NAME)}" checked' in page
    run_id = empty.submit(items_spec(target={"configuration": NAME}))
    assert empty.finished(run_id)["spec"]["target"]["threads"] == 8
    asked = empty.get("/targets/remove", params={"name": NAME}).text
    assert f"Remove {escape(NAME)}?" in asked
    assert NAME in listed(empty)
    assert remove(empty, NAME).status_code == 303
    assert NAME not in listed(empty)
    assert empty.run(run_id)["spec"]["target"]["threads"] == 8
    assert empty.post("/api/runs", items_spec(target={"configuration": NAME})).status_code == 422
    assert remove(empty, NAME).status_code == 404


def test_what_is_wrong_stands_at_its_field(empty: Dashboard) -> None:
    before = listed(empty)
    wrong = {
        "name": (
            "",
            "own",
            CATALOGUE[0].name,
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
    answer = add(empty, "", name="mine", target__server="responder", target__workers="1")
    assert answer.status_code == 422
    assert 'id="wrong-target.server"' in answer.text
    assert "mine" not in listed(empty)


def test_what_comes_with_looplab_stays(empty: Dashboard) -> None:
    assert remove(empty, CATALOGUE[0].name).status_code == 409
    page = empty.get("/targets").text
    assert not re.search(r'action="/targets/remove"', page)


def test_an_unknown_one_cannot_be_copied(empty: Dashboard) -> None:
    assert empty.get("/targets/new", params={"copy": "nothing"}).status_code == 404
