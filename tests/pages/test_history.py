import re
from html import unescape

import pytest

from tests.dashboard import Dashboard, items_spec, long_spec
from tests.pages.form_page import send

TITLE = re.compile(r'<a href="/runs/([0-9a-z]{10})">([^<]*)</a>')
CLASSIC = ["items, async", "items, threaded", "items, blocking"]
EARLY = ["items, interrupted", "items, cancelled", "items, failed"]


def listed(looplab: Dashboard, **query: str) -> list[str]:
    page = looplab.get("/history", params=query).text
    return [unescape(title) for _, title in TITLE.findall(page)]


def known(looplab: Dashboard) -> dict[str, str]:
    """Ids by title."""
    return {unescape(title): one for one, title in TITLE.findall(looplab.get("/history").text)}


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ({}, [*EARLY, "too many errors", *CLASSIC]),
        ({"state": "failed"}, ["items, failed"]),
        ({"tag": "classic"}, CLASSIC),
        ({"strategy": "threaded"}, ["items, threaded"]),
        ({"validity": "invalid"}, ["too many errors"]),
        ({"text": "block"}, ["items, blocking"]),
        ({"text": "items", "state": "finished", "strategy": "async"}, ["items, async"]),
        ({"text": "", "state": "", "tag": ""}, [*EARLY, "too many errors", *CLASSIC]),
    ],
)
def test_filters(looplab: Dashboard, query: dict[str, str], titles: list[str]) -> None:
    assert listed(looplab, **query) == titles


def test_filters_that_are_set_are_shown(looplab: Dashboard) -> None:
    page = looplab.get("/history", params={"state": "failed", "text": "<b>"}).text
    assert "<option selected>failed</option>" in page
    assert 'value="&lt;b&gt;"' in page
    assert "Clear filters" in page


def test_a_search_without_a_match_says_what_to_drop(looplab: Dashboard) -> None:
    page = looplab.get("/history", params={"state": "failed", "tag": "classic"}).text
    assert "No run matches" in page
    assert "Any state: 3" in page
    assert "Any tag: 1" in page
    assert 'href="/history?tag=classic"' in page


def test_an_empty_history_offers_a_start(empty: Dashboard) -> None:
    assert "Start with a question" in empty.get("/history").text


def test_numbers_errors_and_reasons(looplab: Dashboard) -> None:
    page = looplab.get("/history").text
    rows = {row.partition("</a>")[0].rpartition(">")[2]: row for row in page.split("<tr ")[2:]}
    assert 'class="badge suspect bare"' in rows["items, threaded"]
    assert "<polyline" in rows["items, async"]
    assert re.search(r"number alarm[^>]*>.*1\.7", rows["too many errors"])
    assert "sparkline dashed" in rows["too many errors"]
    assert "failed (start): exit code 3" in rows["items, failed"]
    assert "<polyline" not in rows["items, failed"]


def test_older_runs_follow_on_pages_of_their_own(empty: Dashboard) -> None:
    made = [empty.submit(items_spec(title=f"run {index}")) for index in range(52)]
    for run_id in reversed(made):
        empty.post(f"/api/runs/{run_id}/cancel")
    first = empty.get("/history?strategy=async").text
    older = re.search(r'href="(/history\?[^"]*cursor=[^"]*)"', first)
    assert older
    second = empty.get(unescape(older[1])).text
    seen = [one for one, _ in TITLE.findall(first)] + [one for one, _ in TITLE.findall(second)]
    assert seen[:52] == made[::-1]
    assert len(set(seen)) == len(seen)
    assert 'href="/history?strategy=async">Newest runs</a>' in second


def test_chosen_runs_are_compared_oldest_first(looplab: Dashboard) -> None:
    runs = known(looplab)
    ticked = [("run", runs[title]) for title in CLASSIC]
    answer = looplab.get("/history/chosen", params=ticked, follow_redirects=False)
    wanted = ",".join(runs[title] for title in reversed(CLASSIC))
    assert answer.headers["location"] == f"/compare?runs={wanted}"


def test_tags_are_added_and_removed(looplab: Dashboard) -> None:
    runs = known(looplab)
    pairs = [("run", runs["items, async"]), ("run", runs["items, failed"]), ("tag", "mine")]
    back = [("back", "state=failed&tag=x&evil=//a")]
    answer = send(looplab, "/runs/tag", [*pairs, *back, ("do", "add")])
    ticked = f"run={runs['items, async']}&run={runs['items, failed']}"
    assert answer.headers["location"] == f"/history?state=failed&tag=x&{ticked}"
    page = looplab.get("/history", params=pairs[:2]).text
    assert len(re.findall(r'name="run"[^>]* checked', page)) == 2
    assert page.count("data-ended-early") >= 1
    assert listed(looplab, tag="mine") == ["items, failed", "items, async"]
    send(looplab, "/runs/tag", [*pairs, ("do", "add")])
    assert looplab.run(runs["items, async"])["tags"].count("mine") == 1
    send(looplab, "/runs/tag", [*pairs, ("do", "remove")])
    assert listed(looplab, tag="mine") == []


@pytest.mark.parametrize("tag", ["", "x" * 41, "a\x00b"])
def test_a_wrong_tag_changes_nothing(looplab: Dashboard, tag: str) -> None:
    run_id = known(looplab)["items, async"]
    answer = send(looplab, "/runs/tag", [("run", run_id), ("tag", tag), ("do", "add")])
    assert answer.status_code == 422
    assert looplab.run(run_id)["tags"] == ["classic"]


def test_nothing_is_deleted_before_the_question_is_answered(looplab: Dashboard) -> None:
    run_id = looplab.submit(items_spec(title="to delete"))
    looplab.finished(run_id)
    page = looplab.get("/history/delete", params={"run": run_id}).text
    assert "Delete 1 run?" in page
    assert looplab.run(run_id)["state"] == "finished"
    answer = send(looplab, "/runs/delete", [("run", run_id), ("back", "")])
    assert answer.headers["location"] == "/history"
    assert looplab.get(f"/api/runs/{run_id}").status_code == 404


def test_a_run_that_is_not_over_stays(looplab: Dashboard) -> None:
    run_id = looplab.submit(long_spec(title="not over"))
    page = looplab.get("/history/delete", params={"run": run_id}).text
    assert "Delete 0 runs?" in page
    assert "Not over yet, so they stay: not over" in page
    assert send(looplab, "/runs/delete", [("run", run_id)]).status_code == 409
    assert looplab.post(f"/api/runs/{run_id}/cancel").status_code == 200
    assert "Delete 1 run?" in looplab.get("/history/delete", params={"run": run_id}).text
