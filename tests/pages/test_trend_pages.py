"""Trends: from a run to the trend of its spec, what people do to steps, and the nightly job."""

import csv
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import pytest

from control_plane.domain.trend_runs import (
    TrendKey,
)
from control_plane.pages.shared_results import SharedTrend, trend_subject
from control_plane.pages.urls import share_url
from control_plane.store.bundles import write_bundle
from control_plane.store.store import open_store
from tests import forked
from tests.builders.runs import ASYNC, BLOCKING, decided
from tests.builders.trends import P50S, interleaved, repeated
from tests.dashboard import Dashboard, forked_dashboard
from tests.html import read_html
from tests.in_process import in_process
from tests.pages.stored import figures, words


@dataclass(frozen=True)
class Trended:
    """A dashboard with 24 runs of one spec, which is slower from the 13th on."""

    looplab: Dashboard
    ids: list[str]
    spec: str

    def page(self, query: str = "") -> str:
        answer = self.looplab.get(f"/trends/{self.spec}{query}")
        assert answer.status_code == 200, answer.text
        return answer.text

    def told(self, query: str = "") -> dict:
        answer = self.looplab.get(f"/api/trends/{self.spec}{query}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def steps(self, query: str = "") -> list[tuple[str, str]]:
        """Before which run each step stands, and why."""
        return [(step["run"], step["origin"]) for step in self.told(query)["steps"]]

    def deed(self, do: str, status: int = 303, **fields: str) -> str:
        address = f"/trends/{self.spec}/steps"
        answer = self.looplab.post_form(address, [("do", do), *fields.items()])
        assert answer.status_code == status, answer.text
        return answer.text


@pytest.fixture
def trended(tmp_path: Path) -> Iterator[Trended]:
    ids = repeated(tmp_path / "runs.db", P50S, [{"kernel": f"6.1.{n // 18}"} for n in range(24)])
    with in_process(tmp_path) as looplab:
        spec = looplab.get(f"/trends/{ids[0]}").url.path.rpartition("/")[2]
        yield Trended(looplab, ids, spec)


def test_a_run_leads_to_the_trend_of_its_spec(trended: Trended) -> None:
    assert f'href="/trends/{trended.ids[3]}"' in trended.looplab.get(f"/runs/{trended.ids[3]}").text
    page = trended.page()
    said = words(page)
    assert "p50 response time rose by 20 %, which is worse" in said
    assert "24 runs on bench raw numbers" in said
    first, last = trended.ids[11:13]
    assert f"Between run {first} of 00:00 and run {last} of 06:00 UTC on 4 Jan 2026." in said
    assert "Kernel 6.1.0 6.1.1" in said
    assert len(figures(page)["trend"]["data"][0]["x"]) == 24
    assert len(read_html(page).all("tr")) > 24
    listed = trended.looplab.get("/trends").text
    assert f'href="/trends/{trended.spec}?machine=bench"' in listed
    assert 'href="/trends"' in trended.looplab.get("/history").text
    (row,) = trended.looplab.get("/api/trends").json()["trends"]
    assert (row["spec"], row["runs"], row["machine"]) == (trended.spec, 24, "bench")
    figure = trended.looplab.get(f"/trends/{trended.spec}/figures/trend.csv").text
    assert len(figure.splitlines()) == 25
    assert "No step in Throughput" in words(trended.page("?metric=throughput_per_s&x=commit"))


def test_people_add_move_reject_and_annotate_steps(trended: Trended) -> None:
    ids = trended.ids
    assert trended.steps() == [(ids[12], "found")]
    trended.deed("restore", run=ids[12])
    trended.deed("note", run=ids[12], note="The pool\r\nis smaller.")
    assert "The pool is smaller." in words(trended.page())
    trended.deed("move", run=ids[12], to=ids[10])
    assert trended.steps() == [(ids[10], "moved")]
    trended.deed("restore", run=ids[10])
    assert trended.steps() == [(ids[12], "found")]
    trended.deed("reject", run=ids[12])
    assert (trended.steps(), trended.told()["alarm"]) == ([], None)
    assert "Rejected" in words(trended.page())
    trended.deed("add", to=ids[20], note="new disk")
    assert trended.steps() == [(ids[20], "added")]
    said = words(trended.page())
    assert "added by hand" in said
    assert "rejected by hand" in said
    # Each is of one metric.
    assert trended.steps("?metric=response_time_s.p99") == []
    trended.deed("forget", run=ids[20])
    trended.deed("restore", run=ids[12])
    assert trended.told()["steps"][0]["note"] == "The pool\nis smaller."
    assert trended.looplab.get("/api/audit").json()["entries"][0]["action"] == "marked"
    assert f'href="/trends/{trended.spec}"' in trended.looplab.get("/audit").text
    for do, fields in {
        "move": {"run": ids[12], "to": ids[0]},
        "add": {"to": "nothing"},
        "note": {"run": ids[3]},
        "paint": {"run": ids[12]},
    }.items():
        trended.deed(do, 422, **fields)
    # No step hides another, and one that was added goes as it came.
    trended.deed("add", 422, to=ids[12], note="lost?")
    trended.deed("add", to=ids[20])
    trended.deed("move", 422, run=ids[12], to=ids[20])
    trended.deed("reject", 422, run=ids[20])
    trended.deed("restore", 422, run=ids[20])
    trended.deed("forget", run=ids[20])
    trended.deed("move", run=ids[12], to=ids[12])
    trended.deed("note", 422, run=ids[12], note="x" * 1_001)
    foreign = trended.looplab.post_form(
        f"/trends/{trended.spec}/steps", [("do", "reject"), ("run", ids[12])],
        {"origin": "http://elsewhere.test"},
    )  # fmt: skip
    assert foreign.status_code == 403
    assert len(trended.steps()) == 1


def test_a_trend_goes_to_others_as_files(trended: Trended) -> None:
    ids, address = trended.ids, f"/trends/{trended.spec}"
    trended.deed("note", run=ids[12], note="The pool is smaller.")
    page = read_html(trended.page())
    linked = {unescape(each.attributes.get("href") or "") for each in page.all("a")}
    assert {f"{address}.html", f"{address}.looplab"} <= linked
    assert share_url("trend", trended.spec) in linked
    report = trended.looplab.get(f"{address}.html").text
    assert len(report) < 3_000_000
    shown = read_html(report)
    drawn = [each.attributes["figure"] for each in shown.all("lab-figure")]
    assert drawn == [each.attributes["figure"] for each in page.all("lab-figure")]
    assert not shown.all("form")
    (row,) = [row.text for row in shown.all("tr") if "The pool is smaller." in row.text]
    for text in ("+20 %, worse", ids[11], ids[12], "10.0 ms before", "1f0c2ab"):
        assert text in " ".join(row.split())
    copied = [
        trended.looplab.get(each.attributes["data-from"]).text
        for each in page.all("button")
        if each.attributes.get("data-from")
    ]
    assert "| +20\N{NO-BREAK SPACE}% | worse |" in copied[0]
    assert f"/trends/{trended.spec}>)" in copied[0]
    rows = copied[1].splitlines()
    assert (len(rows), rows[13].split("\t")[1]) == (25, ids[12])
    assert rows[13].endswith("rose by 20\N{NO-BREAK SPACE}%, worse")
    assert f"{address}.csv" in linked
    exported = csv.reader(trended.looplab.get(f"{address}.csv").text.splitlines())
    assert [*exported] == [*csv.reader(rows, delimiter="\t")]


def test_the_runs_of_a_trend_go_to_another_looplab(trended: Trended, tmp_path: Path) -> None:
    bundle = tmp_path / "nights.looplab"
    bundle.write_bytes(trended.looplab.get(f"/trends/{trended.spec}.looplab").content)
    made = write_bundle(tmp_path / "runs.db", tmp_path / "all.looplab", [trended.spec])
    assert made.runs == 24
    (tmp_path / "there").mkdir()
    with in_process(tmp_path / "there") as there:
        taken = there.client.post("/api/import", content=bundle.read_bytes()).json()
        (again,) = there.get(f"/api/runs?text={trended.ids[3]}").json()["runs"]
    assert sorted(taken["runs"]) == sorted(trended.ids)
    assert again["streams"] == trended.looplab.get(f"/api/runs/{trended.ids[3]}").json()["streams"]


@pytest.mark.parametrize("ending", ["html", "looplab"])
def test_a_trend_is_exported_by_command_line(tmp_path: Path, ending: str) -> None:
    (run_id, *_) = repeated(tmp_path / "runs.db", P50S)
    with in_process(tmp_path) as looplab:
        spec = looplab.get(f"/trends/{run_id}").url.path.rpartition("/")[2]
    option = "--html" if ending == "html" else "--bundle"
    told = forked.looplab(["export", spec, option, f"trend.{ending}"], tmp_path)
    assert told.returncode == 0, told.stderr
    written = (tmp_path / f"trend.{ending}").read_bytes()
    if ending == "html":
        assert "rose by 20" in words(written.decode())
    else:
        assert written.startswith(b"SQLite format 3")


def test_an_added_step_is_named_and_hides_no_alarm(trended: Trended) -> None:
    ids = trended.ids
    trended.deed("add", to=ids[20])
    told, said = trended.told(), words(trended.page())
    assert told["alarm"]["run"] == ids[12]
    assert "rose by 20 %, which is worse" in said
    assert "1 later step, added by hand." in said
    copied = trended.looplab.get(f"/trends/{trended.spec}.md").text
    assert "| within margin (added by hand) |" in copied
    trended.deed("reject", run=ids[12])
    assert trended.told()["alarm"] is None
    assert ": added by hand" in words(trended.page())


def test_an_alarm_is_told_once(trended: Trended) -> None:
    told = trended.looplab.post(f"/api/trends/{trended.ids[5]}/told").json()
    assert told["alarm"]["run"] == trended.ids[12]
    again = trended.looplab.post(f"/api/trends/{trended.spec}/told").json()
    assert (again["alarm"], len(again["steps"])) == (None, 1)
    assert again["steps"][0]["told_at"]


def test_what_there_is_not_is_refused(trended: Trended) -> None:
    for name in ("metric", "stream", "machine", "against", "margin", "x"):
        answer = trended.looplab.get(f"/api/trends/{trended.spec}?{name}=7")
        assert answer.status_code == 422
        assert [error["field"].rpartition(".")[2] for error in answer.json()["fields"]] == [name]
    for spec in ("0123456789abcdef", "nothing", "0" * 10):
        assert trended.looplab.get(f"/api/trends/{spec}").status_code == 404


def test_suspect_runs_are_asked_for_and_deleted_ones_leave(tmp_path: Path) -> None:
    ids = repeated(tmp_path / "runs.db", P50S)
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        database.execute("UPDATE run SET outcome = 'suspect' WHERE seq = 3")
    with in_process(tmp_path) as looplab:
        assert looplab.delete(f"/api/runs/{ids[1]}").status_code == 204
        said = words(looplab.get(f"/trends/{ids[0]}").text)
        assert "22 runs on bench raw numbers" in said
        assert "1 suspect run left out" in said
        page = looplab.get(f"/trends/{ids[0]}?suspect=true").text
        told = looplab.get(f"/api/trends/{ids[0]}?suspect=true").json()
        comment = looplab.get(f"/trends/{told['spec']}.md?suspect=true").text
    assert "; 1 of 23 runs is suspect**" in comment
    assert "1 of 23 runs suspect" in words(page)
    (badge,) = [each for each in read_html(page).all("span") if "suspect" in each.text]
    assert badge.attributes["class"] == "badge suspect"
    assert told["left_out"]["suspect"] == 0
    assert "circle-open" in figures(page)["trend"]["data"][0]["marker"]["symbol"]


@pytest.mark.parametrize(
    ("suspect", "told"),
    [("", "1 suspect run left out"), ("suspect=true&", "1 of 24 runs is suspect")],
)
def test_a_preview_of_a_trend_counts_suspect_runs_though_they_are_left_out(
    tmp_path: Path, suspect: str, told: str
) -> None:
    ids = repeated(tmp_path / "runs.db", P50S)
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        database.execute("UPDATE run SET outcome = 'suspect' WHERE seq = 3")
    with closing(open_store(tmp_path / "runs.db")) as store:
        of = trend_subject(store, f"{store.trend_spec(ids[0])}?{suspect}")
        link = store.open_share_link(store.make_share_link(of, [], 1))
        assert link is not None
        shared = SharedTrend(link, store)
        assert (shared.picture().note, shared.outcomes) == (told, ("suspect",))
        assert shared.description.endswith(told)


def test_a_nightly_job_ends_with_ten_once(tmp_path: Path) -> None:
    (run_id, *_) = repeated(tmp_path / "runs.db", P50S)
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        database.execute("UPDATE run SET outcome = 'suspect' WHERE seq = 3")
    ended = [
        forked.looplab(["trend", run_id, *more], tmp_path)
        for more in ([], ["--json", "--look"], ["--json"], ["--once"], ["--json"])
    ]
    # Who looks takes no alarm from the job.
    assert [process.returncode for process in ended] == [10, 10, 10, 0, 0]
    looked = ended[0].stdout.replace("\N{NO-BREAK SPACE}", " ")
    assert "rose by 20 %" in looked
    assert "+20 %" in looked
    assert "which is worse; 1 suspect run left out, which --suspect counts, too." in looked
    assert looked.count("left out") == 1
    assert "until --once or --json" in looked
    alarms = [json.loads(ended[place].stdout)["alarm"] for place in (1, 2, 4)]
    assert [alarm is None for alarm in alarms] == [False, False, True]


def test_the_link_of_a_trend_leads_to_what_was_asked_for(tmp_path: Path) -> None:
    (run_id, *_) = repeated(tmp_path / "runs.db", P50S)
    with forked_dashboard(tmp_path) as looplab:
        told = forked.looplab(["trend", run_id, "--suspect", "--by-commit"], tmp_path)
        address = told.stdout.split()[-1]
        assert address.startswith(f"{looplab.url}/trends/")
        assert address.endswith("?x=commit&suspect=true")


def test_steps_are_changed_by_programs_as_by_people(trended: Trended) -> None:
    ids, address = trended.ids, f"/api/trends/{trended.spec}/steps"

    def changed(status: int = 200, **body: object) -> dict:
        answer = trended.looplab.client.post(address, json=body)
        assert answer.status_code == status, answer.text
        return answer.json()

    def steps(told: dict) -> list[tuple[str, str, str]]:
        return [(step["run"], step["origin"], step["note"]) for step in told["steps"]]

    def cannot_forget(run: str) -> None:
        (field,) = changed(422, do="forget", run=run)["fields"]
        assert (field["field"], field["message"][:21]) == ("do", "Nobody added this ste")

    cannot_forget(ids[12])
    told = changed(do="note", run=ids[12], note="smaller pool")
    assert steps(told) == [(ids[12], "found", "smaller pool")]
    assert steps(changed(do="move", run=ids[12], to=ids[10])) == [
        (ids[10], "moved", "smaller pool")
    ]
    cannot_forget(ids[10])
    told = changed(do="reject", run=ids[10])
    assert (steps(told), told["rejected"][0]["run"]) == ([], ids[12])
    cannot_forget(ids[12])
    assert steps(changed(do="restore", run=ids[12])) == [(ids[12], "found", "smaller pool")]
    added = changed(do="add", to=ids[20], note="new disk")
    assert steps(added)[1] == (ids[20], "added", "new disk")
    assert len(steps(changed(do="forget", run=ids[20]))) == 1
    wrong: dict[str, dict[str, object]] = {
        "run": {"do": "note", "run": ids[3]},
        "to": {"do": "add", "to": ids[0]},
        "do": {"do": "paint", "run": ids[12]},
        "note": {"do": "note", "run": ids[12], "note": "x" * 1_001},
        "colour": {"do": "note", "run": ids[12], "colour": "red"},
    }
    for field, body in wrong.items():
        fields = changed(422, **body)["fields"]
        assert [each["field"].rpartition(".")[2] for each in fields] == [field]
    entries = trended.looplab.get("/api/audit").json()["entries"]
    assert [entry["action"] for entry in entries].count("marked") == 6


def test_runs_in_turns_with_a_pinned_baseline_are_ratios_to_it(tmp_path: Path) -> None:
    store = open_store(tmp_path / "runs.db")
    made = decided(store, "classic", [BLOCKING, ASYNC, ASYNC])
    baseline, contender = (arm.run_id or "" for arm in made.arms[:2])
    store.pin(baseline, "release 2.3")
    spec, base = (store.trend_spec(run_id) for run_id in (contender, baseline))
    key = TrendKey(spec, "", "throughput_per_s", base)
    found = store.trend_runs(key, suspect=True)
    assert [(each.name, each.runs) for each in found.baselines] == [("release 2.3", 1)]
    assert [len(run.blocks) for run in found.runs] == [made.design.blocks]
    assert all(ours != theirs for run in found.runs for theirs, ours in run.blocks)
    start = store.trend_runs(TrendKey(spec, "", "ready_s"), suspect=True)
    assert [run.value for run in start.runs] == [0.41]
    store.close()


@pytest.mark.parametrize(
    ("experiments", "chosen"), [(9, "raw numbers"), (10, "ratio to release 2.3")]
)
def test_ratios_are_chosen_where_runs_enough_have_one(
    tmp_path: Path, experiments: int, chosen: str
) -> None:
    spec = interleaved(tmp_path / "runs.db", experiments)
    with in_process(tmp_path) as looplab:
        page = looplab.get(f"/trends/{spec}?metric=throughput_per_s").text
        raw = looplab.get(f"/api/trends/{spec}?against=raw").json()
        ratio = re.search(r"against=(?!raw)\w+", page)
        shown = looplab.get(f"/trends/{spec}?metric=throughput_per_s&{ratio and ratio[0]}").text
        shown += looplab.get(f"/trends/{spec}?metric=error_share").text
        links = {unescape(link) for link in re.findall(rf'href="(/trends/{spec}\?[^"]*)"', shown)}
        followed = [(link, looplab.get(link).status_code) for link in links]
    assert f"{experiments} runs on bench {chosen}" in words(page)
    assert (raw["baseline"], len(raw["points"])) == (None, experiments)
    assert ("error_y" in figures(page)["trend"]["data"][0]) == (experiments >= 10)
    assert {status for _, status in followed} == {200}


def test_a_ratio_to_a_suspect_baseline_is_suspect(tmp_path: Path) -> None:
    spec = interleaved(tmp_path / "runs.db", 11)
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        database.execute("UPDATE run SET outcome = 'suspect' WHERE seq = 1")
    query = f"/api/trends/{spec}?metric=throughput_per_s"
    with in_process(tmp_path) as looplab:
        asked, valid = (looplab.get(query + more).json() for more in ("&suspect=true", ""))
        with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
            database.execute(
                "UPDATE run SET outcome = 'suspect' WHERE seq IN"
                " (SELECT run FROM experiment_arm WHERE place = 0)"
            )
        none = looplab.get(query).json()
    assert [len(found["points"]) for found in (asked, valid)] == [11, 10]
    assert [point["validity"] for point in asked["points"]].count("suspect") == 1
    assert valid["left_out"] == {"suspect": 1, "without_number": 0}
    # Raw numbers are chosen where no baseline is valid.
    assert (none["baseline"], len(none["points"])) == (None, 11)
