"""Results of other tools: imported by page and API, shown as what they are, set beside runs."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.dashboard import Dashboard
from tests.html import read_html
from tests.in_process import in_process
from tests.pages.stored import Stored, words

FILES = Path(__file__).parent.parent / "other_tools" / "files"
ALONE = "The percentiles that the tool wrote, and no others"


def taken(looplab: Dashboard, name: str, query: str = "") -> str:
    content = (FILES / name).read_bytes()
    told = looplab.client.post(f"/api/import?name={name}{query}", content=content)
    assert told.status_code == 200, told.text
    assert (told.json()["runs"], told.json()["experiments"]) == ([], [])
    (peer_id,) = told.json()["peers"]
    return str(peer_id)


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.iterdir()))
def test_each_file_has_a_page_that_never_judges_it(stored: Stored, name: str) -> None:
    peer_id = taken(stored.looplab, name)
    page = stored.looplab.get(f"/peers/{peer_id}")
    assert page.status_code == 200
    found = stored.looplab.get(f"/api/peers/{peer_id}").json()
    text = words(page.text)
    assert f"{found['judgement']}" in text
    assert found["judgement"].endswith(", not judged")
    assert found["validity"] == {"outcome": None, "reasons": []}
    assert found["file"]["sha256"] in text
    has_samples = any(stream["has_samples"] for stream in found["streams"])
    assert (ALONE in text) != has_samples or 'id="curves"' not in page.text
    assert "canary" not in page.text + str(found)
    for figure in read_html(page.text).all("lab-figure"):
        address = f"/peers/{peer_id}/figures/{figure.attributes['id']}.csv"
        assert stored.looplab.get(address).status_code == 200


def test_a_file_is_kept_once_listed_renamed_and_deleted(empty: Dashboard) -> None:
    form = read_html(empty.get("/import").text).all("form")[1]
    assert form.attributes["enctype"] == "multipart/form-data"
    assert "Nothing is imported yet" in words(empty.get("/peers").text)
    upload = {"file": ("<b>w.txt", (FILES / "wrk2.txt").read_bytes())}
    shown = empty.client.post("/import", files=upload, data={"kind": "wrk2", "unit": ""})
    assert shown.url.path.startswith("/peers/")
    assert "&lt;b&gt;w.txt" in shown.text
    peer_id = shown.url.path.rpartition("/")[2]
    again = empty.client.post("/import", files=upload, data={"kind": "wrk2"})
    assert again.url.path == shown.url.path
    empty.client.post(f"/peers/{peer_id}/edit", data={"title": "mine"})
    assert "mine wrk2 all requests 2,000 /s" in words(empty.get("/peers").text)
    assert [entry["action"] for entry in empty.get("/api/audit").json()["entries"]] == ["imported"]
    with closing(sqlite3.connect(empty.db)) as database, database:
        database.execute("""UPDATE peer_result SET report = replace(report, '"50":', '"²":')""")
    assert "cannot be shown: '²' is no percentile" in words(empty.get("/peers").text)
    for path in (f"/peers/{peer_id}", f"/peers/compare?results={peer_id}", f"/api/peers/{peer_id}"):
        assert empty.get(path).status_code == 404
        assert "cannot be shown" in empty.get(path).text
    empty.client.post(f"/peers/{peer_id}/delete")
    assert empty.get("/api/peers").json() == {"peers": []}
    for path in (f"/peers/{peer_id}", f"/api/peers/{peer_id}", "/peers/../etc"):
        assert empty.get(path).status_code == 404
    wrong = empty.client.post("/import", files=upload, data={"kind": "k6"})
    assert wrong.status_code == 422
    assert "it looks like that of wrk2" in wrong.text
    assert empty.get("/api/peers").json() == {"peers": []}


def test_it_has_a_report_and_markdown_is_found_and_travels(stored: Stored, tmp_path: Path) -> None:
    peer_id = taken(stored.looplab, "vegeta.json")
    title = stored.looplab.get(f"/api/peers/{peer_id}").json()["title"]
    report = stored.looplab.get(f"/peers/{peer_id}.html")
    assert report.headers["content-disposition"].endswith(f'looplab-result-{peer_id}.html"')
    assert "not judged" in words(report.text)
    assert not read_html(report.text).all("form")
    written = stored.looplab.get(f"/peers/{peer_id}.md").text
    assert "not judged" in written
    assert f"/peers/{peer_id}>" in written
    pair = f"results={peer_id},{stored.runs.streams}"
    assert "not judged" in words(stored.looplab.get(f"/peers/compare.html?{pair}").text)
    runs = f"runs={peer_id},{stored.runs.streams}"
    for ending in ("", ".html", ".csv", ".md"):
        led_to = stored.looplab.get(f"/compare{ending}?{runs}").url
        assert (led_to.path, led_to.query.decode()) == (f"/peers/compare{ending}", pair)
    assert f'href="/peers/{peer_id}"' in stored.looplab.get("/history?text=vegeta.json").text
    assert f'href="/peers/{peer_id}"' not in stored.looplab.get("/history?text=zzzz").text
    bundle = stored.looplab.get(f"/bundle?run={peer_id}", headers={"Accept": "*/*"})
    with in_process(tmp_path) as there:
        shown = there.client.post("/import", files={"file": ("a.looplab", bundle.content)})
        assert shown.url.path == f"/peers/{peer_id}"
        assert title in words(shown.text)


def test_what_failed_whole_has_no_ratio(stored: Stored) -> None:
    """Its times are those of failures, however quick."""
    csv = (
        "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset"
    )
    rows = [csv, *("0.0010,0.0002,0.0001,0.0000,0.0007,0.0001,500,0.1" for _ in range(50))]
    failed = stored.looplab.client.post("/api/import?name=failed.csv", content="\n".join(rows))
    (peer_id,) = failed.json()["peers"]
    assert "nothing but failures" in words(stored.looplab.get(f"/peers/{peer_id}").text)
    run_id = stored.runs.streams
    for order in (f"{peer_id},{run_id}", f"{run_id},{peer_id}"):
        told = stored.looplab.get(f"/api/peers/compare?results={order}&anyway=1").json()
        assert {ratio for row in told["rows"] for ratio in row["ratios"].values()} == {None}
        assert "failed, so it has no ratio" in told["note"]


def test_beside_a_run_it_has_no_ratio_unless_one_machine_measured_both(stored: Stored) -> None:
    """Each on the clock of the tool; nothing has an interval, nobody is better."""
    late, sent = (taken(stored.looplab, name) for name in ("wrk2.txt", "oha.json"))
    run_id = stored.runs.streams
    address = f"/peers/compare?results={late},{run_id},{sent}"
    page = stored.looplab.get(address)
    text = words(page.text)
    assert "do not say on which machine" in text
    assert "×" not in text
    assert text.count("percentiles alone") == 2
    assert "from when it was meant to be sent" in text
    anyway = words(stored.looplab.get(f"{address}&anyway=1").text)
    assert "hold if one machine measured all" in anyway
    rows = stored.looplab.get(f"{address}&anyway=1".replace("compare?", "compare.csv?")).text
    ratios = {}
    for row in rows.splitlines()[1:]:
        cells = row.rsplit(",", 6)
        ratios[cells[0].split(",")[0], cells[-3]] = cells[-1]
    assert ratios[run_id, "p50"] != ""
    assert ratios[sent, "p50"] == ""
    assert ratios[sent, "throughput_per_s"] != ""
    run = stored.looplab.run(run_id)["streams"][0]
    assert f",p50,{run['response_time_s']['p50']}" in rows
    told = stored.looplab.get(f"/api{address}&anyway=1").json()
    by_name = {row["metric"]: row["ratios"] for row in told["rows"]}
    assert f"{by_name['p50'][run_id]}" == ratios[run_id, "p50"]
    assert by_name["p50"][sent] is None
    text = stored.looplab.get(address.replace("compare?", "compare.md?")).text
    assert "measured by wrk2, not judged" in text
    assert "×" not in text
    offered = stored.looplab.get(f"/peers?beside={run_id}").text
    assert f"/peers/compare?results={late},{run_id}" in offered
    runs = f"/peers/compare?results={stored.runs.classic[0]},{stored.runs.elsewhere}"
    refused = [stored.looplab.get(runs.replace("?", f"{form}?")).text for form in ("", ".md")]
    refused.append(stored.looplab.get(f"/api{runs}").json()["note"])
    assert all("No ratios: B was measured in another environment" in text for text in refused)
    assert not any("×" in text for text in refused)
    assert "×" in stored.looplab.get(f"{runs}&anyway=1").text
    assert stored.looplab.get("/peers/compare?results=zzzzzzzzzz").status_code == 404
    assert stored.looplab.get("/peers/compare").status_code == 422


def test_the_address_of_a_comparison_of_runs_leads_to_the_page_that_has_both(
    stored: Stored,
) -> None:
    peer_id, run_id = taken(stored.looplab, "wrk2.txt"), stored.runs.streams
    answer = stored.looplab.get(f"/compare?runs={run_id},{peer_id}")
    assert (answer.status_code, answer.url.path) == (200, "/peers/compare")
    assert answer.url.params["results"] == f"{run_id},{peer_id}"
