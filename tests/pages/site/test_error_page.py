from html import unescape

import pytest

from tests.dashboard import Dashboard
from tests.html import read_html


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/nothing/here", 404, "Nothing stands at this address"),
        ("/runs/zzzz", 404, "There is no run 'zzzz'"),
        ("/runs/0000000000", 404, "There is no run"),
        ("/history?state=wild", 422, "A field is wrong"),
        ("/history?cursor=%FF", 422, "A field is wrong"),
        ("/history/chosen", 422, "Tick 2 to 12 runs"),
        ("/history/chosen?run=x", 404, "There is no run"),
        ("/history/delete", 422, "Tick at least one run"),
        ("/runs/new?preset=nothing", 404, "There is no preset nothing"),
        ("/runs/new?from=nothing", 404, "There is no run 'nothing'"),
    ],
)
def test_an_error_is_a_page_with_a_way_on(
    looplab: Dashboard, path: str, status: int, text: str
) -> None:
    answer = looplab.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    main = unescape(answer.text.partition("<main")[2])
    assert text in main
    assert read_html(answer.text).by_role("main")[0].by_role("link")
    assert f"Status {status}" in main


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/experiments/x/start", "Experiments"),
        ("/targets/start", "Targets"),
        ("/pins/remove", "History"),
        ("/runs/tag", "History"),
    ],
)
def test_the_way_on_leads_to_where_the_form_stood(looplab: Dashboard, path: str, name: str) -> None:
    answer = looplab.post_form(path, [("id", "0000000000")])
    assert answer.status_code in {404, 422}
    assert way_on(answer.text) == name


def way_on(page: str) -> str:
    (way,) = read_html(page).by_role("main")[0].by_role("link")
    return way.text


def test_no_hint_repeats_what_is_said(looplab: Dashboard) -> None:
    main = looplab.get("/nothing/here").text.partition("<main")[2]
    assert "Not Found" not in main
    assert main.count("It may have been deleted") == 1


def test_what_was_asked_for_is_escaped(looplab: Dashboard) -> None:
    page = looplab.get("/runs/%3Cscript%3Ex").text
    assert "<script>x" not in page


@pytest.mark.parametrize("path", ["/runs", "/runs/new", "/runs/spec", "/runs/tag", "/runs/delete"])
def test_only_forms_are_taken_as_forms(looplab: Dashboard, path: str) -> None:
    answer = looplab.client.post(path, json={"a": 1}, headers={"Accept": "text/html"})
    assert answer.status_code == 415
    forms = {"/runs", "/runs/new", "/runs/spec"}
    assert way_on(answer.text) == ("New run" if path in forms else "History")


def test_an_unknown_experiment(looplab: Dashboard) -> None:
    answer = looplab.post_form("/experiments/x/start", [("variant", "quick")])
    assert answer.status_code == 404
