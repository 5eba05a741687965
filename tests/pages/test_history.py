import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from control_plane.analysis.prose import plain_text
from control_plane.domain.run import State
from control_plane.experiments.experiment_file import bundled_experiment
from control_plane.jobs.experiment_job import findings_of, judged_now
from control_plane.pages.experiment_cards import ExperimentAnswers, experiment_answer
from control_plane.store.store import open_store
from tests.builders.runs import (
    ASYNC,
    BLOCKING,
    FAILING,
    THREADED,
    decided,
    items,
    queued,
)
from tests.dashboard import BARE, Dashboard, items_spec, long_spec, provide_database
from tests.html import Element, read_html
from tests.in_process import in_process
from tests.pages.form_page import send

CLASSIC = ["items, async", "items, threaded", "items, blocking"]
EARLY = ["items, interrupted", "items, cancelled", "items, failed"]


def listed(looplab: Dashboard, **query: str) -> list[str]:
    return [title.text for title in titles(looplab.get("/history", params=query).text)]


def titles(page: str) -> list[Element]:
    """The link to each run of the table."""
    return [header.by_role("link")[0] for header in read_html(page).by_role("rowheader")]


def id_of(title: Element) -> str:
    return title.attributes["href"].removeprefix("/runs/")


def known(looplab: Dashboard) -> dict[str, str]:
    """Ids by title."""
    return {title.text: id_of(title) for title in titles(looplab.get("/history").text)}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, [*EARLY, "too many errors", *CLASSIC]),
        ({"state": "failed"}, ["items, failed"]),
        ({"tag": "classic"}, CLASSIC),
        ({"strategy": "threaded"}, ["items, threaded"]),
        ({"validity": "invalid"}, ["too many errors"]),
        ({"text": "block"}, ["items, blocking"]),
        ({"text": "items,", "state": "finished", "strategy": "async"}, ["items, async"]),
        ({"text": "", "state": "", "tag": ""}, [*EARLY, "too many errors", *CLASSIC]),
    ],
)
def test_filters(looplab: Dashboard, query: dict[str, str], wanted: list[str]) -> None:
    assert listed(looplab, **query) == wanted


def test_filters_that_are_set_are_shown(looplab: Dashboard) -> None:
    page = read_html(looplab.get("/history", params={"state": "failed", "text": "<b>"}).text)
    (state,) = [part for part in page.by_role("option") if "selected" in part.attributes]
    assert state.text == "failed"
    assert page.one("textbox", "Search").attributes["value"] == "<b>"
    assert page.by_role("link", "Clear filters")


def test_the_configurations_that_runs_have_can_be_chosen(looplab: Dashboard) -> None:
    page = read_html(looplab.get("/history").text)
    (field,) = [part for part in page.all("select") if part.attributes["name"] == "configuration"]
    offered = {option.text for option in field.all("option")} - {"any"}
    assert offered
    assert all(listed(looplab, configuration=name) for name in offered)


def test_a_search_without_a_match_says_what_to_drop(looplab: Dashboard) -> None:
    page = read_html(looplab.get("/history", params={"state": "failed", "tag": "classic"}).text)
    assert page.by_role("heading", "No run matches")
    assert (
        page.one("link", "Without “State”: more or none").attributes["href"]
        == "/history?tag=classic"
    )
    assert page.by_role("link", "Without “Tag”: more or none")


def test_what_dropping_a_filter_brings_is_counted(looplab: Dashboard) -> None:
    query = {"state": "failed", "tag": "classic", "strategy": "blocking"}
    page = read_html(looplab.get("/history", params=query).text)
    links = [link for link in page.by_role("link") if link.text.startswith("Without “")]
    counts = [
        looplab.get(count.attributes["hx-get"]).text for link in links for count in link.all("span")
    ]
    assert [link.text for link in links] == [
        f"Without “{label}”: more or none" for label in ("State", "Strategy", "Tag")
    ]
    assert counts == ["1 run", "0 runs", "0 runs"]
    wider = dict(parse_qsl(urlsplit(links[0].attributes["href"]).query))
    assert listed(looplab, **wider) == ["items, blocking"]
    assert looplab.get("/history/without/state?tag=classic").status_code == 404


def test_an_empty_history_offers_a_start(empty: Dashboard) -> None:
    assert "Start with a question" in empty.get("/history").text


def test_numbers_errors_and_reasons(looplab: Dashboard) -> None:
    table = read_html(looplab.get("/history").text).by_role("table")[0]
    rows = {row.by_role("link")[0].text: row for row in table.by_role("row")[1:]}
    assert rows["items, threaded"].by_role("cell", "suspect")
    assert rows["items, async"].by_role("img")
    (trials, tail) = rows["too many errors"].by_role("img")
    assert trials.attributes["aria-label"].startswith("throughput of 3 trials: ")
    assert "times p50" in tail.attributes["aria-label"]
    assert rows["too many errors"].by_role("cell", "1.7 % failed")
    assert "dashed" in rows["too many errors"].by_role("img")[0].attributes["class"]
    assert "failed (start): exit code 3" in rows["items, failed"].text
    assert not rows["items, failed"].by_role("img")


def test_older_runs_follow_on_pages_of_their_own(tmp_path: Path) -> None:
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        specs = [items(title=f"run {index}") for index in range(52)]
        made = [run.id for run in queued(store, *specs)]
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        database.execute("UPDATE run SET state = 'cancelled', finished_at = created_at")
    with in_process(tmp_path) as many:
        first = many.get("/history?strategy=async").text
        second = many.get(read_html(first).one("link", "Older runs").attributes["href"]).text
    seen = [id_of(title) for title in (*titles(first), *titles(second))]
    assert seen[:52] == made[::-1]
    assert len(set(seen)) == len(seen)
    newest = read_html(second).one("link", "Newest runs")
    assert newest.attributes["href"] == "/history?strategy=async"


def test_chosen_runs_are_compared_oldest_first(looplab: Dashboard) -> None:
    runs = known(looplab)
    ticked = [("run", runs[title]) for title in CLASSIC]
    answer = looplab.get("/history/chosen", params=ticked, follow_redirects=False)
    wanted = ",".join(runs[title] for title in reversed(CLASSIC))
    assert answer.headers["location"] == f"/compare?runs={wanted}"


def test_each_number_puts_the_list_in_order(looplab: Dashboard) -> None:
    page = read_html(looplab.get("/history?tag=classic").text)
    (throughput,) = (head for head in page.by_role("columnheader") if head.name.startswith("Thr"))
    assert throughput.attributes["aria-sort"] == "none"
    href = throughput.by_role("link")[0].attributes["href"]
    assert href == "/history?tag=classic&sort=throughput"
    sorted_page = looplab.get(href).text
    assert [title.text for title in titles(sorted_page)] == [CLASSIC[0], CLASSIC[2], CLASSIC[1]]
    assert "3 runs, highest throughput first" in " ".join(read_html(sorted_page).text.split())
    (head,) = (
        head for head in read_html(sorted_page).by_role("columnheader")
        if head.attributes.get("aria-sort") == "descending"
    )  # fmt: skip
    turned = head.by_role("link")[0].attributes["href"]
    assert turned == f"{href}&order=asc"
    assert listed(looplab, tag="classic", sort="throughput", order="asc")[0] == CLASSIC[1]
    assert looplab.get("/history?sort=size").status_code == 422
    assert looplab.get("/history?validity=xx").status_code == 422
    assert "Give a day as 2026-11-30." in looplab.get("/history?since=2026-13-45").text


def test_what_is_ticked_stays_on_other_pages_and_is_edited_in_its_row(looplab: Dashboard) -> None:
    runs = known(looplab)
    ticked, edited = runs["items, async"], runs["items, failed"]
    pairs = [("run", ticked), ("back", "state=failed&sort=p50&evil=1")]
    kept = looplab.get("/history/keep", params=pairs, follow_redirects=False).headers["location"]
    assert kept == f"/history?state=failed&sort=p50&run={ticked}"
    page = read_html(looplab.get(kept).text)
    assert [box.name for box in page.by_role("checkbox") if "checked" in box.attributes] == [
        "items, async"
    ]
    (link,) = page.by_role("link", "Edit title, tags and note of items, failed")
    form = read_html(looplab.get(link.attributes["href"].partition("#")[0]).text)
    assert form.one("textbox", "Title").attributes["value"] == "items, failed"
    fields = [("title", "renamed"), ("tags", "x, y"), ("note", "n"), *pairs]
    assert send(looplab, f"/runs/{edited}/edit", fields).headers["location"] == kept
    assert (looplab.run(edited)["title"], looplab.run(edited)["tags"]) == ("renamed", ["x", "y"])
    before = [("title", "items, failed"), ("tags", ""), ("note", ""), *pairs]
    assert send(looplab, f"/runs/{edited}/edit", before).status_code == 303


def test_a_long_search_is_kept_with_what_is_ticked(looplab: Dashboard) -> None:
    run_id = known(looplab)["items, async"]
    query = urlencode({"text": "\N{SNOWMAN}" * 200, "tag": "\u00e4" * 40})
    pairs = [("run", run_id), ("back", query)]
    kept = looplab.get("/history/keep", params=pairs, follow_redirects=False)
    assert kept.headers["location"] == f"/history?{query}&run={run_id}"
    assert looplab.get("/history/delete", params=pairs).status_code == 200


def test_a_tag_with_a_comma_outlives_an_edit_of_the_title(looplab: Dashboard) -> None:
    tags = ["a,b", " led", "c"]
    run_id = looplab.submit(long_spec(title="tagged", tags=tags, **BARE))
    page = read_html(looplab.get(f"/history?edit={run_id}").text)
    on_page = read_html(looplab.get(f"/runs/new?from={run_id}").text)
    for form in (page, on_page):
        box = next(box for box in form.by_role("textbox") if box.attributes.get("name") == "tags")
        assert json.loads(box.attributes["value"]) == tags
        fields = [("title", "renamed"), ("tags", box.attributes["value"])]
        assert send(looplab, f"/runs/{run_id}/edit", fields).status_code == 303
        assert looplab.run(run_id)["tags"] == tags
    looplab.cancel(run_id)


def test_an_experiment_that_finished_is_listed_as_it_was_judged_then(tmp_path: Path) -> None:
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        made = decided(store, "classic", [BLOCKING, ASYNC, ASYNC])
        judged = judged_now(store, made.id)
        answers, before = ExperimentAnswers(), experiment_answer(judged)
        assert answers.listed(store.experiment(made.id), store) == before
        store.keep_findings(made.id, findings_of(judged))
        kept = answers.listed(store.experiment(made.id), store)
        assert kept == replace(before, experiment=kept.experiment, rest=(), bars=(), finding="")
        assert plain_text(kept.sentence).startswith("B threaded")
        store.delete([made.arms[1].run_id or ""])
        left = answers.listed(store.experiment(made.id), store)
        assert (kept.badges, left.badges) == ((("valid", "3 valid"),), (("valid", "2 valid"),))


@pytest.mark.parametrize("slug", ["classic", "burst", "cpu"])
def test_what_was_kept_of_an_experiment_is_what_is_judged_now(tmp_path: Path, slug: str) -> None:
    """Whatever its arms are worth, one that failed after its trials, too."""
    others = [ASYNC] * (len(bundled_experiment(slug).arms) - 2)
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        for second, failed in ((THREADED, ()), (FAILING, ()), (FAILING, (1,)), (ASYNC, (1,))):
            made = decided(store, slug, [BLOCKING, second, *others], failed=failed)
            judged = judged_now(store, made.id)
            assert judged.state is State.FINISHED
            store.keep_findings(made.id, findings_of(judged))
            kept = ExperimentAnswers().listed(store.experiment(made.id), store)
            now = experiment_answer(judged)
            assert (kept.sentence, kept.badges) == (now.sentence, now.badges)
            assert ("invalid", "1 invalid: B") in kept.badges or second is not FAILING


def test_a_pinned_run_says_so_and_is_not_deleted(looplab: Dashboard) -> None:
    runs = known(looplab)
    pinned, other = runs["items, async"], runs["items, blocking"]
    fields = [("id", pinned), ("name", "release 2.3")]
    assert send(looplab, "/pins", fields).headers["location"] == f"/runs/{pinned}"
    assert "pinned as release 2.3" in " ".join(
        read_html(looplab.get(f"/runs/{pinned}").text).text.split()
    )
    assert "release 2.3" in looplab.get("/history?tag=classic").text
    asked = looplab.get("/history/delete", params=[("run", pinned), ("run", other)]).text
    assert "Delete 1 run?" in asked
    assert "items, async is pinned as release 2.3" in " ".join(read_html(asked).text.split())
    alone = looplab.get("/history/delete", params=[("run", pinned)]).text
    said = " ".join(read_html(alone).text.split())
    assert "Nothing can be deleted here" in said
    assert "press Unpin on the page of items, async" in said
    assert "go out of every list" not in said
    assert send(looplab, "/runs/delete", [("run", pinned)]).status_code == 409
    beside = read_html(looplab.get(f"/runs/{other}").text)
    offered = [link for link in beside.by_role("link") if "baseline=" in link.attributes["href"]]
    assert offered[0].attributes["href"] == f"/compare?runs={other},{pinned}&baseline={pinned}"
    compared = looplab.get(offered[0].attributes["href"]).text
    said = " ".join(read_html(compared).text.split())
    assert "B is pinned as release 2.3, measured" in said
    assert "B release 2.3" in said
    told = looplab.get(f"/api/compare?runs={other},{pinned}").json()
    assert told["labels"][pinned] == "B release 2.3"
    assert f'name="runs" value="{pinned},{other}"' in compared
    its_arms_are_ticked_as_one(looplab, f"{pinned},{other}")
    again = [("name", "release 2.3"), ("id", other)]
    assert send(looplab, "/pins", again).status_code == 422
    assert send(looplab, "/pins/remove", [("id", pinned)]).headers["location"] == f"/runs/{pinned}"


def its_arms_are_ticked_as_one(looplab: Dashboard, runs: str) -> None:
    """Of the experiment that measures a pinned run again, whose arm is called after it."""
    location = send(looplab, "/experiments/of-runs", [("runs", runs)]).headers["location"]
    made = location.removeprefix("/experiments/")
    arms = looplab.post(f"/api/experiments/runs/{made}/cancel").json()["runs"]
    assert arms[0]["arm"] == "release 2.3"
    ids = ",".join(arm["id"] for arm in arms)
    chosen = {"params": {"run": made}, "follow_redirects": False}
    assert looplab.get("/history/chosen", **chosen).headers["location"] == f"/compare?runs={ids}"
    send(looplab, "/runs/tag", [("run", made), ("tag", "both"), ("do", "add")])
    page = looplab.get("/history", params={"tag": "both", "run": made}).text
    ticked = [box for box in read_html(page).by_role("checkbox") if "checked" in box.attributes]
    assert [box.attributes["value"] for box in ticked] == [made]
    assert looplab.get("/bundle", params={"run": made}).content[:15] == b"SQLite format 3"
    assert "Delete 2 runs?" in looplab.get("/history/delete", params={"run": made}).text
    send(looplab, "/runs/delete", [("run", made)])
    assert made not in looplab.get("/api/experiments/runs").text


def test_tags_are_added_and_removed(looplab: Dashboard) -> None:
    runs = known(looplab)
    pairs = [("run", runs["items, async"]), ("run", runs["items, failed"]), ("tag", "mine")]
    back = [("back", "state=failed&tag=x&evil=//a")]
    answer = send(looplab, "/runs/tag", [*pairs, *back, ("do", "add")])
    ticked = f"run={runs['items, async']}&run={runs['items, failed']}"
    assert answer.headers["location"] == f"/history?state=failed&tag=x&{ticked}"
    boxes = read_html(looplab.get("/history", params=pairs[:2]).text).by_role("checkbox")
    assert [box.name for box in boxes if "checked" in box.attributes] == [
        "Choose items, failed",
        "Choose items, async",
    ]
    assert any("data-ended-early" in box.attributes for box in boxes)
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
    run_id = looplab.submit(items_spec(title="to delete", **BARE))
    looplab.finished(run_id)
    page = looplab.get("/history/delete", params={"run": run_id}).text
    assert "Delete 1 run?" in page
    assert looplab.run(run_id)["state"] == "finished"
    answer = send(looplab, "/runs/delete", [("run", run_id), ("back", "")])
    assert looplab.get(f"/api/runs/{run_id}").status_code == 404
    gone = looplab.get(f"/runs/{run_id}")
    assert (gone.status_code, "Put back" in gone.text) == (404, True)
    shown = read_html(looplab.get(answer.headers["location"]).text)
    (undo,) = (form for form in shown.all("form") if form.attributes["action"] == "/runs/restore")
    fields = [(field.attributes["name"], field.attributes["value"]) for field in undo.all("input")]
    assert "1 run is deleted" in shown.text
    assert send(looplab, "/runs/restore", fields).headers["location"] == "/history"
    assert looplab.run(run_id)["title"] == "to delete"
    assert looplab.delete(f"/api/runs/{run_id}").status_code == 204
    assert looplab.post(f"/api/runs/{run_id}/restore").json()["title"] == "to delete"
    assert send(looplab, "/runs/restore", [("deleted", "x")]).status_code == 422


def test_title_tags_and_note_are_edited_on_the_page_of_a_run(looplab: Dashboard) -> None:
    run_id = looplab.get("/api/runs", params={"tag": "classic"}).json()["runs"][0]["id"]
    before = looplab.run(run_id)
    hostile = "<script>alert(1)</script>"
    title, note = f'{hostile} &amp; "q"', f"a\n{hostile}"
    fields = [("title", title), ("tags", "classic, mine"), ("note", note)]
    assert send(looplab, f"/runs/{run_id}/edit", fields).headers["location"] == f"/runs/{run_id}"
    run = looplab.run(run_id)
    assert (run["title"], run["tags"], run["note"]) == (title, ["classic", "mine"], note)
    for page in (looplab.get(f"/runs/{run_id}").text, looplab.get(f"/runs/{run_id}.html").text):
        assert "<script>alert" not in page
        assert f"a\n{hostile}" in "".join(read_html(page).texts())
    assert send(looplab, f"/runs/{run_id}/edit", [("title", "")]).status_code == 422
    back = [("title", before["title"]), ("tags", "classic")]
    assert send(looplab, f"/runs/{run_id}/edit", back).status_code == 303


def test_a_run_that_is_not_over_stays(looplab: Dashboard) -> None:
    run_id = looplab.submit(long_spec(title="not over", **BARE))
    page = looplab.get("/history/delete", params={"run": run_id}).text
    assert "Nothing can be deleted here" in page
    assert "not over is not over yet" in " ".join(read_html(page).text.split())
    assert send(looplab, "/runs/delete", [("run", run_id)]).status_code == 409
    assert looplab.post(f"/api/runs/{run_id}/cancel").status_code == 200
    assert "Delete 1 run?" in looplab.get("/history/delete", params={"run": run_id}).text
