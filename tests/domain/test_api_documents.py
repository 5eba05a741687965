"""Runs as programs read them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from control_plane.analysis.comparison import compare
from control_plane.domain.api_documents import comparison_document, moment, run_document
from control_plane.domain.result import Progress
from control_plane.domain.run import Run, State
from tests.builders.runs import ASYNC, BLOCKED, FAILING, THREADED, detail_of, items

RUN = {
    "id", "title", "tags", "state", "reason", "url", "created_at", "started_at", "finished_at",
    "spec", "command", "environment", "validity", "causes", "undecided", "ruled_out", "progress",
    "trials", "streams",
}  # fmt: skip
SUMMARY = {
    "name", "requests", "completed", "errors", "statuses", "censored", "intended", "sent",
    "not_sent", "send_lag_s", "duration_s", "throughput_per_s", "error_share", "bytes_sent",
    "bytes_received", "service_time_s", "response_time_s", "cpu_s_per_request",
    "peak_memory_bytes", "drift_share", "bytes_received_per_request", "before_window",
    "silent_s",
    "first_byte_time_s", "begun", "failed_share",
}  # fmt: skip
TIMES = {
    "min", "mean", "p50", "p90", "p95", "p99", "p999", "max", "support", "unanswered", "at_least",
    "completed_mean", "completed_max",
}  # fmt: skip


@pytest.fixture
def run() -> Run:
    return detail_of(items(), ASYNC).run


def test_a_run_has_every_key_of_the_contract(run: Run) -> None:
    document = json.loads(json.dumps(run_document(run, None)))
    assert document.keys() >= RUN
    (stream,) = document["streams"]
    assert stream.keys() == SUMMARY
    assert stream["response_time_s"].keys() == TIMES
    assert [trial["block"] for trial in document["trials"]] == [0, 1, 2]
    assert document["trials"][0]["streams"][0].keys() == SUMMARY
    assert document["trials"][0]["target"]["address"] == "http://127.0.0.2:41235"
    assert document["url"] == "/runs/k7m2000000"
    assert document["validity"]["outcome"] == "valid"


def test_causes_are_found_or_ruled_out() -> None:
    document = run_document(detail_of(items(stop={"duration_s": 10}), BLOCKED).run, None)
    (found,) = document["causes"]
    assert found["cause"] == "loop_blocked"
    assert found["text"].startswith("The event loop was blocked 92")
    assert found["evidence"]["blocked_share"] == pytest.approx(0.925)
    assert "pool_exhausted" in {cause["cause"] for cause in document["ruled_out"]}
    assert run_document(replace(detail_of(items(), FAILING).run, causes=()), None)["causes"] == []


def test_only_errors_that_happened_appear() -> None:
    (stream,) = run_document(detail_of(items(), FAILING).run, None)["streams"]
    assert stream["errors"] == {"reset": 27, "timeout": 1_236}


def test_what_is_not_known_is_null(run: Run) -> None:
    waiting = replace(
        run, state=State.QUEUED, started_at=None, finished_at=None, command=None,
        environment=None, validity=None, trials=(), streams=(),
    )  # fmt: skip
    document = run_document(waiting, Progress("queued", 0, 3, 0.0, None, 2))
    for key in ("started_at", "finished_at", "command", "environment"):
        assert document[key] is None
    assert document["validity"]["outcome"] is None
    assert document["progress"]["queue_position"] == 2
    assert (document["trials"], document["streams"]) == ([], [])


def test_moments_are_utc() -> None:
    at = datetime(2026, 11, 20, 15, 2, 0, 1_000, timezone(timedelta(hours=1)))
    assert moment(at) == "2026-11-20T14:02:00.001Z"
    assert moment(at.astimezone(UTC)) == moment(at)
    assert moment(None) is None


def test_a_comparison_holds_runs_differences_and_rows(run: Run) -> None:
    other = detail_of(items(client={"strategy": "threaded"}), THREADED, "k7m3000000").run
    document = comparison_document(compare([run, other], other.id), "A served more.", "")
    assert document["baseline"] == other.id
    assert [listed["id"] for listed in document["runs"]] == [run.id, other.id]
    assert "trials" not in document["runs"][0]
    strategy = next(row for row in document["differences"] if row["field"] == "client.strategy")
    assert strategy["values"] == {run.id: "async", other.id: "threaded"}
    row = next(row for row in document["rows"] if row["metric"] == "throughput_per_s")
    assert row.keys() == {
        "stream", "metric", "unit", "less_is_better", "values", "ratios",
    }  # fmt: skip
    assert row["ratios"][run.id] == row["values"][run.id] / row["values"][other.id]
