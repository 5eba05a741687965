"""Databases with many runs of one spec, copied from one that is made as others are."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from control_plane.domain.ids import new_id
from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, BLOCKING, ENVIRONMENT, decided, finished, items
from tests.dashboard import provide_database

WOBBLE = (0.0, 0.01, -0.01, 0.005, -0.005)
P50S = [level * (1 + WOBBLE[n % len(WOBBLE)]) for n, level in enumerate([0.01] * 12 + [0.012] * 12)]
"""Slower from the 13th run on."""
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def repeated(
    path: Path, p50s_s: Sequence[float], facts: Sequence[Mapping[str, Any]] = ()
) -> list[str]:
    """Make a database with a run each six hours, of these p50 response times; their ids.

    `facts` are laid over the environment of each.
    """
    store = open_store(provide_database(path))
    ids = [finished(store, items(trials=1), ASYNC).id]
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN")
        for number, p50_s in enumerate(p50s_s):
            if number:
                ids.append(new_id())
                _copy(database, number + 1, ids[-1])
            own = facts[number] if facts else {}
            _tell(database, number + 1, p50_s, {**ENVIRONMENT, **own})
        database.execute("COMMIT")
    return ids


def interleaved(path: Path, experiments: int) -> str:
    """Make a database with so many experiments of a pinned baseline; the digest of the contender.

    All of them have the numbers of the first.
    """
    store = open_store(provide_database(path))
    made = decided(store, "classic", [BLOCKING, ASYNC, ASYNC])
    arms = [arm.run_id or "" for arm in made.arms]
    store.pin(arms[0], "release 2.3")
    spec = store.trend_spec(arms[1])
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN")
        database.execute("UPDATE run SET outcome = 'valid'")
        for _ in range(experiments - 1):
            _copy_experiment(database)
        database.execute("COMMIT")
    return spec


def _copy_experiment(database: sqlite3.Connection) -> None:
    changes: dict[str, object] = {"seq": None, "id": new_id(), "submission": None}
    experiment = copy_row(database, "experiment", "seq", 1, changes)
    for place in range(2):
        seq = copy_row(database, "run", "seq", place + 1, {"seq": None, "id": new_id()})
        for table in ("run_facts", "run_stream", "trial", "trial_stream"):
            copy_row(database, table, "run", place + 1, {"run": seq})
        database.execute(
            "INSERT INTO experiment_arm (experiment, place, name, run) VALUES (?, ?, ?, ?)",
            (experiment, place, f"arm {place}", seq),
        )


def _copy(database: sqlite3.Connection, seq: int, run_id: str) -> None:
    copy_row(database, "run", "seq", 1, {"seq": seq, "id": run_id})
    copy_row(database, "run_facts", "run", 1, {"run": seq})
    copy_row(database, "run_stream", "run", 1, {"run": seq})


def _tell(
    database: sqlite3.Connection, seq: int, p50_s: float, environment: Mapping[str, Any]
) -> None:
    at = f"{BEGUN + timedelta(hours=6 * seq):%Y-%m-%d %H:%M:%S.%f}"
    database.execute(
        "UPDATE run SET created_at = ?, started_at = ?, finished_at = ?, first_p50_s = ?,"
        " outcome = 'valid' WHERE seq = ?",
        (at, at, at, p50_s, seq),
    )
    database.execute(
        "UPDATE run_facts SET environment = ? WHERE run = ?", (json.dumps(environment), seq)
    )
    database.execute(
        "UPDATE run_stream SET summary = json_set(summary, '$.response_time_s.p50', ?)"
        " WHERE run = ?",
        (p50_s, seq),
    )


def copy_row(
    database: sqlite3.Connection, table: str, key: str, template: int, changes: dict[str, object]
) -> int | None:
    """Copy the rows of a template with some values changed; return the number of the last."""
    columns = [row[1] for row in database.execute(f"PRAGMA table_info('{table}')")]
    values = [f":{column}" if column in changes else column for column in columns]
    return database.execute(
        f"INSERT INTO {table} SELECT {', '.join(values)} FROM {table} WHERE {key} = :template",
        {**changes, "template": template},
    ).lastrowid
