"""The page of a run that is over, from a real dashboard over stored runs."""

import csv
import io

import pytest

from tests.dashboard import BARE, TERMINAL, items_spec
from tests.html import read_html
from tests.pages.stored import Stored, figures, words


def test_a_result_is_told_shown_and_explained(stored: Stored) -> None:
    run_id = stored.runs.classic[2]
    page = stored.page(f"/runs/{run_id}")
    said = words(page)
    assert "Half of the GET /items/{item_id} requests answer in" in said
    assert "valid, 5 of 5 gates" in said
    assert "74,997 requests, 0 errors" in said
    for label in ("Throughput", "p50", "p90", "p95", "p99", "p99.9", "Maximum", "Errors"):
        assert read_html(page).by_role("term", label)
    assert figures(page).keys() == {"timeline", "percentiles", "distribution"}
    for part in ("Streams", "Trials", "Validity", "Environment", "Spec", "Target log"):
        assert part in said
    assert "AMD EPYC" in said
    assert "Uvicorn running on" in said


def test_each_figure_has_its_numbers_in_a_table(stored: Stored) -> None:
    page = stored.page(f"/runs/{stored.runs.classic[2]}")
    for name in figures(page):
        assert f'href="#{name}-table"' in page
        assert f'id="{name}-table"' in page
        assert f'data-png="{name}"' in page


def test_streams_are_named_and_told_apart(stored: Stored) -> None:
    said = words(stored.page(f"/runs/{stored.runs.streams}"))
    assert "Throughput, small" in said
    assert "10 users, 20.0 s" in said
    assert "1 user, 20.0 s" in said


def test_an_invalid_run_never_looks_valid(stored: Stored) -> None:
    page = stored.page(f"/runs/{stored.runs.invalid}")
    assert "421 of 24,999 requests failed" in words(page)
    assert page.count('class="tile void"') >= 6
    assert 'class="tile alarm"' in page
    assert read_html(page).by_role("alert")


def test_a_failed_run_shows_why_and_what_the_target_printed(stored: Stored) -> None:
    said = words(stored.page(f"/runs/{stored.runs.failed}"))
    assert "Failed (start): the target ended with exit code 3" in said
    assert "ModuleNotFoundError: No module named" in said
    assert "Nothing was measured" in said


def test_an_interrupted_run_gives_its_reason(stored: Stored) -> None:
    said = words(stored.page(f"/runs/{stored.runs.interrupted}"))
    assert "Looplab ended while this run was not over" in said


def test_one_trial_can_be_drawn_alone(stored: Stored) -> None:
    run_id = stored.runs.streams
    whole = figures(stored.page(f"/runs/{run_id}"))["timeline"]
    page = stored.page(f"/runs/{run_id}?trial=2")
    assert "Trial 2 of 5" in words(page)
    assert len(figures(page)["timeline"]["data"][0]["x"]) < len(whole["data"][0]["x"])
    assert f"/runs/{run_id}/figures/timeline.csv?trial=2" in page


@pytest.mark.parametrize("trial", ["0", "6", "1000", "-1", "1_0", "x", ""])
def test_other_trials_are_refused(stored: Stored, trial: str) -> None:
    stored.page(f"/runs/{stored.runs.streams}?trial={trial}", 422)


@pytest.mark.parametrize("run_id", ["zzzzzzzzzz", "short", "ABCDEFGHJK", "%3Cscript%3E"])
@pytest.mark.parametrize("rest", ["", "/live", "/figures/timeline.csv"])
def test_unknown_runs_are_not_found(stored: Stored, run_id: str, rest: str) -> None:
    answer = stored.looplab.get(f"/runs/{run_id}{rest}")
    assert answer.status_code == 404
    is_page = answer.headers["content-type"].startswith("text/html")
    assert is_page is (rest != "/figures/timeline.csv")
    assert not (is_page and "<script>" in answer.text)


def test_the_json_beside_the_page_is_that_of_the_api(stored: Stored) -> None:
    run_id = stored.runs.classic[0]
    beside = stored.looplab.get(f"/runs/{run_id}.json").json()
    assert beside == stored.looplab.get(f"/api/runs/{run_id}").json()


def test_the_csv_is_long(stored: Stored) -> None:
    answer = stored.looplab.get(f"/runs/{stored.runs.classic[0]}.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert rows[0].keys() == {"trial", "stream", "metric", "unit", "value", "validity"}
    assert {row["trial"] for row in rows} == {"1", "2", "3", "all"}


def test_the_numbers_of_a_figure_are_a_file(stored: Stored) -> None:
    run_id = stored.runs.classic[2]
    answer = stored.looplab.get(f"/runs/{run_id}/figures/percentiles.csv")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0][1] == "p50, ms"
    assert float(rows[1][1]) == pytest.approx(6.83, rel=0.01)
    assert stored.looplab.get(f"/runs/{run_id}/figures/nothing.csv").status_code == 404


def test_run_again_makes_one_run_of_each_key(stored: Stored) -> None:
    again = f"/runs/{stored.runs.failed}/again"
    answers = [stored.looplab.post_form(again, [("key", key)]) for key in ("a", "a", "b")]
    assert {answer.status_code for answer in answers} == {303}
    first, same, other = (answer.headers["location"] for answer in answers)
    assert first == same != other
    for place in (first, other):
        run_id = place.rpartition("/")[2]
        stored.looplab.post(f"/api/runs/{run_id}/cancel")
        assert stored.looplab.until_state(run_id, TERMINAL)["title"] == "broken"


def test_other_sites_cannot_press_the_buttons(stored: Stored) -> None:
    for action in ("again", "cancel"):
        answer = stored.looplab.post(
            f"/runs/{stored.runs.failed}/{action}", headers={"Sec-Fetch-Site": "cross-site"}
        )
        assert answer.status_code == 403


def test_text_of_others_stays_text(stored: Stored) -> None:
    evil = "=cmd|' /C calc'!A0 <script>alert(1)</script> {{ 7*7 }} \"'>"
    spec = items_spec(title=evil, tags=["<b>tag</b>"], **BARE)
    spec["workload"]["streams"][0]["name"] = "<img src=x onerror=alert(1)>"
    run_id = stored.looplab.submit(spec)
    stored.looplab.finished(run_id)
    page = stored.page(f"/runs/{run_id}")
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "{{ 7*7 }}" in words(page)
    assert "&lt;img src=x" in str(figures(page))
    compared = stored.looplab.get(f"/compare.csv?runs={run_id}").text
    assert ",'=cmd|" in compared or ",\"'=cmd|" in compared
