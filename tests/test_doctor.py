"""What is told of a machine: each thing once, with a remedy where it is not good."""

import os
import resource
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from control_plane import doctor
from control_plane.doctor import Examined, examine
from control_plane.domain.run import State
from control_plane.settings import Settings
from control_plane.store.store import open_store
from control_plane.targets.observation import machine
from tests.builders.states import in_state
from tests.dashboard import provide_database

SYSTEM = {
    "proc/sys/net/ipv4/ip_local_port_range": "32768\t40000\n",
    "proc/meminfo": "MemAvailable: 2000000 kB\nSwapTotal: 500000 kB\nSwapFree: 300000 kB\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n",
    "cores/cpu0/cpufreq/scaling_governor": "powersave\n",
}
"""Files of a system on which nothing is as it should be."""


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


def test_room_that_deleted_runs_left_is_told_and_can_be_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = provide_database(tmp_path / "runs.db")
    with closing(open_store(path)) as store:
        run = in_state(store, State.FAILED)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE filling AS SELECT zeroblob(4000000) AS bytes")
        connection.execute("DROP TABLE filling")
    size = path.stat().st_size
    assert looked_at(Settings(db=path))["database"].level == "good"
    monkeypatch.setattr(doctor, "MUCH_FREE_BYTES", 3_000_000)
    found = looked_at(Settings(db=path))["database"]
    assert found.level == "doubt"
    assert f"of its {size / 1e6:,.0f} MB held runs that were deleted" in found.text
    command = shlex.split(found.remedy.partition("then ")[2].removesuffix("."))
    assert command == ["sqlite3", str(path), "VACUUM"]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(command[-1])
    assert path.stat().st_size < size - 3_000_000
    assert looked_at(Settings(db=path))["database"].level == "good"
    with closing(open_store(path)) as store:
        assert store.run(run.id) == run


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


def test_what_may_falsify_a_measurement_is_told_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, text in SYSTEM.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr(doctor, "_ROOT", tmp_path)
    monkeypatch.setattr(machine, "_CORES", tmp_path / "cores")
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    monkeypatch.setattr(os, "getloadavg", lambda: (0.21, 0.0, 0.0))
    found = looked_at(Settings(db=tmp_path / "runs.db", port=0))
    assert {name: thing.text for name, thing in found.items() if thing.level == "doubt"} == {
        "system": found["system"].text,
        "local ports": "7,232 for connections of clients",
        "cores": found["cores"].text,
        "frequency": "the governor is powersave",
        "load": "0.21 in the last minute",
        "memory": "2.0 GB available, 205 MB swapped out",
        "clock": "hpet",
    }
    assert found["cores"].text.startswith("1 available")
    assert "Linux only: give URLs" in found["system"].remedy


def test_what_a_system_does_not_tell_is_no_fault_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "_ROOT", tmp_path)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 0.0, 0.0))
    found = looked_at(Settings(db=tmp_path / "runs.db", port=0))
    told = {name: found[name].text for name in ("local ports", "memory", "clock")}
    assert set(told.values()) == {"cannot be read"}
    assert {found[name].level for name in (*told, "load")} == {"good"}


def test_a_place_without_space_or_folder_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = looked_at(Settings(db=tmp_path / "none" / "runs.db"))["disk"]
    assert (nowhere.level, nowhere.remedy) == ("bad", "Choose another with --db.")
    assert nowhere.text == f"{tmp_path / 'none'}: No such file or directory"
    used = shutil.disk_usage(tmp_path)._replace(free=999_999_999)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: used)
    little = looked_at(Settings(db=tmp_path / "runs.db"))["disk"]
    assert (little.level, little.text) == ("doubt", f"1.0 GB free in {tmp_path}")


def test_a_database_on_a_network_file_system_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "my home"
    home.mkdir()
    (tmp_path / "proc" / "self").mkdir(parents=True)
    escaped = str(home).replace(" ", "\\040")
    mounts = f"/dev/vda / ext4 rw 0 0\nfiler:/home {escaped} nfs4 rw,vers=4.2 0 0\n"
    (tmp_path / "proc" / "self" / "mounts").write_text(mounts)
    monkeypatch.setattr(doctor, "_ROOT", tmp_path)
    there = looked_at(Settings(db=home / "runs.db"))["disk"]
    assert (there.level, there.remedy) == ("doubt", "Choose a disk of this machine with --db.")
    assert f"{home}, which is on nfs4: SQLite waits long for locks there" in there.text
    assert looked_at(Settings(db=tmp_path / "runs.db"))["disk"].level == "good"


def test_an_old_sqlite_and_servers_that_are_not_installed_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def installed(package: str) -> str:
        if package == "granian":
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 33, 0))
    monkeypatch.setattr(doctor, "version", installed)
    found = looked_at(Settings(db=tmp_path / "runs.db"))
    assert (found["SQLite"].level, "3.34.0 or newer" in found["SQLite"].remedy) == ("bad", True)
    assert found["servers"].level == "good"
    assert f"uvicorn {version('uvicorn')}, " in found["servers"].text
    assert found["servers"].text.endswith("; without granian")
    assert found["servers"].remedy.startswith("For all of them: ")


def test_the_dashboard_of_the_database_is_no_stranger_at_the_port(tmp_path: Path) -> None:
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        store.announce("http://127.0.0.1:8200")
        found = looked_at(Settings(db=tmp_path / "runs.db"))["port"]
    told = "the dashboard of this database is at http://127.0.0.1:8200"
    assert (found.level, found.text) == ("good", told)
