"""The command line, with and without a dashboard."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from control_plane import __version__
from control_plane.domain.run import State
from control_plane.store.instance_lock import lock_path, read_lock
from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, ENVIRONMENT, finished, items
from tests.builders.states import held_elsewhere, in_state
from tests.builders.trends import P50S, repeated
from tests.conftest import Call
from tests.dashboard import (
    BARE,
    DashboardProcess,
    forked_dashboard,
    instance_of,
    items_spec,
    long_spec,
    marked,
    provide_database,
    until,
)
from tests.forked import forked, looplab

WRK = Path(__file__).parent / "other_tools" / "files" / "wrk.txt"


def test_too_little_memory_is_told_before_anything(tmp_path: Path) -> None:
    command = f"ulimit -v 200000; exec {sys.executable} -m control_plane run -"
    refused = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert refused.stderr == (
        "The limit of memory (ulimit -v) is 200000 kB: Looplab needs 512000, so raise it.\n"
    )


def test_a_file_in_the_place_of_the_folder_of_targets_is_told(
    call: Call, tmp_path: Path, spec_file: Path
) -> None:
    (tmp_path / "runs.db.state").touch()
    refused = call(["run", str(spec_file)])
    assert refused.returncode == 2
    assert "runs.db.state is no folder" in refused.stderr


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(items_spec(title="from a file", **BARE)))
    return path


def test_version(tmp_path: Path) -> None:
    """What serves and what measures takes a second to import, and is none of it."""
    command = [sys.executable, "-X", "importtime", "-m", "control_plane", "--version"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert told.stdout == f"looplab {__version__}\n"
    imported = {line.rpartition("|")[2].strip() for line in told.stderr.splitlines()}
    assert "control_plane.cli" in imported
    assert not imported & {"fastapi", "sqlalchemy", "control_plane.app", "control_plane.jobs"}
    assert list(tmp_path.iterdir()) == []


def test_bundled_experiments_are_listed_without_a_database(call: Call, tmp_path: Path) -> None:
    listed = json.loads(call(["experiment", "--list", "--json"]).stdout)["experiments"]
    (loops,) = (each for each in listed if each["slug"] == "event-loop")
    assert 0 < loops["seconds"]["quick"] < loops["seconds"]["full"]
    assert "event-loop  " in call(["experiment", "--list"]).stdout
    refused = call(["experiment"])
    assert (refused.returncode, "--list" in refused.stderr) == (2, True)
    assert not (tmp_path / "runs.db").exists()


def test_run_and_compare_without_a_dashboard(call: Call, tmp_path: Path, spec_file: Path) -> None:
    ids = []
    for arguments, stdin in (([str(spec_file)], None), (["-"], spec_file.read_text())):
        done = looplab(["run", *arguments, "--json"], tmp_path, stdin)
        assert done.returncode == 0, done.stderr
        run = json.loads(done.stdout)
        assert (run["state"], run["streams"][0]["completed"]) == ("finished", 200)
        ids.append(run["id"])
    compared = looplab(["compare", *ids, "--json"], tmp_path)
    assert json.loads(compared.stdout)["baseline"] == ids[0]
    assert "Throughput" in call(["compare", *ids]).stdout
    report = call(["export", *ids, "--html", "both.html"])
    assert report.stdout.startswith("both.html: 1.")
    assert all(f"/runs/{run_id}" not in (tmp_path / "both.html").read_text() for run_id in ids)
    bundle = json.loads(call(["export", "--bundle", "all.looplab", "--json"]).stdout)
    taken = call(["import", "all.looplab", "--db", "other.db"])
    assert taken.stdout.startswith(f"2 runs imported. sha256 {bundle['sha256']}\n")
    assert "2 here already" in call(["import", "all.looplab"]).stdout
    (peer,) = json.loads(call(["import", str(WRK), "--kind", "wrk", "--json"]).stdout)["peers"]
    beside = call(["compare", peer, ids[0]]).stdout
    assert "measured by wrk, not judged" in beside
    assert "4,610" in beside
    assert "No ratios: files of other tools do not say on which machine" in beside
    assert "looks like that of wrk" in call(["import", str(WRK), "--kind", "k6"]).stderr


def test_the_page_of_a_trend_is_exported_with_its_suspect_runs(call: Call, tmp_path: Path) -> None:
    ids = repeated(provide_database(tmp_path / "runs.db"), P50S)
    spec = json.loads(call(["trend", ids[0], "--json"]).stdout)["spec"]
    with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
        database.execute("UPDATE run SET outcome = 'suspect'")
    refused = call(["export", spec, "--html", "valid.html"])
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "would show no run of response_time_s.p50: 24 suspect runs left out" in refused.stderr
    assert not (tmp_path / "valid.html").exists()
    chosen = ["--metric", "throughput_per_s", "--suspect"]
    assert call(["export", spec, "--html", "all.html", *chosen]).returncode == 0
    page = (tmp_path / "all.html").read_text()
    assert "24 runs" in page
    assert "in Throughput" in page
    wrong = call(["export", spec, "--html", "wrong.html", "--metric", "colour"])
    assert (wrong.returncode, "colour" in wrong.stderr) == (2, True)
    for other in (["--html", "one.html", ids[0]], ["--bundle", "all.looplab", spec]):
        refused = call(["export", *other, "--suspect"])
        assert (refused.returncode, "of the page of a trend" in refused.stderr) == (2, True)


def test_a_bundle_of_elsewhere_is_told_and_then_measured_beside_it(
    call: Call, tmp_path: Path
) -> None:
    theirs = open_store(provide_database(tmp_path / "theirs.db"))
    short = items(trials=1, stop={"requests": 50}, warmup_s=0.1, concurrency=1, **BARE)
    ids = [finished(theirs, short, ASYNC, {**ENVIRONMENT, "hostname": "x"}).id for _ in range(2)]
    theirs.close()
    for file, chosen in (("both.looplab", ids), ("alone.looplab", ids[:1])):
        made = call(["export", *chosen, "--bundle", file, "--db", "theirs.db"])
        assert made.returncode == 0
        behind = " ID" if len(chosen) > 1 else ""
        assert made.stdout.endswith(f"looplab repeat {file}{behind}\n")
    own = call(["repeat", ids[0], "--db", "theirs.db"])
    assert (own.returncode, "was measured by this Looplab" in own.stderr) == (2, True)
    several = call(["repeat", "both.looplab"])
    assert (several.returncode, "holds 2 results: name one" in several.stderr) == (2, True)
    assert "as looplab repeat both.looplab " in several.stderr
    for run_id, code in ((ids[1], 0), ("zzzzzzzzzz", 2)):
        named = call(["repeat", "both.looplab", run_id, "--db", "third.db"])
        assert (named.returncode, run_id in named.stdout + named.stderr) == (code, True)
    assert not (tmp_path / "third.db").exists()
    assert call(["import", "both.looplab", "--db", "third.db"]).returncode == 0
    no_trend = call(["trend", ids[1], "--db", "third.db"])
    assert (no_trend.returncode, "imported ones make no trend" in no_trend.stderr) == (2, True)
    told = call(["repeat", "alone.looplab"])
    assert told.returncode == 0
    assert "measured on x" in told.stdout
    assert "Starts here, on a free port in place of the one named: " in told.stdout
    assert "Code of “bundled” here:" in told.stdout
    assert "Nothing is started or kept without --start." in told.stdout
    nowhere = call(["repeat", ids[0]])
    assert (nowhere.returncode, "There is no database" in nowhere.stderr) == (2, True)
    assert not (tmp_path / "runs.db").exists()
    assert call(["import", "alone.looplab"]).returncode == 0
    wrong = call(["repeat", ids[0], "--application", "other=fast"])
    assert (wrong.returncode, "They measured no “other”, but bundled." in wrong.stderr) == (
        2,
        True,
    )
    missing = call(["repeat", ids[0], "--application", "fast"])
    assert (missing.returncode, "no application fast" in missing.stdout) == (2, True)
    started = looplab(["repeat", ids[0], "--start"], tmp_path)
    assert started.returncode == 0, started.stderr
    assert "the machines differ" in started.stdout
    assert not re.findall(r"[×÷][\d.,]+", started.stdout)


def test_run_hands_in_at_the_dashboard_that_has_the_database(
    call: Call, tmp_path: Path, spec_file: Path
) -> None:
    """Where none has it the command measures itself, and says so; a folder that is not there is
    told when the dashboard starts. The token that it asks for is in the lock file.
    """
    (tmp_path / "looplab.toml").write_text("[applications.shop]\napp='a:b'\ndirectory='nowhere'\n")
    with forked_dashboard(tmp_path, ["--token"]) as started:
        lock = lock_path(started.db)
        assert lock.stat().st_mode & 0o777 == 0o600
        held = read_lock(started.db)
        assert held is not None
        assert held.token
        assert held.token not in repr(held)
        address = call(["login"]).stdout.strip()
        with httpx2.Client(base_url=started.url, trust_env=False) as browser:
            assert browser.get("/api/runs").status_code == 401
            assert browser.get(address).status_code == 303
            assert browser.get("/api/runs").json()["runs"] == []
        (said,) = (tmp_path / "looplab.log").read_text().splitlines()
        assert f"applications.shop.directory: {tmp_path / 'nowhere'} is not there" in said
        done = looplab(["run", str(spec_file), "--wait"], tmp_path)
        assert done.returncode == 0, done.stderr
        assert started.url in done.stdout
        assert "finished" in done.stdout
        (run,) = started.get("/api/runs").json()["runs"]
        assert run["title"] == "from a file"
        assert call(["compare", run["id"]]).returncode == 0
        told = call(["audit"]).stdout
        assert f"token 127.0.0.1 started run {run['id']} from a file" in " ".join(told.split())
        other = looplab(["run", str(spec_file), "--db", "other.db"], tmp_path)
        assert f"Made a new database: {tmp_path / 'other.db'}." in other.stderr
        assert f"No dashboard has {tmp_path / 'other.db'}: measuring here." in other.stderr
        told = json.loads(call(["audit", "--json", "--db", "other.db"]).stdout)
        assert [entry["who"] for entry in told["entries"]] == ["command line"]
        for chosen in ((), ("--db", "other.db")):
            unknown = call(["compare", "zzzzzzzzzz", *chosen])
            assert unknown.returncode == 2
            assert f"Looked in {tmp_path / (chosen[-1] if chosen else 'runs.db')}" in unknown.stderr
        spec_file.write_text(json.dumps(long_spec(**BARE)))
        file_waits_for_the_run(started, tmp_path)
        with (tmp_path / "told").open("w") as told_to:
            streams = (0, 1, told_to.fileno())
            waiting = forked(["run", str(spec_file), "--wait"], tmp_path, {}, streams)
        until(lambda: started.get("/api/runs?state=running").json()["runs"], "it measures", 60)
        started.kill()
        assert waiting.wait(30) == 1
        assert "does not answer any more" in (tmp_path / "told").read_text()


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("{", "not readable JSON"),
        ("[]", "JSON object"),
        (json.dumps(items_spec(trials=0)), "trials: 0 is below"),
        (json.dumps(items_spec(client={"strategy": "blocking"})), "choose threaded"),
        (json.dumps(items_spec(colour="red")), "colour: There is no such field"),
        (json.dumps(items_spec(target={"configuration": "fast"})), "no configuration 'fast'"),
        (json.dumps(items_spec(target={"application": "shop"})), "no application 'shop'"),
    ],
)
def test_a_wrong_spec_is_one_readable_line(
    call: Call, tmp_path: Path, spec: str, complaint: str
) -> None:
    done = call(["run", "-"], spec)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run", "absent.json"], "absent.json: No such file"),
        (["export", "zzzzzzzzzz"], "--html FILE for a page, --bundle FILE for a bundle"),
        (["export", "zzzzzzzzzz", "--html", "a", "--bundle", "b"], "Name one file: --html FILE"),
        (["export", "zzzzzzzzzz", "--bundle", "b"], "runs.db: name one with --db"),
        (["import", "absent.looplab"], "absent.looplab is no file"),
        (["compare", "zzzzzzzzzz"], "runs.db: name one with --db"),
        (["compare", "x"], "'x'"),
        (["repeat", "notes"], "notes is no file, no share link, and no id of a result."),
        (["experiment", "event-loop", "--junit", "none/x.xml"], "none/x.xml: No such file or dir"),
        (["ceiling", "curl"], "'curl' is no strategy"),
        (["--port", "99999"], "port"),
        (["--host", "0.0.0.0"], "0.0.0.0"),
    ],
)
def test_a_wrong_call_is_one_readable_line(
    call: Call, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    done = call(arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def file_waits_for_the_run(started: DashboardProcess, folder: Path) -> None:
    """What would disturb a run is taken over when it is over."""
    run_id = started.submit(long_spec(**BARE))
    started.until_state(run_id, {"running"})
    with (folder / "imported").open("w") as told_to:
        streams = (0, told_to.fileno(), told_to.fileno())
        waiting = forked(["import", str(WRK)], folder, {}, streams)
        told = f"{started.url} measures: the file is taken over as soon as no run waits.\n"
        until(lambda: (folder / "imported").read_text() == told, "it waits")
        assert started.get("/api/peers").json()["peers"] == []
        started.cancel(run_id)
        assert waiting.wait(30) == 0
    assert "is imported, and never judged" in (folder / "imported").read_text()
    assert len(started.get("/api/peers").json()["peers"]) == 1


def test_a_wrong_file_of_applications_is_one_readable_line(call: Call, tmp_path: Path) -> None:
    (tmp_path / "looplab.toml").write_text("[applications.shop]\napp = 'a:b'\nprot = 1\n")
    done = call(["--port", "0"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "looplab.toml: applications.shop.prot 1: there is no such key" in done.stderr


def test_a_file_that_is_no_database_stays_as_it_is(call: Call, tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    db.write_bytes(b"not a database, but somebody's notes" * 100)
    before = db.read_bytes()
    done = call([])
    assert done.returncode == 2
    assert "runs.db" in done.stderr
    assert done.stderr.count("\n") == 1
    assert db.read_bytes() == before


@pytest.mark.parametrize(
    ("number", "ignored"),
    [
        (signal.SIGHUP, False),
        (signal.SIGINT, False),
        (signal.SIGTERM, True),
    ],
    ids=["SIGHUP", "SIGINT", "SIGTERM in a script's background"],
)
def test_a_signal_writes_the_state_of_the_run(
    tmp_path: Path, number: int, *, ignored: bool
) -> None:
    provide_database(tmp_path / "runs.db")
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(long_spec(**BARE)))
    executed = [sys.executable, "-m", "control_plane", "run", str(spec)]
    in_background = ["/bin/sh", "-c", "trap '' INT; exec \"$@\"", "sh", *executed]
    told = tmp_path / "told"
    with told.open("w") as told_to:
        running = (
            subprocess.Popen(in_background, cwd=tmp_path, stderr=told_to)
            if ignored
            else forked(["run", str(spec)], tmp_path, {}, (0, 1, told_to.fileno()))
        )
    until(lambda: "running" in told.read_text(), "the run measures", 30)
    running.send_signal(number)
    assert running.wait(timeout=20) != 0
    with closing(sqlite3.connect(tmp_path / "runs.db")) as connection:
        assert connection.execute("select state from run").fetchall() == [("interrupted",)]
    assert marked(instance_of(tmp_path / "runs.db")) == []


def test_a_ceiling_is_measured_kept_and_listed(tmp_path: Path) -> None:
    provide_database(tmp_path / "runs.db")
    done = looplab(["ceiling", "blocking", "--json"], tmp_path)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)["ceilings"]
    assert (found["strategy"], found["here"]) == ("blocking", True)
    assert found["throughput_per_s"] > 0
    assert 0 < found["responder_cpu_share"] < 1.1


def test_a_deleted_database_is_named_with_who_still_has_it(tmp_path: Path, call: Call) -> None:
    db = provide_database(tmp_path / "runs.db")
    with held_elsewhere(db) as run_id:
        db.unlink()
        for command in (["trend"], ["repeat", run_id]):
            refused = call(command)
            assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
            assert "still has what it held: save that with looplab backup FILE" in refused.stderr
        examined = call(["doctor"])
        assert examined.returncode == 1
        assert "runs.db was deleted, and process" in examined.stdout
        saved = call(["backup", "saved.db"])
        assert (saved.returncode, saved.stderr) == (0, "")
    assert call(["restore", "saved.db"]).returncode == 0
    with closing(open_store(db)) as store:
        assert [run.id for run in store.runs(limit=9).runs] == [run_id]


def test_a_backup_puts_back_what_it_holds(tmp_path: Path, call: Call) -> None:
    db = tmp_path / "runs.db"
    with closing(open_store(provide_database(db))) as store:
        first = in_state(store, State.CANCELLED)
        kept = call(["backup", "copy.db"])
        assert (kept.returncode, kept.stderr) == (0, "")
        assert "looplab restore copy.db" in kept.stdout
        in_state(store, State.CANCELLED)
        refused = call(["restore", "copy.db"])
        assert (refused.returncode, str(os.getpid()) in refused.stderr) == (3, True)
    restored = json.loads(call(["restore", "copy.db", "--json"]).stdout)
    assert restored["database"] == str(db)
    with closing(open_store(db)) as store, closing(open_store(Path(restored["kept"][0]))) as before:
        assert [run.id for run in store.runs(limit=9).runs] == [first.id]
        assert before.runs(limit=9).total == 2
    again = call(["backup", "copy.db"])
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "File exists" in again.stderr
