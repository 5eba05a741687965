"""Nothing holds the queue: neither files that let their reader wait, nor rows that spoil a run."""

import math
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from itertools import cycle
from json import dumps
from pathlib import Path

import pytest

from control_plane.domain.experiment import BlockVariance, Experiment, Findings
from control_plane.domain.ids import new_id
from control_plane.domain.spec import Target
from control_plane.domain.tool_result import ToldOfFile
from control_plane.domain.trend_runs import LEAST_TREND_POINTS, StepMark, TrendKey
from control_plane.other_tools import read_tool_file
from control_plane.store.share_links import ShareSubject
from control_plane.store.store import open_store
from tests.builders import own
from tests.builders.runs import ASYNC, BLOCKING, ENVIRONMENT, THREADED, classic, decided, finished
from tests.builders.trends import P50S, repeated
from tests.dashboard import BARE, Dashboard, items_spec, long_spec, provide_database
from tests.in_process import in_process

WITHIN_S = 15
WRK = Path(__file__).parents[1] / "other_tools" / "files" / "wrk.txt"


def application(folder: Path) -> Path:
    """The settings of `plain`, in a checkout that git knows."""
    (folder / "server.py").write_text(own.SERVER)
    command = f"{sys.executable} server.py {{host}} {{port}}"
    settings = folder / "looplab.toml"
    settings.write_text(own.entry("plain", command=command, env_file="variables"))
    name = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    for words in (["init", "-q"], [*name, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return settings


def test_a_fifo_in_the_place_of_a_file_holds_nothing(clean_after: Path) -> None:
    settings = application(clean_after)
    os.mkfifo(clean_after / "variables")
    (clean_after / "new.py").symlink_to("variables")
    with in_process(clean_after, settings) as looplab:
        of_plain = items_spec(target={"application": "plain"})
        run = looplab.until_state(looplab.submit(of_plain), {"failed"}, WITHIN_S)
        assert f"env_file {clean_after}/variables" in run["reason"]
        settings.unlink()
        os.mkfifo(settings)
        looplab.finished(looplab.submit(items_spec(**BARE)), WITHIN_S)
        assert "it is no regular file" in looplab.get("/targets").text


def test_a_row_that_cannot_be_read_spoils_no_other_run(clean_after: Path) -> None:
    with in_process(clean_after) as looplab:
        first = looplab.submit(long_spec(**BARE))
        odd, last = (looplab.submit(items_spec(**BARE)) for _ in range(2))
        write(looplab, f"update run_facts set spec = '[]' where run = ({seq_of(odd)})")
        looplab.cancel(first)
        looplab.finished(last, WITHIN_S)
        assert read(looplab, f"select state from run where id = '{odd}'") == "failed"


ODD: dict[str, dict[str, object]] = {
    "run": {
        "state": "wild",
        "tags": "[[1]]",
        "title": b"\xff",
        "created_at": "x",
        "rate_per_s": "x",
    },
    "run_facts": {"spec": "", "environment": "5", "log": "{", "validity": "[]", "causes": "[1]"},
    "run_stream": {"summary": "{}", "response": b"x"},
    "trial": {"document": "null", "gauges": "[]"},
    "trial_stream": {"timeline": "5", "seconds": b"x"},
}


def test_what_is_odd_in_a_row_spoils_its_own_line(clean_after: Path) -> None:
    store = open_store(provide_database(clean_after / "runs.db"))
    kept, odd = (finished(store, *made).id for made in classic()[:2])
    store.close()
    paths = cycle(("/", f"/runs/{odd}", f"/compare?runs={kept},{odd}", "/metrics"))
    with in_process(clean_after) as looplab:
        for table, columns in ODD.items():
            key = "seq" if table == "run" else "run"
            place = f"where {key} = ({seq_of(odd)})"
            for column, value in columns.items():
                before = read(looplab, f"select {column} from {table} {place}")
                write(looplab, f"update {table} set {column} = ? {place}", value)
                found = looplab.get("/api/runs").json()
                listed = [run["id"] for run in found["runs"]]
                assert sorted(listed + found["unreadable"]) == sorted([kept, odd]), column
                assert looplab.get(next(paths)).status_code in {200, 404}, column
                write(looplab, f"update {table} set {column} = ? {place}", before)
        write(looplab, f"update run_facts set spec = '' where run = ({seq_of(odd)})")
        assert odd in looplab.get("/history").text
        assert "cannot be read" in looplab.get(f"/runs/{odd}").text
        assert looplab.delete(f"/api/runs/{odd}").status_code == 204


Experiments = tuple[bytes, list[Experiment]]


@pytest.fixture(scope="module")
def experiments(tmp_path_factory: pytest.TempPathFactory) -> Experiments:
    """A database of two equal ones."""
    path = provide_database(tmp_path_factory.mktemp("experiments") / "runs.db")
    with closing(open_store(path)) as store:
        made = [decided(store, "classic", [ASYNC, THREADED, BLOCKING]) for _ in range(2)]
    return path.read_bytes(), made


def laid_in(folder: Path, experiments: Experiments) -> list[Experiment]:
    """Put their database into the folder."""
    database, made = experiments
    (folder / "runs.db").write_bytes(database)
    return made


OF_A_RUN = (
    *("/runs/{run}", "/runs/{run}.html", "/runs/{run}.json", "/runs/{run}.csv", "/api/runs/{run}"),
    *("/api/runs/{run}/gauges", "/bundle?run={run}"),
    *("/compare?runs={kept},{run}", "/compare.csv?runs={kept},{run}"),
    "/api/compare?runs={kept},{run}",
)


def test_a_run_without_one_of_its_trials_cannot_be_read_and_its_experiment_can(
    clean_after: Path, experiments: Experiments
) -> None:
    made, _ = laid_in(clean_after, experiments)
    odd = made.arms[1].run_id or ""
    place = f"where run = ({seq_of(odd)}) and block = 0"
    with in_process(clean_after) as looplab:
        write(looplab, f"update trial_stream set response = 'x' {place}")
        curves = looplab.get(f"/experiments/{made.id}/percentiles")
        assert (curves.status_code, "cannot be read" in curves.text) == (404, True)
        write(looplab, f"update trial set gauges = '[' {place}")
        for path in (f"/runs/{odd}", f"/bundle?run={odd}"):
            answer = looplab.get(path)
            assert (answer.status_code, "cannot be read" in answer.text) == (404, True), path
        write(looplab, f"delete from trial {place}")
        refused_and_listed(looplab, made, odd)


def test_a_trial_without_its_streams_is_as_lost_as_one_that_is_gone(
    clean_after: Path, experiments: Experiments
) -> None:
    made, _ = laid_in(clean_after, experiments)
    odd = made.arms[1].run_id or ""
    with in_process(clean_after) as looplab:
        write(looplab, f"delete from trial_stream where run = ({seq_of(odd)}) and block = 1")
        refused_and_listed(looplab, made, odd)


def refused_and_listed(looplab: Dashboard, made: Experiment, odd: str) -> None:
    """Check that nothing gives numbers of the odd arm, and that what lists it can be read."""
    for path in OF_A_RUN:
        answer = looplab.get(path.format(run=odd, kept=made.arms[0].run_id))
        assert (answer.status_code, "cannot be read" in answer.text) == (404, True), path
    for path in ("/", "/history", f"/experiments/{made.id}"):
        assert looplab.get(path).status_code == 200, path


def test_what_is_odd_in_an_experiment_spoils_its_own_line(
    clean_after: Path, experiments: Experiments
) -> None:
    found = laid_in(clean_after, experiments)
    kept, odd = (each.id for each in found)
    columns = {"document": "{}", "noise": "[1]", "headline": "5", "created_at": "x"}
    with in_process(clean_after) as looplab:
        for column, value in columns.items():
            place = f"where id = '{odd}'"
            before = read(looplab, f"select {column} from experiment {place}")
            write(looplab, f"update experiment set {column} = ? {place}", value)
            for path in ("/", "/history", "/experiments", f"/experiments/{kept}"):
                assert looplab.get(path).status_code == 200, (column, path)
            for path in (f"/experiments/{odd}", f"/api/experiments/runs/{odd}"):
                assert looplab.get(path).status_code in {200, 404}, (column, path)
            assert kept in looplab.get("/api/experiments/runs").text, column
            write(looplab, f"update experiment set {column} = ? {place}", before)
        assert odd in looplab.get("/experiments").text


ODD_DESIGN: dict[str, object] = {
    "$.control": True,
    "$.metric": "none",
    "$.stream": "none",
    "$.blocks": 0,
    "$.margin": -1,
    "$.guardrails[0].metric": "none",
    "$.guardrails[0].margin": -1,
    "$.predictions[0].arm": "none",
    "$.predictions[0].metric": "none",
}


def test_what_is_odd_in_the_design_of_an_experiment_fails_no_page(
    clean_after: Path, experiments: Experiments
) -> None:
    found = laid_in(clean_after, experiments)
    kept, odd = (each.id for each in found)
    place = f"where id = '{odd}'"
    arms = ",".join(arm.run_id or "" for arm in found[1].arms)
    lists = ("/", "/history", "/experiments", f"/experiments/{kept}", f"/compare?runs={arms}")
    with in_process(clean_after) as looplab:
        document = read(looplab, f"select document from experiment {place}")
        for field, value in ODD_DESIGN.items():
            change = f"update experiment set document = json_set(document, ?, json(?)) {place}"
            write(looplab, change, field, dumps(value))
            for path in lists:
                assert looplab.get(path).status_code == 200, (field, path)
            for path in (f"/experiments/{odd}", f"/api/experiments/runs/{odd}"):
                assert looplab.get(path).status_code in {200, 404}, (field, path)
            write(looplab, f"update experiment set document = ? {place}", document)
        of_odd = f"where experiment = (select seq from experiment {place}) and place > 0"
        write(looplab, f"update experiment_arm set name = 'other' {of_odd}")
        assert [looplab.get(path).status_code for path in lists] == [200] * len(lists)


BESIDE: dict[str, tuple[dict[str, object], str]] = {
    "pin": ({"pinned_at": "x", "name": b"\xff"}, "/ /history /api/pins /runs/new"),
    "share_link": ({"kind": -1, "shown": "{", "expires_at": "", "title": b"\xff"}, "/shares"),
    "audit_log": ({"at": "x", "kind": b"\xff", "title": b"\xff"}, "/audit /api/audit"),
    "configuration": ({"target": "[1]", "name": b"\xff"}, "/targets /runs/new /api/configurations"),
    "step_mark": ({"changed_at": "x", "note": b"\xff"}, "/trends/{spec} /api/trends/{spec}"),
    "peer_result": ({"imported_at": "x", "title": b"\xff", "report": "5"}, "/peers /api/peers"),
    "experiment_arm": (
        {"name": b"\xff", "run": b"\xff", "experiment": b"\xff"},
        "/ /history /api/experiments/runs",
    ),
    "block_variance": (
        {"metric": "x", "machine": b"\xff", "variance": 1e6, "df": 0.0},
        "/experiments /api/noise-floor",
    ),
    "experiment_block": (
        {"outcome": b"\xff", "row": 2**62},
        "/ /experiments /api/experiments/runs",
    ),
    "run": ({"id": b"\xff", "started_at": "x"}, "/trends /api/trends /api/runs /api/pins"),
}
"""What else can be odd in a table, and the lists that read it; infinity can be in any column."""


def test_what_is_odd_beside_a_run_spoils_its_own_line(clean_after: Path) -> None:
    db = clean_after / "runs.db"
    ids = repeated(db, P50S[:LEAST_TREND_POINTS])
    store = open_store(db)
    spec, made = store.trend_spec(ids[0]), decided(store, "classic", [THREADED, ASYNC, ASYNC])
    store.begin_block(made.id, 0)
    varied = BlockVariance("bench", "raw, closed, 2 s", "throughput_per_s", 1e-4, 9.0)
    store.keep_findings(made.id, Findings("One is better.", [varied], {}, {}))
    for subject in (ids[0], made.id):
        store.pin(subject, f"release {subject}")
    store.add_configuration("fast", Target())
    store.import_tool_result(WRK, ToldOfFile("wrk.txt"), read_tool_file)
    store.make_share_link(ShareSubject("trend", spec, "a trend"), (), 1)
    key = TrendKey(spec, "", "response_time_s.p50", "", str(ENVIRONMENT["hostname"]))
    store.keep_mark(key, StepMark(new_id(), None, 5, datetime.now(UTC), "a note"), "a trend")
    store.close()
    odd = [
        (table, column, each, paths)
        for table, (columns, paths) in BESIDE.items()
        for column, value in columns.items()
        for each in (value, math.inf)
    ]
    with in_process(clean_after) as looplab:
        for table, column, value, paths in odd:
            place = f"where rowid = (select max(rowid) from {table})"
            before = read(looplab, f"select {column} from {table} {place}")
            write(looplab, f"update {table} set {column} = ? {place}", value)
            for path in paths.format(spec=spec).split():
                assert looplab.get(path).status_code == 200, (table, column, value, path)
            write(looplab, f"update {table} set {column} = ? {place}", before)
        assert len(looplab.get("/api/pins").json()["pins"]) == 2
        write(looplab, "update experiment_block set row = ?", 2**62)
        assert looplab.get(f"/experiments/{made.id}").status_code == 200


HANDED_IN: dict[str, tuple[dict[str, object], int]] = {
    "submission": ({"runs": "x", "digest": b"\xff"}, 409),
    "used_numbers": ({"low": "x", "high": b"\xff"}, 202),
    "secret": ({"value": "{"}, 202),
}
"""What can be odd of what is read where a run is handed in and measured, and the answer then."""


def test_what_is_odd_where_runs_are_handed_in_is_told(clean_after: Path) -> None:
    spec = items_spec(trials=1, warmup_s=0, **BARE)
    spec["workload"]["streams"][0]["requests"] = [
        {
            "path": "/items/{n}",
            "values": {"n": {"kind": "sequence"}},
            "headers": {"Authorization": "Bearer not to be shown"},
        }
    ]
    odd = [
        (table, *each, code) for table, (all_, code) in HANDED_IN.items() for each in all_.items()
    ]
    with in_process(clean_after) as looplab:
        key = {"Idempotency-Key": "a key"}
        looplab.finished(looplab.post("/api/runs", spec, headers=key).json()["id"], WITHIN_S)
        for table, column, value, code in odd:
            before = read(looplab, f"select {column} from {table}")
            write(looplab, f"update {table} set {column} = ?", value)
            made = looplab.post("/api/runs", spec, headers=key if code == 409 else None)
            assert made.status_code == code, (table, column)
            if code == 202:
                run = looplab.until_state(made.json()["id"], {"failed"}, WITHIN_S)
                assert "cannot be read" in run["reason"], (table, column)
            write(looplab, f"update {table} set {column} = ?", before)
        looplab.finished(looplab.submit(spec), WITHIN_S)


def test_a_link_to_what_cannot_be_read_says_so(clean_after: Path) -> None:
    store = open_store(provide_database(clean_after / "runs.db"))
    run = finished(store, *classic()[0])
    token = store.make_share_link(ShareSubject("run", run.id, "a run"), (), 1)
    store.close()
    with in_process(clean_after) as looplab:
        before = read(looplab, "select gauges from trial limit 1")
        write(looplab, "update trial set gauges = '{}'")
        answer = looplab.get(f"/shared/{token}/recipe.looplab")
        assert (answer.status_code, "cannot be read" in answer.text) == (404, True)
        write(looplab, "update trial set gauges = ?", before)
        write(looplab, "update run_stream set run = -1")
        answer = looplab.get(f"/shared/{token}/picture.png")
        assert (answer.status_code, "cannot be read" in answer.text) == (404, True)


def seq_of(run_id: str) -> str:
    return f"select seq from run where id = '{run_id}'"


def write(looplab: Dashboard, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(looplab.db)) as connection, connection:
        connection.execute(statement, values)


def read(looplab: Dashboard, query: str) -> object:
    with closing(sqlite3.connect(looplab.db)) as connection:
        return connection.execute(query).fetchone()[0]
