"""The store as a whole: opened, announced, closed, opened again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from control_plane.domain.errors import Conflict, NotFound, StoreError
from control_plane.domain.spec import Target
from control_plane.store.instance_lock import read_lock
from control_plane.store.store import Store, open_store
from control_plane.store.stored_configurations import MAX_ADDED
from tests.builders.states import draft


def test_the_instance_belongs_to_the_file(path: Path) -> None:
    first = open_store(path)
    instance = first.instance
    first.close()
    again = open_store(path)
    assert again.instance == instance
    assert len(instance) == 16
    again.close()
    other = open_store(path.with_name("other.db"))
    assert other.instance != instance
    other.close()


def test_others_find_the_dashboard(store: Store, path: Path) -> None:
    before = read_lock(path)
    assert before is not None
    assert before.url is None
    store.announce("http://127.0.0.1:8200")
    held = read_lock(path)
    assert held is not None
    assert held.url == "http://127.0.0.1:8200"
    assert datetime.now(UTC) - held.started < timedelta(minutes=1)


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store(Path("runs.db"))
    assert store.path == tmp_path.resolve() / "runs.db"
    store.close()


def test_a_start_that_fails_gives_the_lock_back(path: Path) -> None:
    path.unlink()
    in_the_way = path.with_name("runs.db.new")
    in_the_way.mkdir()
    with pytest.raises(StoreError, match=r"runs\.db\.new cannot be written"):
        open_store(path)
    assert read_lock(path) is None
    in_the_way.rmdir()
    open_store(path).close()


def test_closing_leaves_one_whole_file(path: Path) -> None:
    store = open_store(path)
    store.add([draft()])
    store.close()
    assert {file.name for file in path.parent.iterdir()} == {"runs.db"}


MINE = replace(Target(), threads=8, settings={"log_s": 0.5, "database": "sqlite"})


def test_what_was_added_is_read_back(store: Store) -> None:
    store.add_configuration("b", MINE)
    store.add_configuration("a", Target())
    assert store.configurations() == [("a", Target()), ("b", MINE)]
    with pytest.raises(Conflict, match="'b' already"):
        store.add_configuration("b", Target())
    store.remove_configuration("a")
    assert store.configurations() == [("b", MINE)]
    with pytest.raises(NotFound):
        store.remove_configuration("a")


def test_there_are_not_too_many(store: Store) -> None:
    for number in range(MAX_ADDED):
        store.add_configuration(f"{number:03}", Target())
    with pytest.raises(Conflict, match="remove one"):
        store.add_configuration("one more", Target())
