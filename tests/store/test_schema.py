"""The schema: as the tables say, older ones brought up to date, newer ones refused.

What is not a database of ours is refused in one line, and left as it was.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, nullcontext
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlmodel import SQLModel

from control_plane.domain.errors import StoreError
from control_plane.domain.experiment import ExperimentDesign
from control_plane.domain.spec import Spec
from control_plane.domain.spec_json import adapter
from control_plane.store import migrations, schema_and_backups
from control_plane.store.bundles import write_bundle
from control_plane.store.database import engine
from control_plane.store.migrations import UPGRADES
from control_plane.store.schema_and_backups import HEAD, usable
from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, finished, items
from tests.store.killed import AFTER, first_start, killed_at, migration, newer_upgrades
from tests.store.places import ask, digest, sound


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where no database is yet."""
    return tmp_path / "runs.db"


@pytest.fixture
def newer(monkeypatch: pytest.MonkeyPatch):
    """A function that adds a revision which ends with a statement."""

    def add(fault: str) -> None:
        monkeypatch.setattr(migrations, "UPGRADES", newer_upgrades(fault))
        monkeypatch.setattr(schema_and_backups, "HEAD", AFTER)

    return add


@pytest.fixture
def filled(path: Path) -> Path:
    _fill(path)
    return path


def _fill(path: Path) -> None:
    path.write_bytes(_one_run())
    path.chmod(0o600)


@cache
def _one_run() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        store = open_store(path)
        finished(store, items(trials=1, title="kept", tags=["a"]), ASYNC)
        store.close()
        return path.read_bytes()


def test_the_migrations_make_what_the_tables_say(path: Path) -> None:
    open_store(path).close()
    made = engine(path, begin="BEGIN", connections=1)
    with made.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: (
                    kind != "table" or not str(name).startswith("run_text")
                ),
                "compare_type": True,
            },
        )
        assert compare_metadata(context, SQLModel.metadata) == []
    made.dispose()


def test_head_is_the_last_revision_and_none_is_left_out() -> None:
    assert [*UPGRADES] == [f"{number:04}" for number in range(1, int(HEAD) + 1)]


def test_a_database_of_each_revision_comes_to_the_same_schema(tmp_path: Path) -> None:
    """One that stopped at each of them, some that come all the way at once, and a new one."""
    tables = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    made, stepped = [], tmp_path / "stepped.db"
    stepped.touch()
    for number, revision in enumerate(UPGRADES):
        schema_and_backups.migrate(stepped, revision)
        assert schema_and_backups.schema_version(stepped) == revision
        if number % 8 == 0:
            path = Path(shutil.copy(stepped, tmp_path / f"{revision}.db"))
            schema_and_backups.migrate(path)
            assert schema_and_backups.schema_version(path) == HEAD
            made.append(ask(path, tables))
    schema_and_backups.make_new(tmp_path / "new.db")
    expected = ask(tmp_path / "new.db", tables)
    assert all(found == expected for found in (*made, ask(stepped, tables)))


_SET = "UPDATE alembic_version SET version_num = {}"


def test_a_newer_schema_is_refused_and_both_are_named(filled: Path) -> None:
    ask(filled, "UPDATE alembic_version SET version_num = '0999'")
    before = digest(filled)
    with pytest.raises(StoreError, match=f"0999.*{HEAD}"):
        open_store(filled)
    assert digest(filled) == before


@pytest.mark.parametrize(
    "odd", ["DELETE FROM alembic_version", *(_SET.format(odd) for odd in ("''", "'x'", "'0000'"))]
)
def test_an_odd_schema_is_refused_in_one_line(filled: Path, odd: str) -> None:
    ask(filled, odd)
    with pytest.raises(StoreError, match=r"which none is: put a backup .* restore"):
        open_store(filled)


def test_an_older_schema_is_copied_and_brought_up_to_date(filled: Path, newer) -> None:
    newer("SELECT 1")
    rows = ask(filled, "SELECT count(*) FROM trial_stream")
    schema_and_backups.prepare(filled)
    assert ask(filled, "SELECT version_num FROM alembic_version") == [(AFTER,)]
    assert ask(filled, "SELECT title, colour FROM run") == [("kept!", "red")]
    assert ask(filled, "SELECT count(*) FROM trial_stream") == rows
    assert sound(filled)
    (copy,) = filled.parent.glob(f"runs.db.schema-{HEAD}-*")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert ask(copy, "SELECT title FROM run") == [("kept",)]
    assert schema_and_backups.schema_version(copy) == HEAD


def test_runs_of_the_third_schema_keep_the_name_of_their_parts(path: Path) -> None:
    path.touch()
    schema_and_backups.migrate(path, "0003")
    ask(
        path,
        "INSERT INTO run (id, title, tags, note, state, epoch, created_at, strategy, configuration)"
        " VALUES ('k7m2000000', 'old', '[]', '', 'cancelled', 1, '2026-11-20 14:02:00.000000',"
        " 'async', 'uvicorn, 2 workers')",
    )
    spec = adapter(Spec).dump_json(items()).decode()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO run_facts (run, spec, log) VALUES (1, ?, '[]')", (spec,))
    store = open_store(path)
    assert store.run("k7m2000000").configuration == "uvicorn, 2 workers"
    assert store.runs(limit=1, text="/items/ old", application="bundled").total == 1
    store.close()


def test_runs_of_before_are_filtered_in_the_order_of_a_number_by_its_index_alone(
    path: Path,
) -> None:
    schema_and_backups.make_new(path, "0026")
    insert = (
        "INSERT INTO run (id, title, tags, note, state, epoch, created_at, strategy, configuration,"
        " machine, first_p50_s) VALUES (?, 'old', '[]', '', 'finished', 1,"
        " '2026-11-20 14:02:00.000000', 'async', 'uvicorn', ?, ?)"
    )
    rows = [
        ("k7m2000000", "bench", 0.3),
        ("k7m2000001", "laptop", 0.1),
        ("k7m2000002", "bench", 0.2),
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(insert, rows)
    filtered = (
        "FROM run INDEXED BY ix_run_first_p50_s WHERE machine = 'bench' AND first_p50_s > 0"
        " ORDER BY first_p50_s"
    )
    plan = f"EXPLAIN QUERY PLAN SELECT seq {filtered}"
    ((*_, before),) = ask(path, plan)
    schema_and_backups.migrate(path)
    ((*_, after),) = ask(path, plan)
    assert ("COVERING" in before, "COVERING" in after) == (False, True)
    assert ask(path, f"SELECT id, first_p50_s {filtered}") == [
        ("k7m2000002", 0.2),
        ("k7m2000000", 0.3),
    ]
    assert sound(path)


def test_experiments_of_before_are_looked_up_by_what_their_documents_say(path: Path) -> None:
    schema_and_backups.make_new(path, "0024")
    design = ExperimentDesign(slug="classic", confirms="k7m2000000")
    written = adapter(ExperimentDesign).dump_json(design).decode()
    insert = "INSERT INTO experiment (id, question, document, created_at, sessions) VALUES "
    with closing(sqlite3.connect(path)) as connection, connection:
        for run_id, document in (("k7m2000001", written), ("k7m2000002", "{")):
            row = (run_id, "?", document, "2026-11-20 14:02:00.000000", 0)
            connection.execute(f"{insert} (?, ?, ?, ?, ?)", row)
    schema_and_backups.migrate(path)
    found = ask(path, "SELECT slug, confirms, headline FROM experiment ORDER BY seq")
    assert found == [("classic", "k7m2000000", None), ("", "", None)]


@pytest.mark.parametrize("fault", ["DELETE FROM run", "INSERT INTO nowhere VALUES (1)"])
def test_a_migration_that_fails_changes_nothing(filled: Path, newer, fault: str) -> None:
    """Rows that lose their run are found before the end, though nothing refuses the deletion."""
    newer(fault)
    with pytest.raises(StoreError):
        schema_and_backups.prepare(filled)
    assert ask(filled, "SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert ask(filled, "SELECT title FROM run") == [("kept",)]
    assert sound(filled)


def test_a_killed_migration_leaves_the_previous_schema(filled: Path) -> None:
    statement = 1
    while killed_at(statement, partial(migration, filled)):
        assert ask(filled, "SELECT version_num FROM alembic_version") == [(HEAD,)]
        assert ask(filled, "SELECT title FROM run") == [("kept",)]
        assert sound(filled)
        statement += 3
    assert statement > 10
    assert ask(filled, "SELECT version_num FROM alembic_version") == [(AFTER,)]


def test_a_killed_first_start_leaves_no_half_database(path: Path) -> None:
    statement = 1
    while killed_at(statement, partial(first_start, path)):
        assert not path.exists()
        # Most of the migrations run before each kill, which takes its time.
        statement += 17
    assert statement > 20
    open_store(path).close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["runs.db"]


def test_a_start_without_a_migration_imports_no_alembic(filled: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from control_plane.store.store import open_store;"
        "open_store(Path(sys.argv[1])).close(); print('alembic' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(filled)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"


def _cut(share: float) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        _fill(path)
        os.truncate(path, int(path.stat().st_size * share))

    return make


def _other_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")


def _without_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM")


def _read_only(path: Path) -> None:
    _fill(path)
    path.chmod(0o444)


UNUSABLE = {
    "empty": (lambda path: path.touch(), "is empty"),
    "text": (lambda path: path.write_text("not a database\n" * 500), "not a database"),
    "short text": (lambda path: path.write_text("x"), "not a database"),
    "magic alone": (lambda path: path.write_bytes(b"SQLite format 3\x00"), "not a database"),
    "cut to a few bytes": (_cut(0.0005), "damaged"),
    "cut to a tenth": (_cut(0.1), "damaged"),
    "cut by a little": (_cut(0.97), "damaged"),
    "other program": (_other_program, "another program"),
    "no tables": (_without_tables, "another program"),
    "read-only": (_read_only, "read-only"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_unusable_file_is_refused_and_unchanged(path: Path, kind: str) -> None:
    make, words = UNUSABLE[kind]
    make(path)
    before = digest(path), path.stat().st_mode, path.stat().st_mtime_ns
    for _ in range(2):
        with pytest.raises(StoreError, match=words) as refused:
            open_store(path)
        assert "\n" not in str(refused.value)
        assert str(path) in str(refused.value)
        assert "--db" in str(refused.value)
    assert (digest(path), path.stat().st_mode, path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("is_open", [False, True])
def test_reading_leaves_a_database_as_it_was_found(
    filled: Path, tmp_path: Path, *, is_open: bool
) -> None:
    found = Path(shutil.copy(filled, tmp_path / "found.db"))
    with closing(open_store(found)) if is_open else nullcontext():
        # The lock file goes with whoever writes.
        beside = {each.name for each in tmp_path.glob("found.db*")}
        before = digest(found)
        assert schema_and_backups.check(found) == HEAD
        schema_and_backups.instance_of(found)
        schema_and_backups.copy_database(found, tmp_path / "copy.db")
        write_bundle(found, tmp_path / "all.looplab", [])
        assert {each.name for each in tmp_path.glob("found.db*")} == beside
        assert ("found.db-wal" in beside) == is_open
        assert digest(found) == before


def test_nothing_is_left_beside_the_database_of_another_program(path: Path) -> None:
    _other_program(path)
    with pytest.raises(StoreError):
        open_store(path)
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_or_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a file"):
        usable(tmp_path)
    with pytest.raises(StoreError, match="no folder"):
        usable(tmp_path / "missing" / "runs.db")
    with pytest.raises(StoreError, match="no folder"):
        usable(Path(__file__) / "runs.db")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_can_be_made(path: Path) -> None:
    assert not usable(path)
    _fill(path)
    assert usable(path)


def test_what_is_made_is_for_its_owner_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_store(path)
        store.announce("http://127.0.0.1:1")
        finished(store, items(trials=1), ASYNC)
        names = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert names == dict.fromkeys(("runs.db", "runs.db-wal", "runs.db-shm", "runs.db.lock"), 0o600)


def test_the_mode_of_an_existing_file_stays(path: Path) -> None:
    _fill(path)
    path.chmod(0o640)
    open_store(path).close()
    assert path.stat().st_mode & 0o777 == 0o640
