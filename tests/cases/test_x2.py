"""A run whose requests all were redirected did not say where to."""

from collections.abc import Callable
from typing import Any

import pytest

from control_plane import cli_output
from control_plane.domain.client_strategies import STRATEGIES
from tests.cases.command_line import short_spec
from tests.cases.serving import Served
from tests.pages.stored import words


@pytest.fixture(scope="module")
def slash(served: Callable[[str], Served]) -> Served:
    return served("X2")


def spec_of(strategy: str, path: str, **changes: Any) -> dict[str, Any]:
    spec = short_spec("slash", [path], strategy, **changes)
    (stream,) = spec["workload"]["streams"]
    stream["load"]["concurrency"], stream["stop"]["requests"] = 1, 30
    return spec


FAILED = {
    "/items": (307, "", 0),
    "/long": (500, "x" * 2_048, 300_000),
    "/chunked": (503, "not today", 9),
    "/told": (401, '{"detail":"no [X-Api-Key]"}', 28),
}
KEY = "s3cr3t-value"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_first_of_each_kind_is_named_with_its_response(
    slash: Served, strategy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a redirect leads, too, and what got no response."""
    spec = spec_of(strategy, "/", timeout_s=1)
    (stream,) = spec["workload"]["streams"]
    stream["requests"] = [
        *({"path": path, "headers": {"X-Api-Key": KEY}, "weight": 5} for path in FAILED),
        {"path": "/asleep"},
    ]
    run, looplab = slash.run(spec), slash.looplab
    failures = {failed["line"]: failed for failed in run["failures"]}
    kept = {
        failed["request"].partition(" ")[2]: (
            failed["status"],
            failed["body"],
            failed["body_bytes"],
        )
        for failed in run["failures"]
        if failed["status"]
    }
    assert kept == FAILED
    assert [line for line in failures if line.endswith(": timeout")]
    assert KEY not in str(run["failures"])
    assert not any("session=" in failed["head"] for failed in run["failures"])
    redirect = "GET /items: 307, redirect to /items/"
    assert (failures[redirect]["error"], failures[redirect]["location"]) == ("redirect", "/items/")
    assert "location: /items/" in failures[redirect]["head"].lower()
    assert redirect in words(looplab.get(f"/runs/{run['id']}").text)
    cli_output.print_run(run, None)
    assert "redirect to /items/" in capsys.readouterr().out
    text = looplab.get(f"/compare.md?runs={run['id']}").text.replace("\\", "")
    assert "redirect to /items/" in text


def test_each_way_is_kept_once(slash: Served) -> None:
    spec = spec_of("async", "/items")
    spec["workload"]["streams"][0]["requests"] += [{"path": "/told"}, {"path": "/"}]
    spec["workload"]["streams"][0]["stop"] = {"requests": 100}
    run = slash.run({**spec, "trials": 2})
    assert {failed["line"] for failed in run["failures"]} == {
        "GET /items: 307, redirect to /items/",
        "GET /told: 401",
    }
    assert len(run["failures"]) == 2


def test_a_good_run_keeps_none(slash: Served) -> None:
    assert slash.run(spec_of("raw", "/"))["failures"] == []
