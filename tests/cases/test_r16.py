"""Two strategies asked for another path than the spec says."""

from collections.abc import Callable
from typing import Any

import pytest

from control_plane.domain.client_strategies import STRATEGIES
from tests.cases.R16.app import GOOD
from tests.cases.serving import Served


@pytest.fixture(scope="module")
def paths(served: Callable[[str], Served]) -> Served:
    return served("R16")


def spec_of(strategy: str, paths: list[str], **request: Any) -> dict[str, Any]:
    stream = {
        "requests": [{"path": path, **request} for path in paths],
        "load": {"model": "closed", "concurrency": 1},
        "stop": {"requests": 20 * len(paths)},
    }
    return {
        "workload": {"streams": [stream]},
        "client": {"strategy": strategy},
        "warmup_s": 0,
    }


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_path_arrives_as_it_is_written(paths: Served, strategy: str) -> None:
    run = paths.run(spec_of(strategy, sorted(path.decode() for path in GOOD)))
    (stream,) = run["streams"]
    assert (stream["statuses"], stream["errors"]) == ({"200": 20 * len(GOOD)}, {})
    assert not (paths.looplab.db.parent / "strange.txt").exists()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("//a", "A path starts with one slash"),
        ("/a b", "percent-encoded"),
        ("/f/ä", "percent-encoded"),
        ("/a#b", "percent-encoded"),
        ("/a\\b", "percent-encoded"),
        ("a", "A path starts with one slash"),
    ],
)
def test_what_cannot_be_sent_as_it_is_written_is_refused(
    paths: Served, path: str, words: str
) -> None:
    response = paths.looplab.post("/api/runs", spec_of("threaded", [path]))
    assert response.status_code == 422
    (error,) = response.json()["fields"]
    assert error["field"] == "workload.streams.0.requests.0.path"
    assert words in error["message"]


@pytest.mark.parametrize(
    ("headers", "name", "words"),
    [
        ({"X-A": "1", "x-a": "2"}, "x-a", "the same header as X-A"),
        ({"X-A": " 1"}, "X-A", "neither begins nor ends with a space"),
        ({"X-A": "1 "}, "X-A", "neither begins nor ends with a space"),
        ({"X-A": "Jörg"}, "X-A", "printable ASCII"),
        ({"X-A": "a\r\nX-B: 2"}, "X-A", "printable ASCII"),
        ({"X A": "1"}, "X A", "not the name of a header"),
        ({"Host": "example.com"}, "Host", "set by the client itself"),
    ],
)
def test_headers_that_strategies_would_send_differently_are_refused(
    paths: Served, headers: dict[str, str], name: str, words: str
) -> None:
    response = paths.looplab.post("/api/runs", spec_of("async", ["/"], headers=headers))
    assert response.status_code == 422
    (error,) = response.json()["fields"]
    assert error["field"] == f"workload.streams.0.requests.0.headers.{name}"
    assert words in error["message"]
