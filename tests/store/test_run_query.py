"""The history against a plain search of the same runs, whichever way the database takes."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from control_plane.domain.experiment import ExperimentDesign
from control_plane.domain.ids import new_id
from control_plane.domain.run import State
from control_plane.store import run_query, run_search
from control_plane.store.run_query import RunOrder, RunSort, SortOrder
from control_plane.store.run_search import INDEX_TEXTS
from control_plane.store.store import Draft, Store, open_store
from tests.builders.runs import ASYNC, finished, items
from tests.builders.trends import copy_row
from tests.dashboard import provide_database

RUNS = 240
KELVIN, LONG_S = "\N{KELVIN SIGN}", "\N{LATIN SMALL LETTER LONG S}"
WORDS = ("checkout", "Basket", "École", "ÉCOLE", "50%", "a_b", "c-d", "x", "é", '"q"', "search")
FOLDED = (f"{KELVIN}elvin", "kelvin", f"{LONG_S}tream", "Stream", f"{KELVIN}-x", "k-x")
"""What the index finds by letters of ASCII, though it holds others."""
TAGS = ("nightly", "release")
VERDICTS = ("better", "worse", "equivalent")
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS: dict[RunSort, str] = {
    "throughput": "first_rate_per_s",
    "p99": "first_p99_s",
    "errors": "first_error_share",
}
SORTS: tuple[RunSort, ...] = ("created", *COLUMNS)
DIRECTIONS: tuple[SortOrder, ...] = ("desc", "asc")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of runs that differ by chance in all that is asked for."""
    made = provide_database(tmp_path_factory.mktemp("history") / "runs.db")
    with closing(open_store(made)) as store:
        finished(store, items(trials=1), ASYNC)
        store.add_experiment("?", ExperimentDesign(), [("a", Draft(items()))], 9)
    with closing(sqlite3.connect(made)) as database, database:
        drawn = random.Random(RUNS)
        for seq in range(3, RUNS + 1):
            _copy(database, seq, drawn)
        database.execute("DELETE FROM run_text")
        database.execute(INDEX_TEXTS)
    return made


def _copy(database: sqlite3.Connection, seq: int, drawn: random.Random) -> None:
    day = FIRST_DAY + timedelta(days=drawn.randrange(20))
    changes: dict[str, object] = {
        "seq": seq,
        "id": new_id(),
        "title": " ".join(drawn.choices((*WORDS, *FOLDED), k=3)),
        "tags": "[]",
        "state": drawn.choice(("finished", "finished", "failed", "deleted")),
        "outcome": drawn.choice(("valid", "invalid", None)),
        "machine": drawn.choice(("bench", "laptop")),
        "created_at": f"{day:%Y-%m-%d %H:%M:%S.%f}",
        **{column: drawn.choice((None, 1.0, 2.0, 3.0, 4.0)) for column in COLUMNS.values()},
    }
    copy_row(database, "run", "seq", 1, changes)
    for table in ("run_facts", "run_stream"):
        copy_row(database, table, "run", 1, {"run": seq})
    if changes["state"] != "deleted":
        for tag in drawn.sample(TAGS, k=drawn.randrange(3)):
            database.execute("INSERT INTO run_tag (run, tag) VALUES (?, ?)", (seq, tag))
    if drawn.random() < 0.4:
        arm = (1, seq, f"arm {seq}", seq, drawn.choice(VERDICTS))
        named = "experiment, place, name, run, verdict"
        database.execute(f"INSERT INTO experiment_arm ({named}) VALUES (?, ?, ?, ?, ?)", arm)


@pytest.fixture(scope="module")
def history(path: Path) -> Iterator[Store]:
    with closing(open_store(path)) as store:
        yield store


def asked_by_chance(drawn: random.Random) -> dict[str, Any]:
    """Some filters, and some words, of which a part may be all that is typed."""
    words = [word[: drawn.choice((1, 2, 3, 9))] for word in drawn.choices((*WORDS, *FOLDED), k=2)]
    able: dict[str, Any] = {
        "text": " ".join(words[: drawn.choice((1, 1, 2))]),
        "state": drawn.choice((State.FINISHED, State.FAILED)),
        "validity": drawn.choice(("valid", "invalid")),
        "machine": "laptop",
        "tag": drawn.choice(TAGS),
        "verdict": drawn.choice(VERDICTS),
        "since": date(2026, 1, drawn.randrange(1, 20)),
    }
    names = drawn.sample([*able], k=drawn.choice((1, 1, 2, 3)))
    return {name: able[name] for name in {*names, *drawn.sample(["text"], k=drawn.randrange(2))}}


@cache
def everything(path: Path) -> tuple[Any, ...]:
    """All rows of runs that are not deleted, their texts, their tags and their verdicts."""
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return (
            database.execute("SELECT * FROM run WHERE state != 'deleted'").fetchall(),
            dict(iter(database.execute("SELECT rowid, text FROM run_text").fetchall())),
            {tuple(row) for row in database.execute("SELECT run, tag FROM run_tag")},
            {tuple(row) for row in database.execute("SELECT run, verdict FROM experiment_arm")},
        )


def slowly(path: Path, asked: dict[str, Any], order: RunOrder) -> list[str]:
    """The ids of all that match, read whole and sifted here."""
    rows, texts, tags, arms = everything(path)
    equal = {"state": "state", "validity": "outcome", "machine": "machine"}

    def matches(row: sqlite3.Row) -> bool:
        return (
            all(_has(texts[row["seq"]], word) for word in asked.get("text", "").split())
            and all(row[equal[name]] == asked[name] for name in equal.keys() & asked.keys())
            and ("tag" not in asked or (row["seq"], asked["tag"]) in tags)
            and ("verdict" not in asked or (row["seq"], asked["verdict"]) in arms)
            and ("since" not in asked or row["created_at"] >= f"{asked['since']}")
        )

    found = [row for row in rows if matches(row)]
    turned = 1 if order.ascending else -1
    if order.sort == "created":
        return [row["id"] for row in sorted(found, key=lambda row: turned * row["seq"])]
    column = COLUMNS[order.sort]
    known = [row for row in found if row[column] is not None]
    known.sort(key=lambda row: (turned * row[column], turned * row["seq"]))
    others = sorted((row for row in found if row[column] is None), key=lambda row: -row["seq"])
    return [row["id"] for row in (*known, *others)]


def _has(text: str, word: str) -> bool:
    """Whether a text has a word without regard to case, a short one where a word begins."""
    short = len(word) < 3 and word.isalnum()
    return (2 * "\x1f" + word if short else word).casefold() in text.casefold()


@pytest.mark.parametrize(
    ("many", "most", "common"), [(0, 3, 0.25), (20, 8, 2), (60, 30, 0), (2_000, 1_000, 0.25)]
)
@pytest.mark.parametrize("seed", range(12))
def test_what_is_found_is_what_a_plain_search_finds(
    path: Path, history: Store, monkeypatch: pytest.MonkeyPatch, seed: int, many, most, common
) -> None:
    """In pages, in each order, whether texts are read, the index of words, or one and the other.

    A few texts are read at once, so that many do not come first.
    """
    monkeypatch.setattr(run_search, "READ_AT_ONCE", 7)
    monkeypatch.setattr(run_query, "READ_AT_ONCE", 7)
    monkeypatch.setattr(run_query, "MANY", many)
    monkeypatch.setattr(run_query, "MOST_COUNTED", most)
    monkeypatch.setattr(run_query, "COMMON", common)
    drawn = random.Random(seed)
    asked = asked_by_chance(drawn)
    for sort, direction in product(SORTS, DIRECTIONS):
        order = RunOrder(sort, direction)
        wanted = slowly(path, asked, order)
        found: list[str] = []
        cursor = None
        while page := history.runs(limit=25, order=order, cursor=cursor, **asked):
            found += [run.id for run in page.runs]
            if (cursor := page.next_cursor) is None:
                break
        assert (found, page.total) == (wanted, min(len(wanted), most + 1)), asked
