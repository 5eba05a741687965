"""Databases with runs of every kind, and how the pages over them are read."""

import json
import re
import shutil
from dataclasses import dataclass, replace
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from control_plane.domain.limits import Limits
from control_plane.domain.run import State
from control_plane.domain.spec import Spec
from control_plane.domain.spec_json import read_spec
from control_plane.experiments.experiment_file import bundled_experiment
from control_plane.store.store import open_store
from tests.builders.runs import (
    ASYNC,
    BLOCKED,
    BLOCKING,
    ENVIRONMENT,
    EXHAUSTED,
    FAILING,
    LARGE_BODIES,
    THREADED,
    classic,
    ended,
    finished,
    items,
    two_streams,
)
from tests.dashboard import Dashboard, provide_database
from tests.html import read_html

BROKEN = "failed (start): the target ended with exit code 3"
BROKEN_LOG = ("Traceback (most recent call last):", "ModuleNotFoundError: No module named 'orjson'")


@dataclass(frozen=True)
class Samples:
    """Ids of stored runs: the classic three, and one of each kind that pages show differently."""

    classic: tuple[str, ...]
    streams: str
    blocked: str
    invalid: str
    failed: str
    interrupted: str
    elsewhere: str
    asleep: str
    exhausted: str


def fill(folder: Path) -> Samples:
    """Make a database `runs.db` in the folder."""
    store = open_store(provide_database(folder / "runs.db"))
    try:
        laptop = {**ENVIRONMENT, "cpu_model": "Apple M2", "cpu_count": 8}
        ended_early = "Looplab ended while this run was not over"
        return Samples(
            classic=tuple(finished(store, spec, shape).id for spec, shape in classic()),
            streams=finished(store, two_streams(), replace(ASYNC, rate_per_s=120)).id,
            blocked=finished(store, two_streams(), LARGE_BODIES).id,
            invalid=finished(store, items(title="items, failing"), FAILING).id,
            failed=ended(store, items(title="broken"), State.FAILED, BROKEN, BROKEN_LOG).id,
            interrupted=ended(store, items(title="cut"), State.INTERRUPTED, ended_early).id,
            elsewhere=finished(store, items(title="items, laptop"), ASYNC, laptop).id,
            asleep=finished(store, _movies("sync", "movies blocked"), BLOCKED).id,
            exhausted=finished(store, _movies("thread", "movies queued", threads=4), EXHAUSTED).id,
        )
    finally:
        store.close()


def _movies(way: str, title: str, **target: Any) -> Spec:
    stream = {
        "name": "movies",
        "requests": [{"path": f"/movies/{way}/1"}],
        "load": {"model": "closed", "concurrency": 100},
        "stop": {"duration_s": 10},
    }
    return items(title=title, trials=1, workload={"streams": [stream]}, target=target)


@dataclass(frozen=True)
class Stored:
    looplab: Dashboard
    runs: Samples

    def page(self, path: str, status: int = 200) -> str:
        answer = self.looplab.get(path)
        assert answer.status_code == status, answer.text
        assert "text/html" in answer.headers["content-type"]
        return answer.text

    def compare(self, *ids: str, more: str = "") -> str:
        return self.page(f"/compare?runs={','.join(ids)}{more}")


def fill_history(folder: Path) -> None:
    """Make a database of the classic question answered, failing runs, and runs that ended early."""
    store = open_store(provide_database(folder / "runs.db"))
    shapes = (BLOCKING, THREADED, ASYNC)
    arms = bundled_experiment("classic").document("full")["arms"]
    for arm, shape in zip(arms, shapes, strict=True):
        named = {"title": f"items, {arm['name']}", "tags": ["classic"]}
        finished(store, read_spec({**arm["spec"], **named}, Limits()), shape)
    finished(store, items(title="too many errors"), FAILING)
    for state, reason in (
        (State.FAILED, "failed (start): exit code 3"),
        (State.CANCELLED, "cancelled in trial 2 of 3"),
        (State.INTERRUPTED, "Looplab ended while this run was not over"),
    ):
        ended(store, items(title=f"items, {state.value}", tags=["early"]), state, reason)
    store.close()


@dataclass(frozen=True)
class Filled:
    """A database that no dashboard has opened, and its runs by what they show."""

    database: Path
    runs: Samples


def copied(database: Path, folder: Path) -> Path:
    """Return the folder, with a copy of the database in it."""
    shutil.copy(database, folder / "runs.db")
    return folder


@pytest.fixture(scope="session")
def stored_database(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return _stored(tmp_path_factory.getbasetemp() / "stored-database")


@pytest.fixture(scope="session")
def history_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _history(tmp_path_factory.getbasetemp() / "history-database")


# Two rooms have these fixtures, and each room would have its own.
@cache
def _stored(folder: Path) -> Filled:
    folder.mkdir()
    return Filled(folder / "runs.db", fill(folder))


@cache
def _history(folder: Path) -> Path:
    folder.mkdir()
    fill_history(folder)
    return folder / "runs.db"


def figures(page: str) -> dict[str, dict[str, Any]]:
    """The figures of a page by name, as the browser reads them."""
    found = [element.attributes for element in read_html(page).all("lab-figure")]
    return {attributes["id"]: json.loads(attributes["figure"]) for attributes in found}


def words(page: str) -> str:
    """What a page says, without markup, one space between words."""
    start = page.find("<main")
    body = page[start : page.index("</main>")] if start >= 0 else page
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
