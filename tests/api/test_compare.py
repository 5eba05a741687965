"""Comparisons over the API."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, THREADED, finished, items
from tests.dashboard import Dashboard, provide_database
from tests.in_process import in_process

Pair = tuple[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compare")


@pytest.fixture(scope="module")
def pair(folder: Path) -> Pair:
    """Two stored runs, of another client strategy each."""
    store = open_store(provide_database(folder / "runs.db"))
    shapes = {"async": ASYNC, "threaded": THREADED}
    first, second = (
        finished(store, items(trials=1, client={"strategy": name}), shape).id
        for name, shape in shapes.items()
    )
    store.close()
    return first, second


@pytest.fixture(scope="module")
def looplab(folder: Path, pair: Pair) -> Iterator[Dashboard]:
    with in_process(folder) as started:
        yield started


def test_ratios_are_contender_over_baseline(looplab: Dashboard, pair: Pair) -> None:
    first, second = pair
    answer = looplab.get(f"/api/compare?runs={first},{second}&baseline={second}").json()
    assert (answer["baseline"], answer["runs"][0]) is not None
    row = next(row for row in answer["rows"] if row["metric"] == "throughput_per_s")
    assert row["ratios"][first] == pytest.approx(row["values"][first] / row["values"][second])
    assert row["unit"] == "per_s"
    assert row["less_is_better"] is False


def test_what_differs_is_named(looplab: Dashboard, pair: Pair) -> None:
    answer = looplab.get(f"/api/compare?runs={pair[0]},{pair[1]}").json()
    assert answer["baseline"] == pair[0]
    strategies = {difference["field"]: difference["values"] for difference in answer["differences"]}
    assert strategies["client.strategy"] == {pair[0]: "async", pair[1]: "threaded"}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("runs=", 422),
        ("runs={a},{a}", 422),
        ("runs=zzzzzzzzzz", 404),
        ("runs={a},zzzzzzzzzz", 404),
        ("runs={a}&baseline={b}", 422),
        ("runs=" + ",".join(f"000000000{n:x}" for n in range(13)), 422),
        ("runs=" + "0000000000," * 5_000, 422),
    ],
)
def test_what_cannot_be_compared(looplab: Dashboard, pair: Pair, query: str, status: int) -> None:
    answer = looplab.get("/api/compare?" + query.format(a=pair[0], b=pair[1]))
    assert answer.status_code == status
    assert answer.json()["message"]
