"""Servers that keep no connection: half of the requests failed in two strategies, none in another,
and a gate said that the client had too few connections.
"""

from collections.abc import Callable
from typing import Any

import pytest

from control_plane.domain.client_strategies import STRATEGIES
from tests.dashboard import Dashboard


@pytest.fixture(scope="module")
def looplab(case: Callable[[str], Dashboard]) -> Dashboard:
    return case("R23")


def run_of(
    looplab: Dashboard, application: str, strategy: str = "async", method: str = "GET", **load: Any
) -> dict[str, Any]:
    users = 1 if STRATEGIES[strategy].alone else 64
    stream = {
        "requests": [{"path": "/", "method": method}],
        "load": {"model": "closed", "concurrency": users, **load},
        "stop": {"requests": 320},
    }
    spec = {
        "target": {"application": application, "server": "command"},
        "workload": {"streams": [stream]},
        "client": {"strategy": strategy},
        "warmup_s": 0,
    }
    return looplab.finished(looplab.submit(spec))


def cause(run: dict[str, Any], name: str = "connections_ended") -> str:
    found = {each["cause"]: each["text"] for each in run["causes"]}
    return found.get(name, "")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_server_that_closes_fails_no_request_of_any_strategy(
    looplab: Dashboard, strategy: str
) -> None:
    run = run_of(looplab, "closes", strategy)
    (stream,) = run["streams"]
    assert stream["errors"] == {}
    assert stream["completed"] == 320
    assert "The server keeps no connection" in cause(run)
    assert "pool" not in {gate["gate"] for gate in run["validity"]["reasons"]}


@pytest.mark.parametrize(("application", "users"), [("http10", 5), ("no-length", 64)])
def test_an_old_server_is_used_by_all_users(
    looplab: Dashboard, application: str, users: int
) -> None:
    """Python's own server lets five connections wait; one more is tried again by the kernel.

    That is after 1, 3, 7, 15 and 31 s, the last of them beyond the deadline.
    """
    run = run_of(looplab, application, concurrency=users)
    (stream,) = run["streams"]
    assert stream["errors"] == {}
    assert "The server keeps no connection" in cause(run)
    assert "pool" not in {gate["gate"] for gate in run["validity"]["reasons"]}
    assert run["trials"][0]["client"]["connections"] == {"requests": users}


def test_what_changes_something_is_not_failed_either(looplab: Dashboard) -> None:
    """Such a request is not sent again: a few meet the end of a connection that is on its way."""
    run = run_of(looplab, "closes", "raw", "POST")
    (stream,) = run["streams"]
    assert stream["error_share"] < 0.05
    assert "The server keeps no connection" in cause(run)


def test_a_pause_as_long_as_the_keep_alive_is_told(looplab: Dashboard) -> None:
    stream = {
        "requests": [{"path": "/"}],
        "load": {"model": "closed", "concurrency": 4, "think_time_s": 1},
        "stop": {"duration_s": 2.5},
    }
    spec = {"target": {"keep_alive_s": 1}, "workload": {"streams": [stream]}, "warmup_s": 0}
    run = looplab.finished(looplab.submit(spec))
    assert run["streams"][0]["errors"] == {}
    assert "as long as the server keeps them" in cause(run)
