import re

from control_plane.experiments.presets import preset_catalogue
from tests.dashboard import Dashboard, long_spec, until
from tests.html import Element, read_html
from tests.pages.form_page import changed, form_of_page, send


def card(page: str, slug: str) -> Element:
    return read_html(page).by_id(f"question-{slug}")


def test_an_empty_dashboard_explains_itself(empty: Dashboard) -> None:
    page = empty.get("/").text
    assert "No runs yet" in page
    for question in preset_catalogue().questions:
        shown = card(page, question.slug)
        assert shown.by_role("heading", question.title)
        assert "Not answered on this machine yet." in shown.text
        assert re.search(rf"{len(question.arms)} runs, about \d+", shown.text)
        assert [button.name for button in shown.by_role("button")] == ["Start"]


def test_the_last_answer_stands_on_its_card(looplab: Dashboard) -> None:
    shown = card(looplab.get("/").text, "classic")
    assert len(shown.by_role("term")) == len(shown.all("rect")) == 3
    assert "7.4 times the requests" in shown.text
    assert "suspect" not in shown.text
    assert [button.name for button in shown.by_role("button")] == ["Again"]
    assert looplab.get(shown.one("link", "Compare").attributes["href"]).status_code == 200


def test_a_question_makes_its_runs_once_and_shows_them_together(empty: Dashboard) -> None:
    pairs = form_of_page(empty.get("/").text, "/questions/workers")
    answers = [send(empty, "/questions/workers", pairs) for _ in range(2)]
    locations = {answer.headers["location"] for answer in answers}
    assert {answer.status_code for answer in answers} == {303}
    (location,) = locations
    run_ids = location.rpartition("=")[2].split(",")
    assert card(empty.get("/").text, "workers").by_role("link", "Watch")
    runs = [empty.run(run_id) for run_id in run_ids]
    for run_id in reversed(run_ids):
        empty.post(f"/api/runs/{run_id}/cancel")
    assert [run["spec"]["target"]["workers"] for run in runs] == [1, 2]
    assert {tuple(run["tags"]) for run in runs} == {("workers",)}


def test_what_is_running_is_shown_with_its_progress(empty: Dashboard) -> None:
    run_id = empty.submit(long_spec(title="a long one"))
    until(lambda: "measuring" in empty.get("/running").text, "the run measures")
    strip = empty.get("/running").text
    assert f'href="/runs/{run_id}"' in strip
    assert "a long one" in strip
    assert re.search(r"\d+ %", strip)
    assert "1 running" in empty.get("/queue").text
    empty.post(f"/api/runs/{run_id}/cancel")
    assert run_id not in empty.get("/running").text


def test_one_run_of_your_own_takes_the_rest_from_its_preset(empty: Dashboard) -> None:
    pairs = form_of_page(empty.get("/").text, "/runs")
    pairs = changed(pairs, client__strategy="threaded", stream__load__concurrency="3")
    location = send(empty, "/runs", pairs).headers["location"]
    run_id = location.rpartition("/")[2]
    spec = empty.run(run_id)["spec"]
    empty.post(f"/api/runs/{run_id}/cancel")
    assert (spec["client"]["strategy"], spec["trials"]) == ("threaded", 3)
    assert spec["workload"]["streams"][0]["load"]["concurrency"] == 3
    assert "item_id" in spec["workload"]["streams"][0]["requests"][0]["values"]


def test_a_mistake_in_the_short_form_shows_the_whole_form(empty: Dashboard) -> None:
    pairs = changed(form_of_page(empty.get("/").text, "/runs"), client__strategy="blocking")
    answer = send(empty, "/runs", pairs)
    assert answer.status_code == 422
    shown = dict(form_of_page(answer.text, "/runs"))
    assert shown["client.strategy"] == "blocking"
    assert shown["workload.streams.0.load.concurrency"] == "64"
    assert shown["timeout_s"] == "30"


def test_recent_runs_tell_why_there_are_no_numbers(looplab: Dashboard) -> None:
    page = looplab.get("/").text
    assert "failed (start): exit code 3" in page
    assert re.search(r"All \d+ runs", page)
