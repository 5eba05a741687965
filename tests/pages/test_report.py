"""A page as one file: nothing of it lies elsewhere, and nothing of it is for the author alone."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from control_plane.pages.site.templating import ROWS_SHOWN
from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, finished, items
from tests.dashboard import provide_database
from tests.html import read_html
from tests.in_process import in_process
from tests.pages.stored import BROKEN_LOG, Stored, words


@pytest.mark.parametrize("name", ["run", "blocked", "failed", "compare", "streams"])
def test_a_report_needs_nothing_outside_itself(stored: Stored, name: str) -> None:
    runs = stored.runs
    path = {
        "run": f"/runs/{runs.classic[2]}",
        "blocked": f"/runs/{runs.blocked}",
        "failed": f"/runs/{runs.failed}",
        "compare": f"/compare?runs={','.join(runs.classic)}",
        "streams": f"/runs/{runs.streams}",
    }[name]
    file = stored.looplab.get(path.replace("?", ".html?") if "?" in path else f"{path}.html")
    assert file.status_code == 200
    assert file.headers["content-disposition"].startswith('attachment; filename="looplab-')
    assert len(file.content) < 3_000_000
    page = read_html(file.text)
    assert not page.all("form")
    assert not page.all("link")
    outside = [
        text
        for element in page.elements()
        if element.tag not in {"script", "style"}
        for attribute, text in element.attributes.items()
        if attribute in {"href", "src", "action"} and not (text or "").startswith("#")
    ]
    assert outside == []
    assert not any("hx-" in name for element in page.elements() for name in element.attributes)
    # The same sentence as on the page, and every figure of it.
    shown = read_html(stored.page(path))
    assert page.all("h1")[0].text == shown.all("h1")[0].text
    drawn = [figure.attributes["figure"] for figure in shown.all("lab-figure")]
    assert [figure.attributes["figure"] for figure in page.all("lab-figure")] == drawn
    assert all("ago" not in time.text for time in page.all("time"))


def test_what_the_target_printed_stays_at_home(stored: Stored) -> None:
    path = f"/runs/{stored.runs.failed}"
    assert BROKEN_LOG[-1].split(":")[0] in stored.page(path)
    report = stored.looplab.get(f"{path}.html").text
    assert "broken" in words(report)
    assert not any(line in report for line in BROKEN_LOG)
    blocked = f"/runs/{stored.runs.blocked}"
    assert 'id="stacks"' in stored.page(blocked)
    assert 'id="stacks"' not in stored.looplab.get(f"{blocked}.html").text


def test_a_report_hides_what_gives_itself_away_as_a_secret(stored: Stored) -> None:
    run_id = stored.runs.exhausted
    note = "by http://ann:canary@db.internal/ with token=canary1"
    assert stored.looplab.client.patch(f"/api/runs/{run_id}", json={"note": note}).is_success
    report = stored.looplab.get(f"/runs/{run_id}.html").text
    assert "http://(hidden)@db.internal/" in report
    assert "canary" not in report


def test_a_program_is_told_in_json_why_there_is_no_report(stored: Stored) -> None:
    gone = stored.looplab.get("/runs/zzzzzzzzzz.html", headers={"accept": "application/json"})
    assert (gone.status_code, gone.json()["error"]) == (404, "not_found")


def test_of_a_long_table_the_page_has_the_first_rows_and_the_report_all(tmp_path: Path) -> None:
    long = items(stop={"duration_s": 2 * ROWS_SHOWN}, trials=1)
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        run = finished(store, long, replace(ASYNC, rate_per_s=20))
    for address in (f"/runs/{run.id}", f"/compare?runs={run.id}"):
        path, _, query = address.partition("?")
        with in_process(tmp_path) as looplab:
            page = read_html(looplab.get(address).text)
            report = read_html(looplab.get(f"{path}.html?{query}").text)
            tables = [
                each for each in page.all("div") if each.attributes.get("class") == "figure-table"
            ]
            (table,) = [each for each in tables if " rows." in each.text]
            link = next(each for each in table.all("a") if each.text.startswith("CSV"))
            lines = looplab.get(link.attributes["href"]).text.splitlines()
        name = table.attributes["id"]
        assert f"The first {ROWS_SHOWN} of {2 * ROWS_SHOWN} rows." in table.text
        assert len(page.by_id(name).all("tr")) == 1 + ROWS_SHOWN
        assert len(report.by_id(name).all("tr")) == len(lines) == 1 + 2 * ROWS_SHOWN
