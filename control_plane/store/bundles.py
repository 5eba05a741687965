"""Bundles: files that carry runs and experiments to another Looplab.

A bundle is a database of this schema with the chosen runs alone: without secrets, without what
their targets printed, and without stacks.
"""

import hashlib
import json
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection

from control_plane.domain.errors import Conflict, InvalidInput, NotFound, StoreError, UnreadableRun
from control_plane.domain.limits import MAX_BUNDLE_BYTES
from control_plane.domain.redaction import HIDDEN_BY_LINK
from control_plane.domain.run import TERMINAL
from control_plane.store.database import LOST_TRIALS, store_errors
from control_plane.store.schema_and_backups import (
    HEAD,
    SQLITE_MAGIC,
    check,
    left_as_found,
    make_empty,
    make_new,
    migrate,
)

BUNDLE_ENDING = ".looplab"
MAX_BUNDLE_RUNS = 10_000

FIRST_VERSION = "0013"
"""The first schema that had bundles."""
_FIRST_WITH_TOOL_RESULTS = "0021"
_VERSION = re.compile(r"[0-9]{4}")
_STACKS = re.compile(r'"(stack|places)":\[[^]]')
_MAX_VALUE_BYTES = 100_000_000
_READ_S = 120.0
"""How long the rows of a bundle may take to be read."""
_ODD_TRIAL = (
    "A trial of these runs cannot be read: something else changed what the database holds of it. "
    "The page of its run says so, too."
)

_MEASURED = (
    "SELECT * FROM run WHERE seq = ?",
    "SELECT * FROM run_facts WHERE run = ?",
    "SELECT * FROM run_stream WHERE run = ? ORDER BY place",
    "SELECT * FROM trial WHERE run = ? ORDER BY block",
    "SELECT * FROM trial_stream WHERE run = ? ORDER BY block, place",
)
_WRITTEN = {
    *("seq", "run", "epoch", "submission", "turn", "origin", "machine", "log", "spec_digest"),
    *("title", "tags", "note", "trial_rates"),
    *("first_rate_per_s", "first_p50_s", "first_p95_s", "first_p99_s", "first_error_share"),
}
"""What each database counts anew, what stays at home, what people write, and what follows."""

_HIDDEN = {
    *("reason", "configuration", "given_name", "application", "spec", "command", "environment"),
    *("validity", "causes", "objectives", "name", "summary", "document", "gauges"),
}
"""What a share link redacts; times, histograms and seconds stay."""

OF_RUNS = ("run_facts", "run_stream", "trial", "trial_stream", "run_tag")
OF_EXPERIMENTS = ("experiment_arm", "experiment_block")
BUNDLE_TABLES = ("run", *OF_RUNS, "experiment", *OF_EXPERIMENTS)
"""What a bundle carries beside `TOOL_RESULT_TABLES`, each table after those that it points to."""

TOOL_RESULT_TABLES = ("peer_result", "peer_samples")
"""Of bundles since the schema 0021."""

StoredRow = Mapping[str, Any]

_LEFT_BEHIND = {
    ("run", "submission"): "NULL",
    ("run", "turn"): "NULL",
    ("run", "spec_digest"): "NULL",
    ("experiment", "submission"): "NULL",
    ("experiment", "headline"): "NULL",
    ("run_facts", "log"): "'[]'",
    ("experiment_arm", "run"): "CASE WHEN run IN (SELECT seq FROM chosen) THEN run END",
    ("trial", "document"): "without_log(document)",
    ("trial", "gauges"): "without_log(gauges)",
}
"""What stands in a bundle in the place of what is for the database, or the machine, alone."""

_CHOOSE = """
CREATE TEMP TABLE asked (id TEXT PRIMARY KEY);
CREATE TEMP TABLE chosen (seq INTEGER PRIMARY KEY);
CREATE TEMP TABLE chosen_experiment (seq INTEGER PRIMARY KEY);
CREATE TEMP TABLE chosen_peer (seq INTEGER PRIMARY KEY);
"""


@dataclass(frozen=True)
class Bundle:
    """What was written to a file; `sha256` in hex tells whether a copy is the same.

    `peers` are results of other tools.
    """

    runs: int
    experiments: int
    sha256: str
    size_bytes: int
    peers: int = 0


def write_bundle(database: Path, file: Path, ids: Sequence[str]) -> Bundle:
    """Write runs, experiments with their runs, and results of other tools to a new file.

    The digest of a spec stands for all finished runs of it. Without ids all that are over are
    written. Raises NotFound for an id that is of neither, Conflict for a run that is not over,
    InvalidInput for more than a bundle may hold, UnreadableRun where a trial cannot be read, and
    StoreError where there is no database or the file cannot be made.
    """
    source = database.expanduser().resolve()
    if (version := check(source)) is None:
        raise StoreError(f"There is no database at {source}: name one with --db.")
    if version != HEAD:
        raise StoreError(f"{source} has the older schema {version}: start looplab on it once.")
    with left_as_found(source) as address:
        return bundle_of(address, file, ids)


def bundle_of(address: str, file: Path, ids: Sequence[str]) -> Bundle:
    """Write a bundle of the database at an address of SQLite, as `write_bundle` does."""
    make_empty(file, address)
    try:
        with store_errors(file), _odd_trials(), closing(_writing(file)) as bundle:
            runs, experiments, peers = _fill(bundle, address, ids)
        return Bundle(runs, experiments, digest_of(file), file.stat().st_size, peers)
    except BaseException:
        file.unlink(missing_ok=True)
        raise


@contextmanager
def _odd_trials() -> Iterator[None]:
    """Raise UnreadableRun where `without_log` was given what is no trial."""
    try:
        yield
    except sqlite3.OperationalError as fault:
        if "user-defined function" not in str(fault):
            raise
        raise UnreadableRun(_ODD_TRIAL) from fault


def digest_of(file: Path) -> str:
    """Return the sha256 of a file in hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def without_log(document: str) -> str:
    """Return the JSON of a trial, or of its gauges, without log lines and stacks.

    What has none is returned as it is.
    """
    if '"log":[]' in document and not _STACKS.search(document):
        return document
    tree = json.loads(document)
    if isinstance(target := tree.get("target"), dict) and target.get("log"):
        target["log"] = []
    for stall in tree.get("stalls") or ():
        stall["stack"] = []
    for worker in tree.get("workers") or ():
        if samples := worker.get("samples"):
            samples["places"] = []
    return json.dumps(tree, ensure_ascii=False, separators=(",", ":"))


def _writing(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(str(file))}?mode=rw", uri=True)
    connection.create_function("without_log", 1, without_log, deterministic=True)
    return connection


def _fill(bundle: sqlite3.Connection, address: str, ids: Sequence[str]) -> list[int]:
    """Copy what is asked for in one view of the source; return how many of each kind."""
    bundle.execute("ATTACH ? AS source", (address,))
    bundle.executescript(_CHOOSE)
    with bundle:
        _choose(bundle, ids)
        for table in (*BUNDLE_TABLES, *TOOL_RESULT_TABLES):
            _copy(bundle, table)
    if bundle.execute(LOST_TRIALS).fetchone():
        raise UnreadableRun(_ODD_TRIAL)
    chosen = ("chosen", "chosen_experiment", "chosen_peer")
    counts = [bundle.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in chosen]
    bundle.execute("DETACH source")
    return counts


def _choose(bundle: sqlite3.Connection, ids: Sequence[str]) -> None:
    """Fill the tables of what is chosen: what was asked for, and the runs of all arms."""
    over = ", ".join(f"'{state}'" for state in sorted(TERMINAL))
    if not ids:
        bundle.execute(f"INSERT INTO chosen SELECT seq FROM source.run WHERE state IN ({over})")
        bundle.execute(
            "INSERT INTO chosen_experiment SELECT seq FROM source.experiment WHERE seq NOT IN ("
            " SELECT experiment FROM source.experiment_arm WHERE run IS NOT NULL"
            f" AND run IN (SELECT seq FROM source.run WHERE state NOT IN ({over}, 'deleted')))"
        )
        bundle.execute("INSERT INTO chosen_peer SELECT seq FROM source.peer_result")
    bundle.executemany("INSERT OR IGNORE INTO asked VALUES (?)", [(each,) for each in ids])
    bundle.execute(
        "INSERT OR IGNORE INTO chosen_peer SELECT seq FROM source.peer_result"
        " WHERE id IN (SELECT id FROM asked)"
    )
    bundle.execute(
        "INSERT INTO chosen_experiment SELECT seq FROM source.experiment"
        " WHERE id IN (SELECT id FROM asked)"
    )
    bundle.execute(
        "INSERT OR IGNORE INTO chosen SELECT seq FROM source.run WHERE state = 'finished'"
        " AND spec_digest IN (SELECT id FROM asked)"
    )
    bundle.execute(
        "INSERT OR IGNORE INTO chosen SELECT seq FROM source.run WHERE state != 'deleted'"
        " AND (id IN (SELECT id FROM asked) OR seq IN (SELECT run FROM source.experiment_arm"
        " WHERE experiment IN (SELECT seq FROM chosen_experiment)))"
    )
    _refuse_choice(bundle, over)


def _refuse_choice(bundle: sqlite3.Connection, over: str) -> None:
    unknown = bundle.execute(
        "SELECT id FROM asked WHERE id NOT IN (SELECT id FROM source.run WHERE state != 'deleted'"
        " UNION SELECT id FROM source.experiment UNION SELECT id FROM source.peer_result"
        " UNION SELECT spec_digest FROM source.run"
        " WHERE state = 'finished' AND spec_digest IS NOT NULL)"
    ).fetchone()
    if unknown:
        raise NotFound(f"There is no run and no experiment {unknown[0][:20]!r}.")
    unfinished = bundle.execute(
        "SELECT id, state FROM source.run WHERE seq IN (SELECT seq FROM chosen)"
        f" AND state NOT IN ({over})"
    ).fetchone()
    if unfinished:
        raise Conflict(f"Run {unfinished[0]} is {unfinished[1]}: export it when it is over.")
    (runs,) = bundle.execute("SELECT count(*) FROM chosen").fetchone()
    (peers,) = bundle.execute("SELECT count(*) FROM chosen_peer").fetchone()
    if not 0 < runs + peers <= MAX_BUNDLE_RUNS:
        most = f"a bundle holds 1 to {MAX_BUNDLE_RUNS:,}: name some."
        raise InvalidInput(f"{runs + peers:,} runs are over, and {most}")


def _copy(bundle: sqlite3.Connection, table: str) -> None:
    """Copy the chosen rows of a table by the names of its columns, without what is left behind."""
    columns = [row[1] for row in bundle.execute(f"PRAGMA main.table_info('{table}')")]
    values = [_LEFT_BEHIND.get((table, column), f'"{column}"') for column in columns]
    key, chosen = _key_of(table)
    named = ", ".join(f'"{column}"' for column in columns)
    bundle.execute(
        f"INSERT INTO main.{table} ({named}) SELECT {', '.join(values)}"
        f" FROM source.{table} WHERE {key} IN (SELECT seq FROM {chosen})"
    )


def _key_of(table: str) -> tuple[str, str]:
    """Return the column that tells whose a row is, and the table of those that are chosen."""
    if table in OF_RUNS:
        return "run", "chosen"
    if table in OF_EXPERIMENTS:
        return "experiment", "chosen_experiment"
    if table in TOOL_RESULT_TABLES:
        return "result" if table == "peer_samples" else "seq", "chosen_peer"
    return "seq", "chosen" if table == "run" else "chosen_experiment"


def is_sqlite(file: Path) -> bool:
    """Return whether a file is a database of SQLite, as bundles are."""
    with file.open("rb") as opened:
        return opened.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC


def refuse_other_files(file: Path) -> None:
    """Raise InvalidInput for what is no database, is too large or cannot be read."""
    try:
        size = file.stat().st_size
        is_database = is_sqlite(file)
    except OSError as error:
        raise InvalidInput(f"{file.name} cannot be read: {error.strerror}.") from None
    if size > MAX_BUNDLE_BYTES:
        raise InvalidInput(f"{size:,} bytes are above the limit of {MAX_BUNDLE_BYTES:,}.")
    if not is_database:
        raise InvalidInput("This is no bundle: looplab export makes one.")


def unpack_bundle(file: Path, staged: Path, like: str) -> None:
    """Copy the rows of a bundle into an empty database, and bring that up to date.

    `like` is the address of a database of the present schema.
    """
    with closing(_opened(file)) as bundle:
        tables = dict(bundle.execute("SELECT name, type || substr(sql, 1, 13) FROM sqlite_master"))
        _refuse_strange(tables, ("alembic_version", *BUNDLE_TABLES))
        version = _version(bundle)
        carried = (
            BUNDLE_TABLES
            if version < _FIRST_WITH_TOOL_RESULTS
            else (*BUNDLE_TABLES, *TOOL_RESULT_TABLES)
        )
        _refuse_strange(tables, carried)
        if version == HEAD:
            make_empty(staged, like)
        else:
            make_new(staged, version)
        with closing(sqlite3.connect(staged)) as copy, copy:
            for table in carried:
                _copy_rows(bundle, copy, table)
    if version != HEAD:
        migrate(staged)


def _refuse_strange(found: Mapping[str, str], tables: Sequence[str]) -> None:
    if any(found.get(table) != "tableCREATE TABLE " for table in tables):
        raise InvalidInput("This is the database of another program, and no bundle.")


def _opened(file: Path) -> sqlite3.Connection:
    """Open a file that may be made to do harm: nothing of it runs, and what it takes is bounded."""
    bundle = sqlite3.connect(f"file:{quote(str(file.resolve()))}?immutable=1", uri=True)
    bundle.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
    bundle.execute("PRAGMA trusted_schema=OFF")
    bundle.execute("PRAGMA cell_size_check=ON")
    ends = time.monotonic() + _READ_S
    bundle.set_progress_handler(lambda: time.monotonic() > ends, 100_000)
    return bundle


def _version(bundle: sqlite3.Connection) -> str:
    (found,) = bundle.execute("SELECT version_num FROM alembic_version").fetchone()
    version = str(found)
    if not _VERSION.fullmatch(version) or version < FIRST_VERSION:
        raise InvalidInput("This is no bundle: looplab export makes one.")
    if version > HEAD:
        raise InvalidInput(
            f"The bundle has schema {version}, and this Looplab knows schemas up to {HEAD}: "
            "use the newer Looplab."
        )
    return version


def _copy_rows(bundle: sqlite3.Connection, copy: sqlite3.Connection, table: str) -> None:
    columns = [row[1] for row in copy.execute(f"PRAGMA table_info('{table}')")]
    found = [(row[1], row[6]) for row in bundle.execute(f"PRAGMA table_xinfo('{table}')")]
    if sorted(found) != sorted((column, 0) for column in columns):
        # A generated column makes any amount of data of nothing.
        raise InvalidInput(f"The table {table} of the bundle is not as Looplab makes it.")
    named = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join("?" * len(columns))
    rows = bundle.execute(f"SELECT {named} FROM main.{table}")
    copy.executemany(f"INSERT INTO {table} ({named}) VALUES ({marks})", rows)


def rows_of(connection: Connection, query: str, *keys: int) -> Iterator[StoredRow]:
    """Yield the rows that a query finds, by their columns."""
    for row in connection.exec_driver_sql(query, keys).mappings():
        yield dict(row)


def measured_digest(connection: Connection, seq: int, *, by_link: bool = False) -> str:
    """Return a digest of what was measured, whatever people wrote about it since.

    `by_link`: of the numbers alone that no share link hides.
    """
    left_out = _WRITTEN | _HIDDEN if by_link else _WRITTEN
    digest = hashlib.sha256()
    for query in _MEASURED:
        for row in rows_of(connection, query, seq):
            measured = {
                column: without_log(value) if column in {"document", "gauges"} else value
                for column, value in sorted(row.items())
                if column not in left_out
            }
            digest.update(repr(measured).encode())
    return digest.hexdigest()


def is_same_run(bundle: Connection, theirs: int, ours: Connection, known: int) -> bool:
    """Whether both measured the same; where a share link hid parts of one, by the numbers alone."""
    by_link = came_by_link(bundle, theirs) or came_by_link(ours, known)
    found = measured_digest(bundle, theirs, by_link=by_link)
    return found == measured_digest(ours, known, by_link=by_link)


def came_by_link(connection: Connection, seq: int) -> bool:
    """Whether a share link gave this run, and hid what it hides."""
    query = f"SELECT json_type(environment, '$.{HIDDEN_BY_LINK}') FROM run_facts WHERE run = ?"
    return connection.exec_driver_sql(query, (seq,)).scalar() is not None
