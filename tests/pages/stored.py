"""A dashboard over stored runs of every kind, and how its pages are read."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from control_plane.domain.run import State
from control_plane.domain.spec import Spec
from control_plane.store.store import open_store
from tests.builders import (
    ASYNC,
    BLOCKED,
    ENVIRONMENT,
    EXHAUSTED,
    FAILING,
    LARGE_BODIES,
    classic,
    ended,
    finished,
    items,
    two_streams,
)
from tests.dashboard import Dashboard, dashboard

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
    store = open_store(folder / "runs.db")
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


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    folder = tmp_path_factory.mktemp("stored")
    runs = fill(folder)
    with dashboard(folder) as looplab:
        yield Stored(looplab, runs)


def figures(page: str) -> dict[str, dict[str, Any]]:
    """The figures of a page by name, as the browser reads them."""
    found = re.findall(r"<lab-figure id=\"([^\"]+)\"[^>]*? figure='([^']*)'", page)
    return {name: json.loads(unescape(text)) for name, text in found}


def words(page: str) -> str:
    """What a page says, without markup, one space between words."""
    start = page.find("<main")
    body = page[start : page.index("</main>")] if start >= 0 else page
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())
