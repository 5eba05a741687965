"""What is told of a machine: each thing once, with a remedy where it is not good."""

import resource
import socket
import subprocess
import sys
from pathlib import Path

from control_plane.doctor import Examined, examine
from control_plane.settings import Settings
from control_plane.store.store import open_store
from tests.dashboard import provide_database


def looked_at(settings: Settings) -> dict[str, Examined]:
    found = list(examine(settings))
    names = [thing.name for thing in found]
    assert len(set(names)) == len(names)
    assert all(thing.text for thing in found)
    assert all(thing.remedy for thing in found if thing.level == "doubt")
    return {thing.name: thing for thing in found}


def test_nothing_is_made_or_changed(tmp_path: Path) -> None:
    found = looked_at(Settings(db=tmp_path / "runs.db", port=0))
    assert [*tmp_path.iterdir()] == []
    assert {found[name].level for name in ("port", "database", "disk", "SQLite")} == {"good"}
    assert "can be made" in found["database"].text
    open_store(provide_database(tmp_path / "runs.db")).close()
    assert "has schema" in looked_at(Settings(db=tmp_path / "runs.db"))["database"].text


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs.db").write_text("no database")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        found = looked_at(Settings(db=tmp_path / "runs.db", port=taken))
    assert found["port"].level == "doubt"
    assert "belongs to" in found["port"].text
    assert found["database"].level == "bad"
    assert "is not a database" in found["database"].text
    assert (soft, hard) == resource.getrlimit(resource.RLIMIT_NOFILE)


def test_the_command_tells_it_and_its_exit_code_whether_looplab_works(tmp_path: Path) -> None:
    (tmp_path / "runs.db").touch()
    script = f"ulimit -n 512; exec {sys.executable} -m control_plane doctor"
    told = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.returncode == 1
    assert "bad    database" in told.stdout
    assert "doubt  open files   512 can be opened" in told.stdout


def test_what_a_killed_dashboard_left_is_found(tmp_path: Path) -> None:
    store = open_store(provide_database(tmp_path / "runs.db"))
    marker = f"{store.instance}.{store.path.stat().st_ino:x}"
    store.close()
    with subprocess.Popen(["sleep", "60"], env={"LOOPLAB_INSTANCE": marker}) as left:
        found = looked_at(Settings(db=tmp_path / "runs.db"))["leftovers"]
        left.kill()
    assert found.level == "doubt"
    assert str(left.pid) in found.text
