"""A run whose requests all were redirected did not say where to."""

from collections.abc import Callable
from typing import Any

import pytest

from control_plane import cli_output
from control_plane.domain.client_strategies import STRATEGIES
from tests.cases.command_line import short_spec
from tests.dashboard import Dashboard
from tests.pages.stored import words


@pytest.fixture(scope="module")
def looplab(case: Callable[[str], Dashboard]) -> Dashboard:
    return case("X2")


def measured(looplab: Dashboard, spec: dict[str, Any]) -> dict[str, Any]:
    return looplab.finished(looplab.submit(spec))


def spec_of(strategy: str, path: str, **changes: Any) -> dict[str, Any]:
    spec = short_spec("slash", [path], strategy, **changes)
    (stream,) = spec["workload"]["streams"]
    stream["load"]["concurrency"], stream["stop"]["requests"] = 1, 30
    return spec


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_where_a_redirect_leads_is_named(
    looplab: Dashboard, strategy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = measured(looplab, spec_of(strategy, "/items"))
    (failed,) = run["failures"]
    assert failed["line"] == "GET /items: 307, redirect to /items/"
    assert (failed["error"], failed["status"], failed["location"]) == ("redirect", 307, "/items/")
    assert "location: /items/" in failed["head"].lower()
    page = words(looplab.get(f"/runs/{run['id']}").text)
    assert "GET /items: 307, redirect to /items/" in page
    cli_output.print_run(run, None)
    assert "redirect to /items/" in capsys.readouterr().out
    text = looplab.get(f"/compare.md?runs={run['id']}").text.replace("\\", "")
    assert "redirect to /items/" in text


FAILED = {
    "/long": (500, "x" * 2_048, 300_000),
    "/chunked": (503, "not today", 9),
    "/told": (401, '{"detail":"no [X-Api-Key]"}', 28),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_first_of_each_kind_is_kept_with_its_response(
    looplab: Dashboard, strategy: str
) -> None:
    spec = spec_of(strategy, "/")
    headers = {"X-Api-Key": "s3cr3t-value"}
    spec["workload"]["streams"][0]["requests"] = [
        {"path": path, "headers": headers} for path in FAILED
    ]
    run = measured(looplab, spec)
    kept = {
        failed["request"].partition(" ")[2]: (
            failed["status"],
            failed["body"],
            failed["body_bytes"],
        )
        for failed in run["failures"]
    }
    assert kept == FAILED
    assert "s3cr3t-value" not in str(run["failures"])
    assert not any("session=" in failed["head"] for failed in run["failures"])


def test_each_way_is_kept_once(looplab: Dashboard) -> None:
    spec = spec_of("async", "/items")
    spec["workload"]["streams"][0]["requests"] += [{"path": "/told"}, {"path": "/"}]
    spec["workload"]["streams"][0]["stop"] = {"requests": 100}
    run = measured(looplab, {**spec, "trials": 2})
    assert {failed["line"] for failed in run["failures"]} == {
        "GET /items: 307, redirect to /items/",
        "GET /told: 401",
    }
    assert len(run["failures"]) == 2


def test_a_good_run_keeps_none(looplab: Dashboard) -> None:
    assert measured(looplab, spec_of("raw", "/"))["failures"] == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_gets_no_response_is_named_too(looplab: Dashboard, strategy: str) -> None:
    spec = spec_of(strategy, "/asleep", timeout_s=0.2)
    spec["workload"]["streams"][0]["stop"] = {"requests": 3}
    run = measured(looplab, spec)
    assert [failed["line"] for failed in run["failures"]] == ["GET /asleep: timeout"]
