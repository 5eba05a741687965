"""The list of trends, on the page, through the API and on the command line."""

import sqlite3
from contextlib import closing
from pathlib import Path

from control_plane.store.bundles import write_bundle
from tests import forked
from tests.builders.trends import P50S, repeated
from tests.in_process import in_process
from tests.pages.stored import words


def test_trends_of_suspect_runs_are_listed_where_asked_for(tmp_path: Path) -> None:
    repeated(tmp_path / "runs.db", P50S)
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        database.execute("UPDATE run SET outcome = 'suspect' WHERE seq > 9")
    with in_process(tmp_path) as looplab:
        page = looplab.get("/trends").text
        assert "15 suspect runs of 1 spec left out" in words(page)
        assert 'href="/trends?suspect=true"' in page
        assert "No trend of valid runs" in page
        assert "10 times" not in page
        shown = looplab.get("/trends?suspect=true").text
        assert "machine=bench&amp;suspect=true" in shown
        told = looplab.get("/api/trends").json()
        left_out = {"specs": 1, "suspect": 15, "imported": 0}
        assert told == {"trends": [], "left_out": left_out}
        every = looplab.get("/api/trends?suspect=true").json()
        assert every["left_out"] == {"specs": 0, "suspect": 0, "imported": 0}
        (listed,) = looplab.get("/api/trends?suspect=true&machine=bench").json()["trends"]
        assert listed["runs"] == 24
        assert looplab.get("/api/trends?machine=nowhere").status_code == 422
    ended = [
        forked.looplab(["trend", *more], tmp_path)
        for more in (["--suspect"], ["--metric", "foo"], ["--machine", "nowhere"], [])
    ]
    assert [process.returncode for process in ended] == [0, 2, 2, 0]
    assert "No trend: it takes 10 valid runs" in ended[3].stdout
    assert "15 suspect runs of 1 spec left out: --suspect counts them" in ended[3].stdout
    assert "left out" not in ended[0].stdout
    assert listed["spec"] in ended[0].stdout


def test_imported_runs_are_named_where_they_make_no_trend(tmp_path: Path) -> None:
    repeated(tmp_path / "theirs.db", P50S)
    write_bundle(tmp_path / "theirs.db", tmp_path / "theirs.looplab", [])
    with in_process(tmp_path) as looplab:
        sent = {"file": ("theirs.looplab", (tmp_path / "theirs.looplab").read_bytes())}
        assert looplab.client.post("/import", files=sent).status_code < 400
        assert "24 imported runs left out" in words(looplab.get("/trends").text)
        assert looplab.get("/api/trends").json()["left_out"]["imported"] == 24
