import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from control_plane.experiments.experiment_file import bundled_experiments
from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, BLOCKING, THREADED, decided
from tests.dashboard import BARE, Dashboard, long_spec, provide_database, until
from tests.html import Element, read_html
from tests.in_process import in_process
from tests.pages.form_page import changed, form_of_page, send


def card(page: str, slug: str) -> Element:
    return read_html(page).by_id(f"experiment-{slug}")


def test_an_empty_dashboard_explains_itself(empty: Dashboard) -> None:
    page, every = empty.get("/").text, bundled_experiments()
    assert "No runs yet" in page
    assert f"All {len(every)} experiments" in page
    for bundled in list(every.values())[:6]:
        shown = card(page, bundled.slug)
        assert shown.by_role("heading", bundled.question)
        assert "Not tested on this machine yet." in shown.text
        assert re.search(r"\d+ .+ quick · \d+ .+ full", shown.text)
        assert [button.name for button in shown.by_role("button")] == ["Full", "Quick"]
    assert card(empty.get("/experiments").text, list(every)[-1])


def test_a_change_is_asked_about_from_the_first_page(empty: Dashboard, tmp_path: Path) -> None:
    """With two applications a form begins with both; with fewer it says what is missing."""
    heading = "Did my change make it slower?"
    page = read_html(empty.get("/").text)
    assert page.by_role("heading", heading)
    assert page.by_role("link", "Add each as an application of its own")
    config = tmp_path / "looplab.toml"
    config.write_text("".join(f'[applications.{name}]\napp = "a:a"\n' for name in ("x", "y", "z")))
    with in_process(tmp_path, config) as looplab:
        pairs = form_of_page(looplab.get("/").text, "/runs/new")
        assert pairs == [("application", "x"), ("against", "y")]
        begun = looplab.get("/runs/new", params=dict(pairs))
        fields = dict(form_of_page(begun.text, "/runs"))
        assert (fields["target"], fields["title"]) == ("x", heading)
        assert fields["vary.0.field"] == "target.application"
        assert fields["vary.0.values"] == "x, y"
        assert "2 configurations × 4 blocks" in begun.text


@pytest.fixture
def answered(tmp_path: Path) -> Iterator[Dashboard]:
    store = open_store(provide_database(tmp_path / "runs.db"))
    decided(store, "classic", (BLOCKING, THREADED, ASYNC))
    store.close()
    with in_process(tmp_path) as started:
        yield started


def test_the_last_answer_stands_on_its_card(answered: Dashboard) -> None:
    looplab = answered
    shown = card(looplab.get("/").text, "classic")
    assert len(shown.by_role("term")) == len(shown.all("rect")) == 3
    assert "C async brings throughput from" in shown.text
    assert [mark.name for mark in shown.by_role("img")] == ["better"]
    assert [button.name for button in shown.by_role("button")] == ["Full", "Again"]
    result = looplab.get(shown.one("link", "Result").attributes["href"]).text
    assert "counts and windows × 0.04" in result
    for path in ("/", "/history"):
        (line,) = [
            row
            for row in read_html(looplab.get(path).text).elements()
            if row.attributes.get("class") == "of-experiment"
        ]
        assert "1,000 requests: async, threaded or blocking?" in line.text
        assert "C async brings throughput from" in line.text
        assert "3 arms" in line.text


@pytest.mark.parametrize(
    ("change", "run_is"),
    [
        ("UPDATE experiment SET headline = '{\"x\": 1}'", 200),
        ("UPDATE experiment SET headline = '['", 200),
        ('UPDATE experiment SET headline = \'{"sentence": [], "outcomes": ["valid"]}\'', 200),
        ("UPDATE run SET rate_per_s = 'quick'", 200),
        ("UPDATE run SET state = 'odd' WHERE seq = 1", 404),
    ],
)
def test_an_odd_row_costs_no_list_that_it_stands_in(
    answered: Dashboard, change: str, run_is: int
) -> None:
    with closing(sqlite3.connect(answered.db)) as database, database:
        database.execute(change)
        (run_id,) = database.execute("SELECT id FROM run WHERE seq = 1").fetchone()
    paths = ("/", "/history", "/experiments", "/api/experiments", "/runs/new", f"/runs/{run_id}")
    found = {path: answered.get(path).status_code for path in paths}
    assert found == {**dict.fromkeys(paths, 200), f"/runs/{run_id}": run_is}
    assert answered.get(f"/api/runs/{run_id}").status_code == run_is
    if run_is == 200:
        said = read_html(answered.get("/history").text).text
        assert "C async brings throughput from" in " ".join(said.split())


def test_a_question_is_measured_as_an_experiment(empty: Dashboard) -> None:
    pairs = form_of_page(empty.get("/").text, "/experiments/workers/start")
    answers = [send(empty, "/experiments/workers/start", pairs) for _ in range(2)]
    (address,) = {answer.headers["location"] for answer in answers}
    found = empty.get(f"/api/experiments/runs/{address.rpartition('/')[2]}").json()
    assert card(empty.get("/").text, "workers").by_role("link", "Watch")
    runs = [empty.run(arm["id"]) for arm in found["runs"]]
    empty.post(f"/api/experiments/runs/{found['id']}/cancel")
    assert [run["spec"]["target"]["workers"] for run in runs] == [1, 2, 4]
    assert found["design"]["blocks"] == 6


def test_what_is_running_is_shown_with_its_progress(empty: Dashboard) -> None:
    run_id = empty.submit(long_spec(title="a long one", **BARE))
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
