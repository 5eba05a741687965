"""How long the dashboard takes to search and filter a history of 100,000 runs with experiments.

    .venv/bin/python -m bench.history [--runs 100000] [--requests 15] [--keep FOLDER] [--only NAME]

The database is filled with copies of a few runs and of an experiment; one of twelve runs is an
arm. Pages come from a real dashboard over loopback, each asked for in turn; the median of each is
printed beside the limit. What a processor works on it is measured where the page is made in this
process: the whole, and of it what reading the rows takes. With `--keep` the database stays in that
folder, to be looked at. The exit code is 1 where a page misses its limit.
"""

import argparse
import contextlib
import hashlib
import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args
from urllib.parse import parse_qsl

from bench.deciding import Table
from bench.pages import seconds_of
from control_plane.analysis.deciding.verdicts import VerdictName
from control_plane.domain.ids import new_id
from control_plane.domain.run import State
from control_plane.jobs.experiment_job import findings_of, judged_now
from control_plane.pages.history import PAGE, HistoryQuery, read_runs
from control_plane.store.run_search import INDEX_TEXTS
from control_plane.store.store import Store, open_store
from tests.builders.runs import (
    ASYNC,
    BLOCKING,
    ENVIRONMENT,
    FAILING,
    classic,
    decided,
    finished,
    items,
)
from tests.builders.states import in_state
from tests.builders.trends import copy_row
from tests.dashboard import Dashboard, dashboard
from tests.in_process import in_process

LIMIT_S = 0.040
NOW = datetime(2026, 12, 1, tzinfo=UTC)
SPAN = timedelta(days=365)
NOT_LISTED = {"service": b"", "response": b"", "first_byte": None, "log": "[]", "gauges": "{}"}
NOT_LISTED |= {"timeline": None, "seconds": None, "send_lag": None}
WORDS = ("checkout", "search", "login", "basket", "export", "release", "nightly", "canary")
APART = 36
"""So many runs lie between two experiments of three arms, counted with them."""
BLOCKS = 4
"""So many blocks were begun of each."""
NOTHING = "nothing, many filters"


def commit_of(seq: int) -> str:
    """Return the commit that a run measured, six runs each."""
    return hashlib.sha1(str(seq // 6).encode(), usedforsecurity=False).hexdigest()


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
    "objectives": "objectives=failed",
    "objectives, few": "objectives=undecided",
    "verdict": "verdict=better",
    "verdict, few": "verdict=inconclusive",
    "verdict and filters": "verdict=better&strategy=async&machine=laptop",
    "everything at once": "state=finished&strategy=async&application=shop&machine=laptop",
    "tag": "tag=nightly",
    "tag and filters": "tag=nightly&state=finished&machine=laptop",
    "search: every run": "text=items",
    "search: an eighth": "text=checkout",
    "search: two words": "text=checkout+number+77",
    "search: few": "text=number+99123",
    "search: two letters": "text=ch",
    "search: one letter": "text=b",
    "search: a sign": "text=%2C",
    "search: nothing": "text=zzzz",
    "search: path": "text=%2Fbasket%2Fitems",
    "search: subject of a commit": "text=warm+the+login",
    "search: commit": f"text={commit_of(77)[:7]}",
    "search: id": "text={id}",
    "search: experiment": "text=blocking+classic",
    "search and filters": "text=basket&state=finished&strategy=async&machine=laptop",
    "search and a rare filter": "text=items&validity=invalid&strategy=blocking",
    "search and few dates": "text=items&since=2026-01-10&until=2026-01-20",
    "search and a day": "text=bench&since=2026-01-10&until=2026-01-10",
    "search and objectives": "text=items&objectives=undecided",
    "search and tag": "text=basket&tag=nightly",
    "search of all and tag": "text=items&tag=nightly",
    "search and verdict": "text=basket&verdict=better",
    "search of all and verdict": "text=items&verdict=better",
    "tag and verdict": "tag=classic&verdict=better",
    "by p50": "sort=p50",
    "by p99, filtered": "sort=p99&order=asc&state=finished&machine=laptop",
    "by p95, a rare filter": "sort=p95&validity=invalid&strategy=blocking",
    "by errors, few": "sort=errors&validity=invalid",
    "by throughput, tag": "sort=throughput&tag=nightly",
    "by p50, verdict": "sort=p50&verdict=better",
    "by throughput, search": "sort=throughput&text=checkout",
    "by p50, search of all": "sort=p50&text=items",
    "by p95, search": "sort=p95&order=asc&text=login",
    "by p99, search and filters": "sort=p99&text=basket&state=finished&machine=laptop",
    "by errors, search and dates": "sort=errors&text=items&since=2026-01-10&until=2026-03-20",
    "by p50, cancelled": "sort=p50&state=cancelled",
    "by p99, search and blocking": "sort=p99&text=number&state=finished&strategy=blocking",
    NOTHING: "text=77&state=finished&configuration=uvicorn&tag=nightly&machine=runner",
    "oldest first, search": "order=asc&text=checkout&machine=bench",
}
"""What is asked for; `{id}` stands for the id of a run."""

Stored = Mapping[str, object]


def main() -> int:
    """Fill a database, start a dashboard on it, and time its lists; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100_000, help="how many runs there are")
    parser.add_argument("--requests", type=int, default=15, help="how often each list is made")
    parser.add_argument("--keep", type=Path, help="a folder that the database stays in")
    parser.add_argument("--only", default="", help="the lists with this in their names alone")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        if not (folder / "runs.db").exists():
            fill(folder / "runs.db", options.runs)
        queries = {name: query for name, query in QUERIES.items() if options.only in name}
        return told(timed(folder, queries, options.requests), options.runs)


def timed(folder: Path, queries: Mapping[str, str], requests: int) -> list["ListTimes"]:
    """Ask for each list so often, and make it here as often."""
    run_id = some_id(folder / "runs.db")
    lists = [
        ListTimes(name, query.replace("{id}", run_id), without)
        for name, query in queries.items()
        for without in ("", *(_filters(query) if name == NOTHING else ()))
    ]
    with dashboard(folder) as looplab:
        for each in lists * requests:
            each.ask(looplab)
    with in_process(folder) as looplab:
        for each in lists * requests:
            each.work(looplab)
    with contextlib.closing(open_store(folder / "runs.db")) as store:
        for each in lists * requests:
            each.read(store)
    return lists


def _filters(query: str) -> dict[str, str]:
    return dict(parse_qsl(query))


class ListTimes:
    """Seconds of one list, by request: until it arrived, and those of a processor.

    `without` a filter: of the count of what would be found once that is dropped.
    """

    def __init__(self, name: str, query: str, without: str) -> None:
        self.name = f"{name}, without {without}" if without else name
        self._query, self._without = HistoryQuery.model_validate(_filters(query)), without
        self._url = f"/history/without/{without}?{query}" if without else f"/history?{query}"
        self.arrived: list[float] = []
        self.worked: list[float] = []
        self.rows: list[float] = []

    def ask(self, looplab: Dashboard) -> None:
        """Ask a dashboard for the page."""
        self.arrived.append(seconds_of(looplab, self._url))

    def work(self, looplab: Dashboard) -> None:
        """Make the page in this process."""
        begun = time.process_time()
        seconds_of(looplab, self._url)
        self.worked.append(time.process_time() - begun)

    def read(self, store: Store) -> None:
        """Read the rows of the page alone."""
        query = self._query.without(self._without) if self._without else self._query
        begun = time.process_time()
        read_runs(query, store, PAGE)
        self.rows.append(time.process_time() - begun)


def told(lists: Sequence[ListTimes], runs: int) -> int:
    """Print the times; return 1 where a list takes longer than the limit."""
    table = Table(f"History of {runs:,} runs", "list | median | processor | of it rows")
    for each in lists:
        times = [statistics.median(spent) for spent in (each.arrived, each.worked, each.rows)]
        cells = (f"{1e3 * spent:.1f} ms" for spent in times)
        wanted = f"≤ {1e3 * LIMIT_S:.0f} ms"
        table.row(each.name, *cells, wanted=wanted, reached=times[0] <= LIMIT_S)
    return int(bool(table.missed))


def fill(path: Path, runs: int) -> None:
    """Make a database with so many runs: copies of a few, with titles, tags and days of their own.

    The same number of runs makes the same history but for its ids.
    """
    store = open_store(path)
    templates = _templates(store)
    store.close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous=OFF")
        database.execute("BEGIN")
        copying = Copying(database, random.Random(runs), templates)
        while copying.runs < runs:
            if copying.runs % APART < templates.arms:
                copying.copy_experiment()
            else:
                copying.copy_run(1 + copying.runs % templates.runs, copying.word())
        database.execute("DELETE FROM run_text")
        database.execute(INDEX_TEXTS)
        database.execute("COMMIT")


@dataclass(frozen=True)
class Templates:
    """So many runs that stand alone are followed by the arms of an experiment."""

    runs: int
    arms: int


def _templates(store: Store) -> Templates:
    made = [*classic(), (items(title="too many errors"), FAILING)]
    for spec, shape in made:
        finished(store, spec, shape)
    in_state(store, State.FAILED, title="items, failed")
    in_state(store, State.CANCELLED, title="items, cancelled")
    experiment = decided(store, "classic", [BLOCKING, ASYNC, ASYNC])
    store.keep_findings(experiment.id, findings_of(judged_now(store, experiment.id)))
    return Templates(len(made) + 2, len(experiment.arms))


class Copying:
    """Copies the templates; `runs` counts those that are there."""

    def __init__(
        self, database: sqlite3.Connection, drawn: random.Random, templates: Templates
    ) -> None:
        self._database, self._drawn, self._templates = database, drawn, templates
        self.runs = templates.runs + templates.arms
        (self._spec,) = database.execute("SELECT spec FROM run_facts WHERE run = 1").fetchone()

    def word(self) -> str:
        """Return one of the words by chance."""
        return self._drawn.choice(WORDS)

    def copy_run(self, template: int, word: str, **changes: object) -> int:
        """Copy a run with what lists read of it, and tag it with a word; its number."""
        drawn, seq = self._drawn, self.runs + 1
        own = {
            "seq": seq,
            "id": new_id(),
            "title": f"{word}, number {seq}",
            "tags": f'["{word}"]',
            "note": f"Built by {self.word()} after {self.word()}",
            "created_at": f"{NOW - SPAN * drawn.random():%Y-%m-%d %H:%M:%S.%f}",
            "configuration": f"uvicorn, {drawn.randint(1, 4)} workers",
            "application": drawn.choice(("bundled", "shop", "mail")),
            "machine": drawn.choice(("bench", "laptop", "runner")),
            "objectives": drawn.choices(
                (None, "passed", "failed", "undecided"), (60, 30, 9.5, 0.5)
            )[0],
            **self._numbers(template),
        }
        subject = {"application_commit_subject": f"Warm the {self.word()} cache"}
        commit = dict.fromkeys(("commit", "application_commit"), commit_of(seq))
        facts: dict[str, object] = {"environment": json.dumps({**ENVIRONMENT, **subject, **commit})}
        if template <= self._templates.runs:
            facts["spec"] = self._spec.replace("/items/", f"/{self.word()}/items/")
        copy_row(self._database, "run", "seq", template, {**own, **changes})
        for part in ("run_facts", "run_stream"):
            copy_row(self._database, part, "run", template, {"run": seq, **NOT_LISTED, **facts})
        self._database.execute("INSERT INTO run_tag (run, tag) VALUES (?, ?)", (seq, word))
        self.runs = seq
        return seq

    def _numbers(self, template: int) -> Stored:
        """Return what lists are sorted by, of a run that has numbers."""
        columns = ("first_rate_per_s", "first_p50_s", "first_p95_s", "first_p99_s")
        named = ", ".join(columns)
        found = self._database.execute(f"SELECT {named} FROM run WHERE seq = ?", (template,))
        factor = self._drawn.lognormvariate(0, 0.3)
        numbers = zip(columns, found.fetchone(), strict=True)
        return {column: value and value * factor for column, value in numbers}

    def copy_experiment(self) -> None:
        """Copy the experiment with its arms and their trials, with verdicts by chance."""
        question = f"Is {self.word()} blocking, number {self.runs}?"
        own: Stored = {"seq": None, "id": new_id(), "question": question, "submission": None}
        experiment = copy_row(self._database, "experiment", "seq", 1, {**own})
        self._database.executemany(
            "INSERT INTO experiment_block (experiment, number, row, session, outcome)"
            " VALUES (?, ?, ?, 1, 'complete')",
            [(experiment, block, block) for block in range(BLOCKS)],
        )
        arms = self._database.execute("SELECT name, run FROM experiment_arm WHERE experiment = 1")
        for place, (name, template) in enumerate(arms.fetchall()):
            titled = {"title": f"{question} {name}", "tags": '["classic"]'}
            seq = self.copy_run(template, "classic", **titled)
            for part in ("trial", "trial_stream"):
                copy_row(self._database, part, "run", template, {"run": seq, **NOT_LISTED})
            verdict = self._drawn.choice(get_args(VerdictName)) if place else ""
            self._database.execute(
                "INSERT INTO experiment_arm (experiment, place, name, run, verdict)"
                " VALUES (?, ?, ?, ?, ?)",
                (experiment, place, name, seq, verdict),
            )


def some_id(path: Path) -> str:
    """Return the id of a run in the middle of the history."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        middle = "SELECT id FROM run WHERE seq = (SELECT max(seq) / 2 FROM run)"
        return str(database.execute(middle).fetchone()[0])


if __name__ == "__main__":
    sys.exit(main())
