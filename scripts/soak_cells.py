"""Cells of a full database that hold what nobody wrote there, for `cells` of `scripts/soak`."""

import math
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlmodel import SQLModel

from control_plane.access.route_roles import ROUTES
from control_plane.domain.experiment import BlockVariance, Findings, MetricNoise
from control_plane.domain.ids import new_id
from control_plane.domain.run import State
from control_plane.domain.spec import Target
from control_plane.domain.tool_result import ToldOfFile
from control_plane.domain.trend_runs import StepMark, TrendKey
from control_plane.other_tools import read_tool_file
from control_plane.store.share_links import ShareSubject
from control_plane.store.store import Store, open_store
from tests.builders.runs import ASYNC, BLOCKING, ENVIRONMENT, decided, ended, finished, items
from tests.builders.trends import P50S, repeated
from tests.dashboard import BARE, TERMINAL, Dashboard, items_spec, whole
from tests.in_process import in_process

TABLES = sorted(SQLModel.metadata.tables)
VALUES: tuple[object, ...] = ("x", "", -1, 2**63 - 1, math.inf, b"\xff", None)
DOCUMENTS: tuple[object, ...] = ("5", "{}", "[1]")
"""What else stands in the place of JSON."""
ASKED = 6
"""About so many of the addresses that read a table are asked after each change, in turn."""
TOOL_FILES = Path(__file__).parents[1] / "tests" / "other_tools" / "files"
READ_BY_RUNS = {"meta", "submission", "used_numbers", "secret", "run_secret"}
"""What is read where a run is handed in and measured, and on no page."""
KEY = {"Idempotency-Key": "a key"}
QUERIES = {
    r"(/api)?/compare": ("runs={run},{other}",),
    r"(/api)?/peers/compare": ("results={run},{peer}",),
    r"/bundle$|/history/(delete|chosen|keep)": ("run={run}",),
    r"/shares/new": ("kind=run&subject={run}",),
    r"/runs/new$": ("", "from={run}"),
    r"/history$": ("", "text=items", "tag=classic"),
    r"/api/runs$": ("", "sort=p50"),
}
"""What follows the addresses of routes that are told so which runs they show."""


@dataclass(frozen=True)
class Stored:
    """What stands for the parts of addresses; of `runs` one is in a trend, one is an arm."""

    runs: tuple[str, str]
    parts: dict[str, list[str]]


@dataclass(frozen=True)
class Address:
    """`run`: the one that it shows. `listing`: it names nothing that is stored."""

    path: str
    run: str
    listing: bool


@dataclass(frozen=True)
class FullDatabase:
    """A file with everything that is stored; what each address answers, and the tables it reads."""

    file: bytes
    runs: tuple[str, str]
    answers: dict[Address, tuple[int, set[str]]]


@cache
def full_database() -> FullDatabase:
    """Make a database of everything that is stored, of runs of one spec twelve; ask for all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "runs.db"
        in_trend = repeated(path, P50S[6:18])[0]
        with closing(open_store(path)) as store:
            stored = _filled(store, in_trend)
        with in_process(Path(folder)) as looplab:
            looplab.finished(looplab.post("/api/runs", sent(), headers=KEY).json()["id"])
            found = {each: answer_and_tables(looplab, each) for each in addresses(stored)}
        return FullDatabase(path.read_bytes(), stored.runs, found)


def _filled(store: Store, in_trend: str) -> Stored:
    made = decided(store, "classic", [BLOCKING, ASYNC, ASYNC])
    arm = made.arms[0].run_id or ""
    varied = BlockVariance(ENVIRONMENT["hostname"], "raw, closed, 2 s", "throughput_per_s", 1e-4, 9)
    noise = {varied.metric: MetricNoise(0.01, (1e-4, 9.0))}
    store.keep_findings(made.id, Findings("One is better.", [varied], noise, {}))
    store.begin_block(made.id, 0)
    ended(store, items(title="broken"), State.FAILED, "failed (start)", ("a line",))
    store.delete([finished(store, items(title="gone"), ASYNC).id])
    for subject in (in_trend, made.id):
        store.pin(subject, f"release {subject}")
    store.add_configuration("fast", Target())
    tools = [
        store.import_tool_result(TOOL_FILES / name, ToldOfFile(name), read_tool_file).id
        for name in ("wrk.txt", "oha.json", "vegeta.csv")
    ]
    spec = store.trend_spec(in_trend)
    key = TrendKey(spec, "items", "response_time_s.p50", "", ENVIRONMENT["hostname"])
    store.keep_mark(key, StepMark(new_id(), None, 5, datetime.now(UTC), "a note"), "a trend")
    shared = (
        ShareSubject("run", in_trend, "a run"),
        ShareSubject("comparison", f"{in_trend},{arm}", "two"),
        ShareSubject("experiment", made.id, "an experiment"),
        ShareSubject("trend", spec, "a trend"),
    )
    parts = {
        "experiment_id": [made.id],
        "spec": [spec],
        "peer_id": tools,
        "token": [store.make_share_link(subject, (), 1) for subject in shared],
        "subject": [in_trend],
        "name": ["percentiles"],
    }
    return Stored((in_trend, arm), parts)


def addresses(stored: Stored) -> Iterator[Address]:
    """Yield what may be read: of the two runs, of what else is stored, and all lists."""
    for route in (*ROUTES["public"], *ROUTES["viewer"]):
        path = route.split()[1]
        queries = next((each for key, each in QUERIES.items() if re.match(key, path)), ("",))
        pattern = [f"{path}?{query}" if query else path for query in queries]
        names = re.findall(r"{(\w+)}", path)
        if names[:1] not in (["code"], ["name"]):
            for text in pattern:
                yield from _named(text, names, stored)


def _named(pattern: str, names: Sequence[str], stored: Stored) -> Iterator[Address]:
    """Yield the addresses of a pattern; one for each run where it names one."""
    own = {"run_id", "run"} & set(re.findall(r"{(\w+)}", pattern))
    for run, other in (stored.runs, stored.runs[::-1]) if own else (("", ""),):
        known = {**stored.parts, "run_id": [run]}
        for found in product(*(known[name] for name in names)):
            parts = dict(zip(names, found, strict=True))
            peer = stored.parts["peer_id"][0]
            path = pattern.format(**{"run": run, "other": other, "peer": peer, **parts})
            yield Address(path, run, listing=not names and not own)


def answer_and_tables(looplab: Dashboard, address: Address) -> tuple[int, set[str]]:
    """Return the status code of an answer, and the tables that were read for it."""
    found: set[str] = set()

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        words = re.findall(r"\b(?:FROM|JOIN) ([\w, ]+)", statement)
        found.update({*re.findall(r"\w+", " ".join(words))}.intersection(TABLES))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        return answer(looplab, address), found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def answer(looplab: Dashboard, address: Address) -> int:
    return looplab.get(address.path, follow_redirects=False).status_code


def rows_of(db: Path, table: str, runs: tuple[str, str], turn: int) -> dict[str, dict[str, Any]]:
    """Return rows of a table by column: those of the two runs by run, or one, in turn, by ""."""
    columns = SQLModel.metadata.tables[table].primary_key.columns
    key = "seq" if table == "run" else "run" if "run" in columns else ""
    with closing(sqlite3.connect(db)) as connection:
        connection.row_factory = sqlite3.Row
        query = f"SELECT * FROM {table} WHERE {key} = (SELECT seq FROM run WHERE id = ?)"
        rows = {
            run: dict(row)
            for run in runs
            if key and (row := connection.execute(query, (run,)).fetchone())
        }
        found = connection.execute(f"SELECT * FROM {table}").fetchall()
    assert found, f"{table} is empty"
    return rows or {"": dict(found[turn % len(found)])}


@contextmanager
def changed(
    db: Path, table: str, row: dict[str, Any], column: str, value: object
) -> Iterator[bool]:
    """Change one cell of a row meanwhile; False where SQLite refuses that or keeps what it was."""
    keys = [key.name for key in SQLModel.metadata.tables[table].primary_key.columns]
    where = " AND ".join(f"{key} IS ?" for key in keys)
    query = f"UPDATE {table} SET {column} = ? WHERE {where} RETURNING *"
    with closing(sqlite3.connect(db, timeout=20)) as connection:
        connection.row_factory = sqlite3.Row
        try:
            with connection:
                (found,) = connection.execute(query, (value, *map(row.get, keys))).fetchall()
        except (sqlite3.Error, OverflowError):
            found = row
    made = dict(found)
    try:
        yield made != row
    finally:
        columns = ", ".join(f"{name} = ?" for name in row)
        back = f"UPDATE OR REPLACE {table} SET {columns} WHERE {where}"
        with closing(sqlite3.connect(db, timeout=20)) as connection, connection:
            done = connection.execute(back, (*row.values(), *map(made.get, keys)))
            assert done.rowcount == 1, (table, column, value)


def odd_values(before: object) -> tuple[object, ...]:
    """Return what takes the place of a value."""
    document = isinstance(before, str) and before[:1] in {"{", "["}
    return (*VALUES, *DOCUMENTS) if document else VALUES


def faults_of(looplab: Dashboard, asked: dict[Address, int]) -> list[str]:
    """Return what answers with 500 and above, and lists that answer otherwise than before."""
    found = [(address, code, answer(looplab, address)) for address, code in asked.items()]
    return [
        f"{code} {address.path}"
        for address, before, code in found
        if code >= 500 or (address.listing and code != before)
    ]


def sent() -> dict[str, Any]:
    """The spec of a short run with a secret and a sequence."""
    spec = items_spec(trials=1, warmup_s=0, **BARE)
    spec["workload"]["streams"][0]["requests"] = [
        {
            "path": "/items/{n}",
            "values": {"n": {"kind": "sequence"}},
            "headers": {"Authorization": "Bearer not to be shown"},
        }
    ]
    return spec


def faults_of_runs(looplab: Dashboard) -> list[str]:
    """Hand a run in with a key that was used, and one without; both are taken or refused."""
    again = looplab.post("/api/runs", sent(), headers=KEY)
    made = looplab.post("/api/runs", sent())
    found = [f"{each.status_code} POST /api/runs" for each in (again, made) if each.is_server_error]
    if made.is_success:
        run = looplab.until_state(made.json()["id"], TERMINAL)
        found += [run["reason"]] if "internal" in (run["reason"] or "") else []
    return found


def tried(
    looplab: Dashboard, table: str, row: dict[str, Any], asked: dict[Address, int], turn: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield, for each change of a row, how many addresses were asked and what was wrong."""
    stride = max(1, math.ceil(len(asked) / ASKED))
    odd = [(column, *each) for column in row for each in enumerate(odd_values(row[column]), turn)]
    for column, place, value in odd:
        some = dict([*asked.items()][place % stride :: stride])
        with changed(looplab.db, table, row, column, value) as is_odd:
            wrong = faults_of(looplab, some) if is_odd else []
            if is_odd and table in READ_BY_RUNS:
                wrong += faults_of_runs(looplab)
        if is_odd:
            yield len(some), [f"{column} = {value!r}: {fault}" for fault in wrong]


def cells(number: int, folder: Path) -> dict[str, Any]:
    """Change each cell of a row of one table to odd values; what reads the table answers."""
    turn, place = divmod(number, len(TABLES))
    table, full, db = TABLES[place], full_database(), folder / "runs.db"
    db.write_bytes(full.file)
    asked = {each: code for each, (code, read) in full.answers.items() if table in read}
    assert asked or table in READ_BY_RUNS, f"no page reads {table}"
    changes: list[tuple[int, list[str]]] = []
    with in_process(folder) as looplab:
        for run, row in rows_of(db, table, full.runs, turn).items():
            own = {each: code for each, code in asked.items() if not run or each.run in {"", run}}
            changes += tried(looplab, table, row, own, turn)
    assert whole(db), "damaged"
    wrong = [f"{table}.{fault}" for _, faults in changes for fault in faults]
    assert not wrong, f"{len(wrong)} wrong: {' | '.join(wrong)}"
    return {"table": table, "cells": len(changes), "requests": sum(count for count, _ in changes)}
