"""Comparisons, from a real dashboard over stored runs."""

import csv
import io
import sqlite3
from contextlib import closing
from html import unescape
from pathlib import Path

import pytest

from control_plane.domain.spec_json import write_spec
from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, BLOCKING, finished, items, two_streams
from tests.dashboard import BARE, free_port, items_spec, long_spec, provide_database, until
from tests.html import Element, read_html
from tests.in_process import in_process
from tests.pages.stored import Stored, figures, words


def ratio_tables(page: str) -> list[Element]:
    """The tables whose rows stand beside a scale of ratios."""
    found = [(table, table.by_role("img")) for table in read_html(page).by_role("table")]
    return [table for table, images in found if any("scale" in image.name for image in images)]


def chosen_streams(page: str) -> list[str]:
    """The stream that is drawn, where others could be."""
    current = [part for part in read_html(page).elements() if "aria-current" in part.attributes]
    axes = {"Log axis", "linear"}
    return [part.text for part in current if part.role != "link" and part.text not in axes]


def test_three_runs_side_by_side(stored: Stored) -> None:
    page = stored.compare(*stored.runs.classic)
    said = words(page)
    assert "C async served 7.4 times the requests per second of A blocking" in said
    assert "give no verdict" in said
    assert "3 valid" in said
    assert "In B threaded the client was at its limit: this compares clients" in said
    assert "Two fields differ" in said
    assert "blocking, requests" in said
    assert "24,999 requests in" in said
    assert "other fields and the environment are the same" in said
    assert "No request failed in any run." in said
    drawn = ["percentiles", "shift", "timeline-a", "timeline-b", "timeline-c"]
    assert list(figures(page)) == [*drawn, "distribution", "metrics"]
    bars = read_html(page).by_id("throughput").by_role("term")
    assert [bar.text for bar in bars] == ["A blocking", "B threaded", "C async"]
    assert "hx-trigger" not in page[page.index('id="compare"') : page.index('id="run-header"')]


def test_one_run_shows_its_own_distribution(stored: Stored) -> None:
    page = stored.compare(stored.runs.classic[2])
    assert list(figures(page)) == ["percentiles", "timeline-a", "distribution"]
    assert "make baseline" not in page
    assert "Remove" not in page


def test_two_runs_are_laid_over_each_other(stored: Stored) -> None:
    drawn = figures(stored.compare(*stored.runs.classic[:2]))
    assert [trace["type"] for trace in drawn["distribution"]["data"]] == ["bar", "bar"]
    assert "metrics" not in drawn


def test_any_run_becomes_the_baseline_by_its_address(stored: Stored) -> None:
    first, _, third = stored.runs.classic
    page = stored.compare(*stored.runs.classic)
    assert f"&amp;baseline={third}" in page
    turned = stored.compare(*stored.runs.classic, more=f"&baseline={third}")
    assert "Against C async" in words(turned)
    assert "A blocking served 13 % of the requests per second of C async" in words(turned)
    assert f'runs={",".join(stored.runs.classic)}"' in turned
    assert first in turned


def test_a_run_can_be_taken_away_and_another_added(stored: Stored) -> None:
    first, second, third = stored.runs.classic
    page = stored.compare(first, second)
    assert f'href="/compare?runs={second}&amp;places=1"' in page
    assert f"/compare?runs={first},{second},{third}" in page
    alone = stored.compare(second, third, more="&places=1,2")
    assert "C async served" in words(alone)
    assert figures(alone)["percentiles"]["data"][0]["line"]["color"] == "$run-2"
    added = f'href="/compare?runs={second},{third},{first}&amp;places=1,2,0"'
    assert added in alone
    for odd in ("1", "1,1", "1,12", "x,y", "0,1,2"):
        assert stored.looplab.get(f"/compare?runs={first},{second}&places={odd}").status_code == 422


def test_hidden_runs_and_the_axis_stand_in_the_address(stored: Stored) -> None:
    first, second, third = stored.runs.classic
    page = stored.compare(first, second, third, more=f"&hide={second}&scale=linear")
    drawn = figures(page)
    assert list(drawn) == [
        "percentiles",
        "shift",
        "timeline-a",
        "timeline-c",
        "distribution",
        "metrics",
    ]
    axis = drawn["percentiles"]["layout"]["yaxis"]
    assert (axis.get("type"), axis["range"][0], axis["ticktext"][0]) == (None, 0, "0")
    assert "B threaded" in words(page)
    assert f'href="/compare?runs={first},{second},{third}&amp;scale=linear"' in page
    csv_file = stored.looplab.get(
        f"/compare/figures/percentiles.csv?runs={first},{second}&hide={second}"
    )
    assert "threaded" not in csv_file.text
    assert stored.looplab.get(f"/compare?runs={first},{second}&scale=cubic").status_code == 422


def test_some_seconds_of_all_runs_are_shown_at_once(stored: Stored) -> None:
    first, second, _ = stored.runs.classic
    narrowed = f"runs={first},{second}&from=1&until=3"
    page = stored.looplab.get(f"/compare?{narrowed}&scale=percentiles,timelines").text
    drawn = figures(page)
    for name in ("timeline-a", "timeline-b"):
        layout = drawn[name]["layout"]
        assert (layout["xaxis"]["range"], layout["yaxis"]["range"][0]) == ([1, 3], 0)
    assert drawn["percentiles"]["layout"]["yaxis"]["range"][0] == 0
    assert "Only seconds 1 to 3 of each trial" in words(page)
    form = read_html(page).one("textbox", "to")
    assert (form.attributes["name"], form.attributes["value"]) == ("until", "3")

    def samples(query: str) -> list[int]:
        rows = stored.looplab.get(f"/compare/figures/percentiles.csv?{query}").text.splitlines()
        return [int(row.rsplit(",", 1)[1]) for row in rows[1:]]

    some, whole = samples(narrowed), samples(f"runs={first},{second}")
    assert all(0 < few < all_ for few, all_ in zip(some, whole, strict=True))
    for odd in ("from=3&until=3", "from=-1", "until=x", "until=nan", "from=inf", "metric=speed"):
        assert stored.looplab.get(f"/compare?runs={first},{second}&{odd}").status_code == 422


def test_a_row_that_is_chosen_narrows_the_page_to_it(stored: Stored) -> None:
    first, second, third = stored.runs.classic
    page = read_html(stored.compare(first, second, third))
    href = page.by_id("ratios-table").one("link", "p90 response time").attributes["href"]
    assert href.endswith("&stream=items&metric=response_time_s.p90")
    text = stored.looplab.get(href).text
    narrowed = read_html(text)
    plotted = narrowed.by_id("ratios").by_role("table")[0]
    assert [head.text for head in plotted.by_role("rowheader")] == ["p90 response time"]
    heads = narrowed.by_id("numbers").by_role("columnheader")
    assert [head.text.split()[0] for head in heads] == ["Run", "Requests", "Errors", "p90"]
    assert narrowed.by_id("bars").by_role("heading", "p90 response time")
    assert "metrics" not in figures(text)
    back = narrowed.one("link", "Every metric").attributes["href"]
    assert back == f"/compare?runs={first},{second},{third}&stream=items"
    other = stored.looplab.get(f"{back}&metric=service_time_s.p99").text
    assert read_html(other).by_id("numbers").by_role("columnheader", "p99 service time")


def test_metrics_stand_in_the_order_of_what_differs(stored: Stored) -> None:
    page = read_html(stored.compare(*stored.runs.classic))
    table = page.by_id("ratios-table").by_role("table")[0]
    rows = table.by_role("row")[1:]
    at = next(place for place, row in enumerate(rows) if "without a difference" in row.text)
    factors = [
        float(row.by_role("cell")[-1].text.rstrip("×").replace(",", "")) for row in rows[:at]
    ]
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] > 1
    folded = rows[at + 1 :]
    assert rows[at].text.split()[0] == str(len(folded))
    assert all(
        row.by_role("cell")[-1].text in {"–"}
        or float(row.by_role("cell")[-1].text.rstrip("×")) <= 1
        for row in folded
    )


def test_runs_of_one_stream_each_are_compared_whatever_it_is_called(stored: Stored) -> None:
    pair = (stored.runs.classic[0], stored.runs.exhausted)
    page = stored.compare(*pair)
    said = words(page)
    assert "% of the requests per second of A" in said
    assert "asks GET /items/{item_id}, B" in said
    assert "Stream A items B movies" in said
    assert chosen_streams(page) == []
    drawn = figures(page)
    assert list(drawn)[-3:] == ["timeline-a", "timeline-b", "distribution"]
    assert len(drawn["distribution"]["data"]) == 2
    assert '"name": "movies"' in unescape(page)
    beside = stored.looplab.get(f"/api/compare?runs={','.join(pair)}").json()
    own = [each["spec"]["workload"]["streams"][0]["name"] for each in beside["runs"]]
    assert own == ["items", "movies"]


def test_an_invalid_run_takes_no_part(stored: Stored) -> None:
    page = stored.compare(stored.runs.classic[2], stored.runs.invalid)
    assert "is invalid and takes no part" in words(page)
    assert "1 invalid: B" in words(page)
    assert "Failed requests: B 1,263." in words(page)
    assert ratio_tables(page) == []


def test_a_run_without_a_result_stands_grey_beside_the_others(stored: Stored) -> None:
    blocking, threaded, _ = stored.runs.classic
    page = stored.compare(blocking, stored.runs.failed, threaded)
    said = words(page)
    assert "B async left no result and takes no part (failed" in said
    assert "C threaded served" in said
    assert page.count('class="gone"') > 1
    assert "no ratio" not in said
    assert f"baseline={stored.runs.failed}" not in page
    turned = stored.compare(stored.runs.failed, blocking, threaded)
    assert "Not compared: the baseline left no result" in turned
    ids = f"{stored.runs.failed},{blocking},{threaded}"
    assert f'href="/compare?runs={ids}&amp;baseline={blocking}">Make B ' in turned
    neither = words(stored.compare(stored.runs.failed, stored.runs.interrupted))
    assert "Not compared: none of these runs left a result." in neither
    assert "their pages say why" in neither


def test_another_machine_is_refused_unless_told_to_go_on(stored: Stored) -> None:
    pair = (stored.runs.classic[2], stored.runs.elsewhere)
    page = stored.compare(*pair)
    assert "AMD EPYC against Apple M2" in words(page)
    assert ratio_tables(page) == []
    assert "anyway=1" in page
    forced = stored.compare(*pair, more="&anyway=1")
    assert len(ratio_tables(forced)) == 1
    assert "anyway=1" in forced


def test_compared_anyway_an_invalid_run_stays_marked(stored: Stored) -> None:
    ids = (stored.runs.classic[2], stored.runs.invalid, stored.runs.elsewhere)
    page = stored.compare(*ids, more="&anyway=1")
    (ratios,) = ratio_tables(page)
    assert ratios.by_role("img", "invalid")
    assert "Compared anyway: B is invalid, so its ratios are struck out; C " in words(page)
    invalid = [row for row in ratios.by_role("row") if row.by_role("img", "invalid")]
    assert [row.text for row in invalid if not row.all("s") and "no ratio" not in row.text] == []
    assert any(row.all("s") for row in invalid)
    query = f"?runs={','.join(ids)}&anyway=1"
    rows = list(csv.DictReader(io.StringIO(stored.looplab.get(f"/compare.csv{query}").text)))
    judged = {row["run"]: row["validity"] for row in rows if row["ratio"]}
    assert judged[stored.runs.invalid] == "invalid"


def test_the_stream_that_is_drawn_stands_in_the_address(stored: Stored) -> None:
    run_id = stored.runs.streams
    small, large = (stored.compare(run_id, more=f"&stream={name}") for name in ("small", "large"))
    assert figures(small)["percentiles"] != figures(large)["percentiles"]
    assert f"/compare?runs={run_id}&amp;stream=large" in small
    assert chosen_streams(small) == ["small"]
    stored.page(f"/compare?runs={run_id}&stream=other", 422)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("?runs=", 422),
        ("?runs={0},{0}", 422),
        ("?runs={0}&baseline={1}", 422),
        ("?runs={0}&anyway=yes", 422),
        ("?runs=" + ",".join(f"000000000{number:x}" for number in range(13)), 422),
        ("?runs=" + "0000000000," * 5_000, 422),
        ("?runs=zzzzzzzzzz", 404),
        ("?runs={0},ABC", 404),
        ("?runs={0}%00", 404),
        ("?runs=%3Cscript%3E", 404),
    ],
)
@pytest.mark.parametrize("form", ["", "/live", ".json", ".csv", ".md", "/figures/shift.csv"])
def test_what_cannot_be_compared(stored: Stored, query: str, status: int, form: str) -> None:
    answer = stored.looplab.get(f"/compare{form}{query.format(*stored.runs.classic)}")
    assert answer.status_code == status
    if answer.headers["content-type"].startswith("text/html"):
        assert "<script>" not in answer.text


def test_files_beside_the_page(stored: Stored) -> None:
    query = f"?runs={','.join(stored.runs.classic)}&baseline={stored.runs.classic[2]}"
    beside = stored.looplab.get(f"/compare.json{query}").json()
    assert beside == stored.looplab.get(f"/api/compare{query}").json()
    rows = list(csv.DictReader(io.StringIO(stored.looplab.get(f"/compare.csv{query}").text)))
    assert {(row["validity"], row["baseline_validity"]) for row in rows} == {
        ("valid", "valid"),
        ("suspect", "valid"),
    }
    throughput = [float(row["ratio"]) for row in rows if row["metric"] == "throughput_per_s"]
    assert throughput[2] == 1
    assert throughput[0] == pytest.approx(0.134, abs=0.001)
    bars = stored.looplab.get(f"/compare/figures/throughput.csv{query}").text
    assert bars.splitlines()[0].startswith(",")


@pytest.mark.parametrize("form", ["json", "csv", "md"])
def test_each_file_is_kept_under_the_runs_it_compares(stored: Stored, form: str) -> None:
    ids = stored.runs.classic[:2]
    asked = {f"/compare.{form}?runs={','.join(ids)}": f"compare-{'-'.join(ids)}"}
    if form != "md":
        asked[f"/runs/{ids[0]}.{form}"] = f"run-{ids[0]}"
    for page, name in asked.items():
        kept = stored.looplab.get(page).headers["content-disposition"]
        assert kept == f'attachment; filename="{name}.{form}"'


def test_markdown_for_a_pull_request(stored: Stored) -> None:
    query = f"?runs={','.join(stored.runs.classic)}"
    answer = stored.looplab.get(f"/compare.md{query}")
    assert answer.headers["content-type"].startswith("text/markdown")
    lines = answer.text.splitlines()
    assert lines[0].startswith("**C async served 7.4 times")
    assert next(line for line in lines if line.startswith("| Throughput")).count("|") == 5
    assert f"<{stored.looplab.url}/compare{query}>" in lines[-1]


def test_markdown_marks_what_may_not_be_believed(stored: Stored) -> None:
    pair = f"{stored.runs.classic[2]},{stored.runs.invalid}"
    text = stored.looplab.get(f"/compare.md?runs={pair}&anyway=1").text
    throughput = next(line for line in text.splitlines() if line.startswith("| Throughput"))
    assert throughput.count("~~") == 4
    assert "Struck out: the run, or the baseline of the ratio, is invalid." in text


def test_streams_of_a_run_without_a_result_do_not_hinder_the_others(stored: Stored) -> None:
    looplab = stored.looplab
    nobody = {"url": f"http://127.0.0.1:{free_port()}"}
    failed = looplab.submit({**write_spec(two_streams()), "target": nobody})
    looplab.until_state(failed, {"failed"})
    ids = (stored.runs.classic[0], stored.runs.exhausted, failed)
    for baseline in (ids[0], failed):
        page = stored.compare(*ids, more=f"&baseline={baseline}")
        assert chosen_streams(page) == []
        assert len(figures(page)["distribution"]["data"]) == 2
    page = stored.compare(*ids)
    assert "% of the requests per second of A" in words(page)
    assert "asks GET /items/{item_id}, B" in words(page)
    for form in (".json", ".csv", ".md"):
        assert looplab.get(f"/compare{form}?runs={','.join(ids)}").status_code == 200


def test_it_fills_as_runs_finish(stored: Stored) -> None:
    looplab = stored.looplab
    long, short = looplab.submit(long_spec(**BARE)), looplab.submit(items_spec(**BARE))
    page = stored.compare(long, short, more=f"&baseline={short}")
    assert "No run has ended, 2 to come." in words(page)
    assert "Nothing is measured yet" in words(page)
    fragment = f"/compare/live?runs={long},{short}&baseline={short}"
    assert fragment.replace("&", "&amp;") in page
    looplab.post(f"/api/runs/{long}/cancel")
    looplab.finished(short)

    def filled() -> str:
        answer = looplab.get(fragment)
        return "" if "hx-trigger" in answer.text else answer.text

    last = until(filled, "the fragment stops asking for itself")
    assert last.lstrip().startswith('<div id="compare">')
    assert "percentiles" in figures(last)
    assert "cancelled" in last


def test_sessions_of_both_specs_decide(tmp_path: Path) -> None:
    shapes = (("quick", 1.0, ASYNC), ("slow", 2.0, BLOCKING))
    sides = [(items(title=title, warmup_s=warmup), shape) for title, warmup, shape in shapes]
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        ids = [[finished(store, spec, shape).id for _ in range(3)] for spec, shape in sides]
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        for seq in range(6):
            hour = f"2026-11-20 {10 + seq}:00:00.000000"
            database.execute(
                "UPDATE run SET started_at = ?, finished_at = ? WHERE seq = ?",
                (hour, hour, seq + 1),
            )
    first, second = ids[0][2], ids[1][2]
    with in_process(tmp_path) as looplab:
        page = looplab.get(f"/compare?runs={first},{second}").text
        document = looplab.get(f"/compare.json?runs={first},{second}").json()
        rows = csv.DictReader(io.StringIO(looplab.get(f"/compare.csv?runs={first},{second}").text))
        markdown = looplab.get(f"/compare.md?runs={first},{second}").text
        alone = looplab.get(f"/compare?runs={ids[0][0]},{ids[0][1]}").text
    said = document["sentence"]
    assert "% of the requests per second of A quick here: worse, ÷" in said
    assert said.count("A quick") == 1
    assert "3 sessions of each" in words(page)
    (table,) = [
        each for each in read_html(page).by_role("table") if each.attributes.get("id") == "sessions"
    ]
    assert "3 sessions of each worse" in table.text
    assert ("Throughput decides" in table.text, "exploratory" in table.text) == (True, True)
    (found,) = [row for row in document["rows"] if row["metric"] == "throughput_per_s"]
    verdict = found["verdicts"][second]
    assert (verdict["verdict"], verdict["method"], verdict["sessions"]) == (
        "worse",
        "sessions",
        3,
    )
    assert document["sessions"] == {first: 3, second: 3}
    (line,) = [row for row in rows if row["run"] == second and row["metric"] == found["metric"]]
    assert (line["verdict"], float(line["session_high"])) == ("worse", verdict["high"])
    assert line["role"] == verdict["role"] == "primary"
    assert markdown.count("over 3 sessions of each, exploratory") >= 3
    assert "Over sessions" not in words(alone)
