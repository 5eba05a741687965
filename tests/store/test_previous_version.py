"""A database that the version before wrote: every run is shown as it was, from the same files.

`previous/` holds that database (three finished runs and a configuration that was added), the
`looplab.toml` and the specs that they were made from, and what the version before responded.
"""

import json
import lzma
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import spec_digest, write_spec
from control_plane.jobs.submissions import Submissions
from control_plane.settings import load_settings
from control_plane.store.run_search import INDEX_TEXTS
from control_plane.store.schema_and_backups import migrate
from control_plane.store.store import open_store
from control_plane.targets.configurations import Configurations
from tests.dashboard import Dashboard
from tests.in_process import in_process
from tests.pages.stored import figures

PREVIOUS = Path(__file__).parent / "previous"
ADDED = "mine, quick"
HEADERS = json.dumps({"Cookie": "s=canary-1; role=worker; kind=status"})
FAILED = {
    "error": "status", "request": "GET /", "body": "no canary-1", "detail": "as worker canary-",
}  # fmt: skip
CANARY_LOG = '["told: canary-1"]'
SPECS: dict[str, dict[str, Any]] = json.loads((PREVIOUS / "specs.json").read_text())
RESPONSES = json.loads(lzma.decompress((PREVIOUS / "responses.json.xz").read_bytes()))


def restored(folder: Path) -> Path:
    """Unpack the database and its `looplab.toml` into the folder; the path of the database."""
    database = folder / "runs.db"
    database.write_bytes(lzma.decompress((PREVIOUS / "runs.db.xz").read_bytes()))
    shutil.copy(PREVIOUS / "looplab.toml", folder)
    return database


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("previous")
    restored(folder)
    with in_process(folder, folder / "looplab.toml") as started:
        yield started


def test_plain_secrets_of_before_move_out_of_specs_and_logs(tmp_path: Path) -> None:
    """The version before kept them in the spec, and in lines that servers printed."""
    database = restored(tmp_path)
    with closing(sqlite3.connect(database)) as plain, plain:
        plain.execute(
            "UPDATE run_facts SET spec = json_set(spec, ?, json(?)), log = ?",
            ("$.workload.streams[0].requests[0].headers", HEADERS, CANARY_LOG),
        )
        plain.execute(
            "UPDATE trial SET document ="
            " json_set(document, '$.target.log', json(?), '$.failures', json(?),"
            " '$.streams[0].name', ?)",
            (CANARY_LOG, json.dumps([FAILED]), "worker"),
        )
    store = open_store(database)
    try:
        runs = store.runs(limit=9).runs
        headers = {run.spec.workload.streams[0].requests[0].headers["Cookie"] for run in runs}
        assert {*map(tuple, (run.log for run in runs))} == {("told: [part 1 of Cookie]",)}
        assert len(headers) == 1
        (kept,) = {tuple(store.secrets_of(run.id).values()) for run in runs}
        assert kept == ('"s=canary-1; role=worker; kind=status"',)
        trial = next(trial for run in runs for trial in store.run(run.id).trials)
        assert trial.streams[0].name == "worker"
        assert trial.target.log == ("told: [part 1 of Cookie]",)
        (failed,) = trial.failures
        assert (failed.error, failed.body, failed.detail) == (
            "status", "no [part 1 of Cookie]", "as [part 2 of Cookie] [part 1 of Cookie]",
        )  # fmt: skip
    finally:
        store.close()
    with closing(sqlite3.connect(database)) as now:
        rows = [line for line in now.iterdump() if "canary-1" in line]
    assert [row.partition(" VALUES")[0] for row in rows] == ['INSERT INTO "secret"']
    (backup,) = tmp_path.glob("runs.db.schema-*")
    assert backup.stat().st_mode & 0o777 == 0o600


def test_the_search_of_an_older_database_finds_commits(tmp_path: Path) -> None:
    """With what it found before: its index holds what is made of the same runs now."""
    database = restored(tmp_path)
    migrate(database, "0027")
    commit, other = "b176e59" + "0" * 33, "c" * 40
    with closing(sqlite3.connect(database)) as older, older:
        facts = "json_set(coalesce(environment, '{}'), '$.application_commit', ?, '$.commit', ?)"
        older.execute(f"UPDATE run_facts SET environment = {facts} WHERE run > 1", (commit, other))
        older.execute("UPDATE run_facts SET environment = '{damaged' WHERE run = 1")
        applications = dict(iter(older.execute("SELECT seq, application FROM run").fetchall()))
    migrate(database)
    every = "SELECT rowid, text FROM run_text ORDER BY rowid"
    with closing(sqlite3.connect(database)) as now:
        searched = "SELECT rowid FROM run_text WHERE run_text MATCH ? ORDER BY rowid"
        for digits, bundled in (("b176e59", False), ("c" * 7, True)):
            found = [seq for (seq,) in now.execute(searched, (digits,))]
            assert found == [seq for seq in (2, 3) if (applications[seq] == "bundled") is bundled]
        moved = now.execute(every).fetchall()
        now.execute("DELETE FROM run_text")
        now.execute(INDEX_TEXTS)
        for (seq, text), (_, anew) in zip(moved, now.execute(every).fetchall(), strict=True):
            assert {*re.split("[\n\x1f]+", text)} >= {*re.split("[\n\x1f]+", anew)}, seq


DOCUMENTS = [path for path in RESPONSES["documents"] if path != "/api/configurations"]


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_documents_are_the_same(looplab: Dashboard, path: str) -> None:
    """Keys may come, at any depth, and metrics of a comparison; none goes or changes."""
    before = RESPONSES["documents"][path]
    now = without_new_keys(looplab.get(path).json(), before)
    if "catch" in before:
        # It gives all reasons of an outcome now, where it gave the first.
        assert now.pop("catch").startswith(before.pop("catch")[:60])
    if before.get("sentence") == "Not compared: no other run is valid.":
        # It names the runs that are not.
        assert now.pop("sentence") == "Not compared: B threaded is invalid."
        del before["sentence"]
    assert now == before


def without_new_keys(now: Any, before: Any) -> Any:
    """Return what is now without the keys that no object at its place had before."""
    if isinstance(now, dict) and isinstance(before, dict):
        return {key: without_new_keys(now[key], before[key]) for key in before if key in now}
    if isinstance(now, list) and isinstance(before, list):
        metrics = {row["metric"] for row in before if isinstance(row, dict) and "metric" in row}
        now = [row for row in now if not metrics or row["metric"] in metrics]
    if isinstance(now, list) and isinstance(before, list) and len(now) == len(before):
        return [without_new_keys(*pair) for pair in zip(now, before, strict=True)]
    return now


@pytest.mark.parametrize("path", RESPONSES["pages"])
def test_the_addresses_of_pages_lead_to_the_same_figures_and_numbers(
    looplab: Dashboard, path: str
) -> None:
    response, before = looplab.get(path), RESPONSES["pages"][path]
    assert response.status_code == 200
    # A table may have more columns at its end.
    lines = iter(response.text.splitlines())
    told = before.get("text", "").splitlines()
    assert all(any(now.startswith(line) for now in lines) for line in told)
    drawn = before.get("figures", {})
    # With too few samples a sentence stands in its place now, where a line of zeros was.
    assert traces(figures(response.text)) == {
        name: data for name, data in traces(drawn).items() if name != "shift"
    }


def traces(found: dict[str, Any]) -> dict[str, Any]:
    """What each figure draws; where its labels stand, and how a hover says it, is its layout."""
    return {name: [*map(drawn_by, figure["data"])] for name, figure in found.items()}


def drawn_by(trace: dict[str, Any]) -> dict[str, Any]:
    """A trace without its words; strips are named now where they had numbers.

    They hold their own values now, where they had parts of what is full.
    """
    said = {"text", "hovertemplate", "full"}
    kept = {key: value for key, value in trace.items() if key not in said}
    if trace["type"] == "heatmap" and len(trace["y"]) == len(trace["z"]):
        kept["y"] = [*range(len(trace["y"]))]
        full = trace.get("full", [1] * len(trace["z"]))
        kept["z"] = [
            [None if value is None else float(f"{value / limit:.3g}") for value in row]
            for row, limit in zip(trace["z"], full, strict=True)
        ]
    return kept


def test_an_added_configuration_stays(looplab: Dashboard) -> None:
    before = {
        document["name"]: document for document in RESPONSES["documents"]["/api/configurations"]
    }
    now = {document["name"]: document for document in looplab.get("/api/configurations").json()}
    assert without_new_keys(now[ADDED], before[ADDED]) == before[ADDED]


@pytest.mark.parametrize("run_id", SPECS)
def test_the_specs_are_read_as_before(tmp_path: Path, run_id: str) -> None:
    database = restored(tmp_path)
    settings = load_settings(db=database, config=tmp_path / "looplab.toml")
    store = open_store(database)
    try:
        configurations = Configurations(store, lambda document: submissions.resolve(document).spec)
        submissions = Submissions(configurations.resolve, Limits(), settings.applications)
        spec = submissions.resolve(SPECS[run_id]).spec
        # A run from before belongs to the trend of those that are handed in now.
        assert store.trend_spec(run_id) == spec_digest(spec)
    finally:
        store.close()
    before = RESPONSES["documents"][f"/api/runs/{run_id}"]["spec"]
    # A made title begins with what is asked, where the stream was given no name.
    made = before["title"].replace("requests, ", "GET /, ", 1)
    assert without_new_keys(write_spec(spec), before) == before | {"title": made}
