"""Copies of a database, and what they put back."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import IO

import pytest

from control_plane.domain.errors import DatabaseOwned, StoreError
from control_plane.domain.run import State
from control_plane.store.instance_lock import held_files
from control_plane.store.schema_and_backups import back_up, check, restore
from control_plane.store.store import open_store
from control_plane.store.write_ahead_log import log_path, put_in_place
from tests.builders.states import held_elsewhere, in_state
from tests.dashboard import provide_database, whole


def titles(path: Path) -> list[str]:
    with closing(open_store(path)) as store:
        return sorted(run.id for run in store.runs(limit=200).runs)


def test_a_backup_of_an_open_database_has_all_that_was_committed(
    path: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.db"
    with closing(open_store(path)) as store:
        first = in_state(store, State.CANCELLED)
        assert log_path(path).stat().st_size
        back_up(path, copy)
        in_state(store, State.CANCELLED)
        with pytest.raises(DatabaseOwned):
            restore(path, copy)
    assert copy.stat().st_mode & 0o777 == 0o600
    kept, *_ = restore(path, copy)
    assert titles(path) == [first.id]
    assert len(titles(kept)) == 2
    assert whole(path)


def test_what_a_kill_left_is_kept_with_its_log(path: Path, tmp_path: Path) -> None:
    copy, left = tmp_path / "copy.db", tmp_path / "left"
    left.mkdir()
    with closing(open_store(path)) as store:
        back_up(path, copy)
        in_state(store, State.CANCELLED)
        for file in (path, log_path(path)):
            shutil.copy(file, left)
    kept = restore(left / path.name, copy)
    assert [file.exists() for file in kept] == [True, True]
    assert titles(left / path.name) == []
    assert len(titles(kept[0])) == 1


def test_the_log_of_another_database_is_in_no_copy(path: Path, tmp_path: Path) -> None:
    copy, left = tmp_path / "copy.db", tmp_path / "left"
    left.mkdir()
    with closing(open_store(path)) as store:
        back_up(path, copy)
        in_state(store, State.CANCELLED)
        shutil.copy(log_path(path), left)
    put_back = left / path.name
    shutil.copy(copy, put_back)
    copy.chmod(0o400)
    before = put_back.read_bytes()
    back_up(put_back, tmp_path / "again.db")
    assert put_back.read_bytes() == before
    restore(tmp_path / "other.db", put_back)
    restore(tmp_path / "third.db", copy)
    for name in (tmp_path / "again.db", tmp_path / "other.db", tmp_path / "third.db"):
        assert titles(name) == []


def test_a_backup_goes_where_nothing_lies(path: Path, tmp_path: Path) -> None:
    copy, elsewhere = tmp_path / "copy.db", tmp_path / "elsewhere.db"
    with closing(open_store(path)):
        pass
    copy.write_text("mine")
    with pytest.raises(StoreError, match="cannot be made: File exists"):
        back_up(path, copy)
    assert copy.read_text() == "mine"
    with pytest.raises(StoreError, match="no database"):
        back_up(elsewhere, tmp_path / "other.db")
    back_up(path, elsewhere)
    assert restore(tmp_path / "third.db", elsewhere) == []
    assert titles(tmp_path / "third.db") == []


@pytest.mark.parametrize("deleted", ["runs.db", "runs.db*"])
def test_a_database_that_was_deleted_is_saved_from_whoever_has_it_open(
    tmp_path: Path, deleted: str
) -> None:
    path, copy = provide_database(tmp_path / "runs.db"), tmp_path / "saved.db"
    with held_elsewhere(path) as run_id:
        assert log_path(path).stat().st_size
        assert held_files(path) is None
        for file in tmp_path.glob(deleted):
            file.unlink()
        back_up(path, copy)
        assert copy.stat().st_mode & 0o777 == 0o600
        with pytest.raises(StoreError, match="File exists"):
            back_up(path, copy)
        assert not path.exists()
    with pytest.raises(StoreError, match="no database"):
        back_up(path, tmp_path / "late.db")
    restore(path, copy)
    assert titles(path) == [run_id]
    assert whole(path)


def test_nothing_is_left_beside_a_backup_that_was_put_back(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    copy = folder / "copy.db"
    with closing(open_store(path)) as store:
        run = in_state(store, State.CANCELLED)
        back_up(path, copy)
    before = copy.read_bytes()
    restore(path, copy)
    assert titles(path) == [run.id]
    assert [file.name for file in folder.iterdir()] == ["copy.db"]
    assert copy.read_bytes() == before


MOUNTED = """
mkdir data && mount -t tmpfs -o size=$1 tmpfs data && touch data/runs.db
mount --bind runs.db data/runs.db || exit 99
"$2" -m control_plane restore copy.db --db data/runs.db; echo $? > exit
find data -type f -name "runs.db*" -exec cp {} out ";"
"""
"""Puts a backup back as in a container into which a file is mounted alone."""


@pytest.mark.parametrize(("space", "fits"), [("4m", True), ("500k", False)])
def test_a_database_that_is_mounted_alone_is_written_over_once_a_copy_is_kept(
    path: Path, tmp_path: Path, space: str, *, fits: bool
) -> None:
    copy, out = tmp_path / "copy.db", tmp_path / "out"
    out.mkdir()
    with closing(open_store(path)) as store:
        old = in_state(store, State.CANCELLED)
        back_up(path, copy)
        new = in_state(store, State.CANCELLED)
    for alone in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        tried = [*alone, "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
        if shutil.which("unshare") and not subprocess.run(tried, check=False).returncode:
            break
    else:
        pytest.skip("this system gives no mount namespace")
    command = [*alone, "sh", "-c", MOUNTED, "sh", space, sys.executable]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    names = {file.name: titles(file) for file in sorted(out.iterdir())}
    before = sorted([old.id, new.id])
    if fits:
        assert "is kept in" in done.stdout
        assert [*names.values()] == [[old.id], before]
    else:
        assert done.stderr.endswith("cannot be written: No space left on device.\n")
        assert (done.stderr.count("\n"), names) == (1, {"runs.db": before})
    assert (tmp_path / "exit").read_text() == ("0\n" if fits else "2\n")


def test_a_database_that_cannot_be_written_is_copied_with_its_log(
    path: Path, tmp_path: Path
) -> None:
    left, copy = tmp_path / "left", tmp_path / "copy.db"
    left.mkdir()
    with closing(open_store(path)) as store:
        run = in_state(store, State.CANCELLED)
        for file in (path, log_path(path)):
            shutil.copy(file, left)
            (left / file.name).chmod(0o400)
    left.chmod(0o500)
    try:
        back_up(left / path.name, copy)
        assert titles(copy) == [run.id]
        assert {file.name for file in left.iterdir()} == {path.name, log_path(path).name}
    finally:
        left.chmod(0o700)


def test_a_database_that_is_written_over_is_none_until_all_is_written(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill may come at any byte: what is there then must not be taken for a database."""
    copy = tmp_path / "copy.db"
    with closing(open_store(path)) as store:
        run = in_state(store, State.CANCELLED)
        back_up(path, copy)
        in_state(store, State.CANCELLED)
    half_way, copy_all = [], shutil.copyfileobj

    def copied(source: IO[bytes], target: IO[bytes]) -> None:
        target.write(source.read(8_192))
        target.flush()
        with pytest.raises(StoreError, match="is not a database"):
            check(path)
        half_way.append(path)
        copy_all(source, target)

    monkeypatch.setattr(shutil, "copyfileobj", copied)
    put_in_place(copy, path, [])
    assert half_way == [path]
    assert titles(path) == [run.id]


@pytest.mark.parametrize("kind", ["missing", "text", "foreign", "damaged", "newer"])
def test_what_is_no_backup_changes_nothing(path: Path, tmp_path: Path, kind: str) -> None:
    bad = tmp_path / "bad.db"
    with closing(open_store(path)) as store:
        run = in_state(store, State.CANCELLED)
    if kind == "text":
        bad.write_text("no database at all, whatever it is called")
    elif kind == "foreign":
        with closing(sqlite3.connect(bad)) as made:
            made.execute("CREATE TABLE other (x)")
    elif kind == "damaged":
        content = bytearray(path.read_bytes())
        content[8_192:40_960] = b"\xff" * (40_960 - 8_192)
        bad.write_bytes(content)
    elif kind == "newer":
        shutil.copy(path, bad)
        with closing(sqlite3.connect(bad)) as made:
            made.execute("UPDATE alembic_version SET version_num = '9999'")
            made.commit()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=str(bad)):
        restore(path, bad)
    assert path.read_bytes() == before
    assert titles(path) == [run.id]
