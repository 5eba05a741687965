"""Nobody answered is not quick: percentiles end where the share of answers does."""

import csv
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from control_plane import cli_output
from tests.dashboard import Dashboard
from tests.pages.stored import words

DEADLINE_S = 1.0


@pytest.fixture(scope="module")
def looplab(case: Callable[[str], Dashboard]) -> Dashboard:
    return case("R17")


def spec_of(path: str, application: str = "hangs", **load: Any) -> dict[str, Any]:
    stream = {
        "requests": [{"path": path}],
        "load": {"model": "open", "rate_per_s": 400, **load},
        "stop": {"duration_s": 3},
    }
    return {
        "target": {"application": application},
        "client": {"strategy": "raw"},
        "workload": {"streams": [stream]},
        "timeout_s": DEADLINE_S,
        "warmup_s": 0.5,
    }


def closed(path: str, application: str = "hangs", users: int = 16) -> dict[str, Any]:
    spec = spec_of(path, application)
    spec["workload"]["streams"][0]["load"] = {"model": "closed", "concurrency": users}
    return spec


def stream_of(run: dict[str, Any]) -> dict[str, Any]:
    (stream,) = run["streams"]
    return stream


@pytest.fixture(scope="module")
def hanging(looplab: Dashboard) -> dict[str, Any]:
    return looplab.finished(looplab.submit(spec_of("/hang")))


@pytest.fixture(scope="module")
def answering(looplab: Dashboard) -> dict[str, Any]:
    return looplab.finished(looplab.submit(spec_of("/")))


def test_percentiles_end_where_the_answers_do(hanging: dict[str, Any]) -> None:
    stream = stream_of(hanging)
    times, unanswered = stream["response_time_s"], stream["response_time_s"]["unanswered"]
    # One of 125 hangs. A busy machine sends some too late, or not at all.
    assert stream["errors"]["timeout"] >= (stream["completed"] // 125) - 1 > 0
    waited = stream["errors"]["timeout"] + stream["censored"]["count"]
    count = waited + stream["not_sent"]
    assert (unanswered["count"], unanswered["waited"]) == (count, waited)
    assert unanswered["share"] == pytest.approx(count / (count + stream["completed"]))
    assert unanswered["deadline_s"] == DEADLINE_S
    assert times["p999"] is None
    assert times["p50"] is not None
    assert times["p95"] is not None
    assert times["at_least"] == ["mean", "max"]
    assert times["max"] >= DEADLINE_S
    assert times["mean"] >= times["completed_mean"] + 0.9 * DEADLINE_S * unanswered["share"]
    assert hanging["trials"][0]["streams"][0]["response_time_s"]["p999"] is None


def test_the_page_says_for_how_many_there_was_no_answer(
    looplab: Dashboard, hanging: dict[str, Any]
) -> None:
    page = words(looplab.get(f"/runs/{hanging['id']}").text.replace("\N{NO-BREAK SPACE}", " "))
    assert re.search(r"no answer within 1\.00 s for [\d.]+ %", page)
    assert "had no answer within 1.00 s" in page
    assert "≥ 1.0" in page
    row = words(looplab.get("/history").text)
    assert hanging["title"] in row


def test_a_file_leaves_the_cell_empty(looplab: Dashboard, hanging: dict[str, Any]) -> None:
    text = looplab.get(f"/runs/{hanging['id']}.csv").text
    rows = {
        row["metric"]: row["value"]
        for row in csv.DictReader(io.StringIO(text))
        if row["trial"] == "all"
    }
    assert rows["response_time_s.p999"] == ""
    assert rows["response_time_s.at_least"] == "mean max"
    assert float(rows["response_time_s.p50"]) > 0


def test_a_comparison_calls_nothing_faster_beyond(
    looplab: Dashboard, hanging: dict[str, Any], answering: dict[str, Any]
) -> None:
    query = f"runs={answering['id']},{hanging['id']}"
    found = looplab.get(f"/api/compare?{query}").json()
    rows = {row["metric"]: row for row in found["rows"]}
    # On a busy machine the other run may have sent some too late as well.
    bounded = [
        run["id"]
        for run in (answering, hanging)
        if "max" in stream_of(run)["response_time_s"]["at_least"]
    ]
    assert rows["response_time_s.max"]["at_least"] == bounded
    assert hanging["id"] in bounded
    assert rows["response_time_s.max"]["ratios"][hanging["id"]] is None
    assert rows["response_time_s.p50"]["ratios"][hanging["id"]] is not None
    assert "had no answer within 1.00" in found["catch"].replace("\N{NO-BREAK SPACE}", " ")
    markdown = looplab.get(f"/compare.md?{query}").text
    assert "at least so much" in markdown


def test_users_who_wait_for_ever_count_with_the_time_that_they_waited(looplab: Dashboard) -> None:
    spec = closed("/stuck", "odd")
    spec["timeout_s"] = 30
    stream = stream_of(looplab.finished(looplab.submit(spec)))
    times = stream["response_time_s"]
    assert stream["errors"] == {}
    assert 4 <= times["unanswered"]["count"] < 16
    assert 0.001 < times["unanswered"]["share"] < 0.05
    assert times["p999"] is None
    assert times["p90"] is not None
    assert times["max"] > 2
    assert times["completed_max"] < 2


def test_a_load_whose_users_all_got_stuck_is_invalid(looplab: Dashboard) -> None:
    spec = closed("/hangs", "odd")
    spec["workload"]["streams"][0]["requests"].append({"path": "/slow"})
    spec |= {"timeout_s": 30, "warmup_s": 0}
    validity = looplab.finished(looplab.submit(spec))["validity"]
    assert validity["outcome"] == "invalid"
    assert validity["reasons"][0]["gate"] == "stuck"


def test_an_ordinary_run_keeps_its_percentiles(looplab: Dashboard) -> None:
    stream = stream_of(looplab.finished(looplab.submit(closed("/slow", "odd", users=32))))
    times = stream["response_time_s"]
    assert stream["censored"]["count"] == 32
    assert times["unanswered"]["count"] < 32
    assert times["p99"] is not None


def test_half_an_answer_is_none(looplab: Dashboard) -> None:
    spec = closed("/half", "odd", users=2)
    spec["workload"]["streams"][0]["stop"] = {"requests": 400}
    stream = stream_of(looplab.finished(looplab.submit(spec)))
    times = stream["response_time_s"]
    assert set(stream["errors"]) <= {"truncated", "disconnected"}
    assert times["unanswered"]["share"] == pytest.approx(0.05, abs=0.01)
    assert times["unanswered"]["waited"] <= 2
    assert (times["p99"], times["p90"] is None) == (None, False)


def test_what_was_not_sent_had_no_answer(looplab: Dashboard) -> None:
    spec = spec_of("/slow", "odd", max_in_flight=4)
    stream = stream_of(looplab.finished(looplab.submit(spec)))
    times = stream["response_time_s"]
    assert stream["not_sent"] > 0
    assert times["unanswered"]["count"] >= stream["not_sent"]
    assert times["p90"] is None


def test_errors_before_the_window_are_told(looplab: Dashboard) -> None:
    spec = closed("/cold", "odd", users=1)
    spec["workload"]["streams"][0]["stop"] = {"requests": 50}
    run = looplab.finished(looplab.submit(spec))
    early = stream_of(run)["before_window"]
    assert set(early["errors"]) == {"status"}
    assert early["requests"] >= early["errors"]["status"] > 0
    page = words(looplab.get(f"/runs/{run['id']}").text)
    assert "before the window failed" in page


PLURALS = (
    "requests|answers|errors|trials|runs|samples|users|connections|workers|threads|times|bytes|"
    "blocks|cores|seconds|fields|streams|looks|periods|stacks"
)
ONE_OF_SEVERAL = re.compile(rf"(?<![\w.,:/+-])1 (?:[a-z]+ )?(?:{PLURALS})\b")


def of_one_request(path: str) -> dict[str, Any]:
    spec = closed(path, "odd", users=1) | {"warmup_s": 0, "timeout_s": 0.3}
    spec["workload"]["streams"][0]["stop"] = {"requests": 1}
    return spec


def test_of_few_requests_the_number_is_told_and_one_is_no_plural(
    looplab: Dashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every view of a run of one request that was answered, and of one that was not."""
    runs = [looplab.finished(looplab.submit(of_one_request(path))) for path in ("/", "/never")]
    console = Console(width=200, record=True)
    monkeypatch.setattr(cli_output, "out", console)
    for run in runs:
        cli_output.print_run(run, None)
    query = f"runs={','.join(run['id'] for run in runs)}&anyway=1"
    pages = [*(f"/runs/{run['id']}" for run in runs), f"/compare?{query}", "/history"]
    told = {path: words(looplab.get(path).text) for path in pages}
    told |= {"markdown": looplab.get(f"/compare.md?{query}").text}
    told |= {"terminal": console.export_text(), "document": str([run["validity"] for run in runs])}
    for place, text in told.items():
        plain = text.replace("\N{NO-BREAK SPACE}", " ")
        found = ONE_OF_SEVERAL.search(plain)
        assert found is None, (place, plain[found.start() - 60 : found.end() + 20])
    assert "1 of 1" in told[pages[1]]
    assert "100 %" not in told["/history"]


def test_the_last_request_without_an_answer_is_no_target_that_hung(looplab: Dashboard) -> None:
    """Of a number of requests: the others had their answers, and nobody asked any more."""
    spec = closed("/last", "odd", users=4) | {"warmup_s": 0, "timeout_s": 2.2}
    spec["workload"]["streams"][0]["stop"] = {"requests": 60}
    run = looplab.finished(looplab.submit(spec))
    (stuck,) = [each for each in run["validity"]["judged"] if each["gate"] == "stuck"]
    assert stream_of(run)["errors"] == {"timeout": 1}
    assert stuck["level"] == "ok"
