"""Answering less is not quicker: the size of answers stands beside what is called faster."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.dashboard import Dashboard
from tests.pages.stored import words

BIG, SMALL = 20_000, 27


@pytest.fixture(scope="module")
def looplab(case: Callable[[str], Dashboard]) -> Dashboard:
    return case("R20")


def spec_of(path: str, **stop: Any) -> dict[str, Any]:
    stream = {
        "requests": [{"path": path}],
        "load": {"model": "closed", "concurrency": 8},
        "stop": stop or {"requests": 400},
    }
    return {
        "target": {"application": "pool"},
        "workload": {"streams": [stream]},
        "client": {"strategy": "raw"},
        "warmup_s": 0,
    }


@pytest.fixture(scope="module")
def ids(looplab: Dashboard) -> tuple[str, str]:
    big, small = (looplab.submit(spec_of(path)) for path in ("/a", "/b"))
    for run_id in (big, small):
        looplab.finished(run_id)
    return big, small


def test_each_run_tells_the_size_of_its_answers(looplab: Dashboard, ids: tuple[str, str]) -> None:
    sizes = [looplab.run(run_id)["streams"][0]["bytes_received_per_request"] for run_id in ids]
    assert sizes == [BIG, SMALL]
    page = words(looplab.get(f"/runs/{ids[0]}").text).replace("\N{NO-BREAK SPACE}", " ")
    assert "Answer size 20.0 kB" in page


def test_the_comparison_says_so_before_it_calls_one_faster(
    looplab: Dashboard, ids: tuple[str, str]
) -> None:
    query = f"runs={','.join(ids)}"
    found = looplab.get(f"/api/compare?{query}").json()
    (row,) = [row for row in found["rows"] if row["metric"] == "bytes_received_per_request"]
    assert (row["unit"], row["less_is_better"]) == ("bytes", None)
    assert row["values"] == {ids[0]: BIG, ids[1]: SMALL}
    assert "answers 27 bytes where" in found["catch"].replace("\N{NO-BREAK SPACE}", " ")
    assert "answers 20,000" in found["catch"].replace("\N{NO-BREAK SPACE}", " ")
    page = words(looplab.get(f"/compare?{query}").text).replace("\N{NO-BREAK SPACE}", " ")
    assert "answers 27 bytes where" in page


def test_answers_of_one_size_are_no_caveat(looplab: Dashboard, ids: tuple[str, str]) -> None:
    again = looplab.submit(spec_of("/b"))
    looplab.finished(again)
    found = looplab.get(f"/api/compare?runs={ids[1]},{again}").json()
    assert "bytes where" not in found["catch"]


def test_a_size_that_changes_on_the_way_is_the_mean(looplab: Dashboard) -> None:
    run = looplab.finished(looplab.submit(spec_of("/", requests=2_000)))
    (stream,) = run["streams"]
    assert stream["bytes_received_per_request"] == pytest.approx((BIG + SMALL) / 2, rel=0.05)
