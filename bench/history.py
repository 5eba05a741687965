"""How long the dashboard takes to search and filter a history of 100,000 runs.

    .venv/bin/python -m bench.history [--runs 100000] [--requests 15] [--keep FOLDER]

The database is filled with copies of a few finished and failed runs, so that it is made in seconds.
Pages come from a real dashboard over loopback, each asked for in turn; the median of each is
printed beside the limit. With `--keep` the database stays in that folder, to be looked at.
"""

import argparse
import contextlib
import random
import sqlite3
import statistics
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from bench.pages import seconds_of
from control_plane.domain.ids import new_id
from control_plane.domain.run import State
from control_plane.store.run_search import INDEX_TEXTS
from control_plane.store.store import Store, open_store
from tests.builders.runs import FAILING, classic, finished, items
from tests.builders.states import in_state
from tests.builders.trends import copy_row
from tests.dashboard import dashboard

LIMIT_S = 0.040
BATCH = 1_000
NOW = datetime(2026, 12, 1, tzinfo=UTC)
SPAN = timedelta(days=365)
PARTS = ("run_facts", "run_stream")
NOT_LISTED = {"service": b"", "response": b"", "log": "[]"}
WORDS = ("checkout", "search", "login", "basket", "export", "release", "nightly", "canary")
QUERIES = {
    "all": "",
    "state": "state=finished",
    "validity": "validity=valid",
    "validity, few": "validity=invalid",
    "strategy and validity": "strategy=async&validity=invalid",
    "configuration": "configuration=uvicorn",
    "application": "application=shop",
    "machine": "machine=laptop",
    "dates": "since=2026-01-10&until=2026-01-20",
    "dates, none": "since=2001-01-10&until=2001-01-20",
    "everything at once": "state=finished&strategy=async&application=shop&machine=laptop",
    "tag": "tag=nightly",
    "search: every run": "text=items",
    "search: an eighth": "text=checkout",
    "search: two words": "text=checkout+number+77",
    "search: few": "text=number+99123",
    "search: two letters": "text=ch",
    "search: nothing": "text=zzzz",
    "search and filters": "text=basket&state=finished&strategy=async&machine=laptop",
    "search and a rare filter": "text=items&validity=invalid&strategy=blocking",
    "by p50": "sort=p50",
    "by p99, filtered": "sort=p99&order=asc&state=finished&machine=laptop",
    "by errors, few": "sort=errors&validity=invalid",
    "by throughput, search": "sort=throughput&text=checkout",
}


def main() -> None:
    """Fill a database, start a dashboard on it, and time its lists."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100_000, help="how many runs there are")
    parser.add_argument("--requests", type=int, default=15, help="how often each list is made")
    parser.add_argument("--keep", type=Path, help="a folder that the database stays in")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        if not (folder / "runs.db").exists():
            fill(folder / "runs.db", options.runs)
        looplab = stack.enter_context(dashboard(folder))
        spent: dict[str, list[float]] = {name: [] for name in QUERIES}
        for _ in range(options.requests):
            for name, query in QUERIES.items():
                spent[name].append(seconds_of(looplab, f"/history?{query}"))
    print(f"{'history of ' + format(options.runs, ',') + ' runs':32} {'median':>8} {'limit':>7}")
    for name, times in spent.items():
        print(f"{name:32} {statistics.median(times):7.4f}s {LIMIT_S:6.3f}s")


def fill(path: Path, runs: int) -> None:
    """Make a database with so many runs: copies of a few, with titles, tags and days of their own.

    The same number of runs makes the same history but for its ids.
    """
    store = open_store(path)
    templates = _templates(store)
    store.close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=OFF")
        numbers = iter(range(runs - templates))
        drawn = random.Random(runs)
        while batch := list(islice(numbers, BATCH)):
            database.execute("BEGIN")
            for number in batch:
                _copy(database, 1 + number % templates, number, drawn)
            database.execute("COMMIT")
        database.execute("DELETE FROM run_text")
        database.execute(INDEX_TEXTS)


def _templates(store: Store) -> int:
    made = [*classic(), (items(title="too many errors"), FAILING)]
    for spec, shape in made:
        finished(store, spec, shape)
    in_state(store, State.FAILED, title="items, failed")
    in_state(store, State.CANCELLED, title="items, cancelled")
    return len(made) + 2


def _copy(database: sqlite3.Connection, template: int, number: int, drawn: random.Random) -> None:
    word = drawn.choice(WORDS)
    changes = {
        "id": new_id(),
        "title": f"{word}, number {number}",
        "tags": f'["{word}"]',
        "note": f"Built by {drawn.choice(WORDS)} after {drawn.choice(WORDS)}",
        "created_at": f"{NOW - SPAN * drawn.random():%Y-%m-%d %H:%M:%S.%f}",
        "configuration": f"uvicorn, {drawn.randint(1, 4)} workers",
        "application": drawn.choice(("bundled", "shop", "mail")),
        "machine": drawn.choice(("bench", "laptop", "runner")),
    }
    seq = copy_row(database, "run", "seq", template, {"seq": None, **changes})
    for part in PARTS:
        copy_row(database, part, "run", template, {"run": seq, **NOT_LISTED})
    database.execute("INSERT INTO run_tag (run, tag) VALUES (?, ?)", (seq, word))


if __name__ == "__main__":
    main()
