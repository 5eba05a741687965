"""Runs over the API, against a real dashboard, target and load worker."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from control_plane.domain.client_strategies import STRATEGIES
from tests.dashboard import BARE, Dashboard, items_spec, long_spec, until

ABSENT = "zzzzzzzzzz"


def test_a_run_from_hand_in_to_result(looplab: Dashboard) -> None:
    objectives = [
        {"metric": "response_time_s.p50", "at_most": 20},
        {"metric": "throughput_per_s", "at_least": 1_000_000},
        {"metric": "error_share", "at_most": 0, "stream": "items"},
    ]
    spec = items_spec(title="first", tags=["demo"], trials=3, objectives=objectives)
    answer = looplab.post("/api/runs", spec)
    assert answer.status_code == 202
    run_id = answer.json()["id"]
    assert answer.headers["location"] == f"/api/runs/{run_id}"
    told = {"id": run_id, "state": "queued", "url": f"/runs/{run_id}", "elsewhere": []}
    assert answer.json() == told

    run = looplab.finished(run_id)

    assert (run["title"], run["tags"]) == ("first", ["demo"])
    assert [trial["block"] for trial in run["trials"]] == [0, 1, 2]
    (stream,) = run["streams"]
    assert (stream["requests"], stream["completed"], stream["errors"]) == (600, 600, {})
    assert stream["statuses"] == {"200": 600}
    assert 0 < stream["response_time_s"]["p50"] <= stream["response_time_s"]["max"]
    assert "uvicorn" in run["command"]
    assert run["progress"] is None
    assert run["validity"]["outcome"] in {"valid", "suspect"}
    judged = [(each["outcome"], each["value"]) for each in run["objectives"]]
    assert [outcome for outcome, _ in judged] == ["passed", "failed", "passed"]
    assert judged[2][1] == 0
    assert "Objective failed" in looplab.get(f"/runs/{run_id}").text
    assert run_id in looplab.get("/history?objectives=failed").text
    assert run_id not in looplab.get("/history?objectives=passed").text


def test_an_objective_of_no_stream_is_refused_at_its_field(looplab: Dashboard) -> None:
    wrong = items_spec(objectives=[{"metric": "duration_s", "at_most": 1, "stream": "x"}])
    (fault,) = looplab.post("/api/runs", wrong).json()["fields"]
    assert fault["field"] == "objectives.0.stream"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_strategy_measures(looplab: Dashboard, strategy: str) -> None:
    spec = items_spec(target=BARE["target"], client={"strategy": strategy})
    spec["workload"]["streams"][0]["load"]["concurrency"] = 1 if STRATEGIES[strategy].alone else 4
    run = looplab.finished(looplab.submit(spec))
    assert run["streams"][0]["completed"] == 200


def test_a_burst_counts_from_the_start_of_its_window(looplab: Dashboard) -> None:
    spec = items_spec(**BARE)
    del spec["warmup_s"]
    spec["workload"]["streams"][0]["load"] = {"model": "burst", "connections": 4}
    run = looplab.finished(looplab.submit(spec))
    assert run["spec"]["warmup_s"] == 0
    (stream,) = run["streams"]
    assert stream["response_time_s"]["max"] <= stream["duration_s"] * 1.001
    assert stream["response_time_s"]["p50"] > stream["service_time_s"]["p50"]


def test_a_run_is_changed_found_and_pinned(looplab: Dashboard) -> None:
    run_id = looplab.submit(items_spec(tags=["a"], **BARE))
    looplab.finished(run_id)
    changes = {"title": "night heron", "note": "line\nline"}
    changed = looplab.client.patch(f"/api/runs/{run_id}", json=changes).json()
    assert (changed["title"], changed["tags"], changed["note"]) == (
        "night heron",
        ["a"],
        "line\nline",
    )
    for wrong in ({"title": ""}, {"title": 5}, {"tags": None}, {"state": "failed"}):
        assert looplab.client.patch(f"/api/runs/{run_id}", json=wrong).status_code == 422
    asked = {"text": "night he", "strategy": "raw", "sort": "p50", "order": "asc"}
    listed = looplab.get("/api/runs", params=asked).json()["runs"]
    assert [run["id"] for run in listed] == [run_id]
    assert looplab.get("/api/runs?since=2100-01-01&sort=errors").json()["runs"] == []
    for query in ("sort=size", "order=up", "validity=maybe", "since=yesterday"):
        assert looplab.get(f"/api/runs?{query}").status_code == 422
    pin = looplab.post("/api/pins", {"id": run_id, "name": "release 2.3"})
    assert (pin.status_code, pin.json()["run"]) == (201, run_id)
    assert looplab.get("/api/pins").json()["pins"] == [pin.json()]
    assert looplab.delete(f"/api/runs/{run_id}").status_code == 409
    assert looplab.delete(f"/api/pins/{run_id}").status_code == 204
    assert looplab.delete(f"/api/pins/{run_id}").status_code == 404
    assert looplab.delete(f"/api/runs/{run_id}").status_code == 204


@pytest.mark.parametrize(
    ("path", "known"),
    [("runs", "limit, cursor, state"), ("audit", "limit"), ("trends", "machine"), ("pins", "none")],
)
def test_a_parameter_that_is_not_known_is_refused(
    looplab: Dashboard, path: str, known: str
) -> None:
    answer = looplab.get(f"/api/{path}", params={"tagg": "nightly"})
    assert answer.status_code == 422
    (field,) = answer.json()["fields"]
    assert field["field"] == "tagg"
    assert known in field["message"].partition("there are: ")[2]


def test_the_list_is_newest_first_and_pages(looplab: Dashboard) -> None:
    made = [looplab.submit(items_spec(tags=["paged"], **BARE)) for _ in range(3)]
    first = looplab.get("/api/runs?limit=2&tag=paged").json()
    rest = looplab.get(f"/api/runs?limit=2&tag=paged&cursor={first['next']}").json()
    listed = [run["id"] for run in first["runs"] + rest["runs"]]
    assert listed == made[::-1]
    assert rest["next"] is None
    assert first["runs"][0].keys().isdisjoint({"trials", "failures", "hints"})
    for run_id in reversed(made):
        looplab.cancel(run_id)


def test_one_run_for_each_idempotency_key(looplab: Dashboard) -> None:
    def post(title: str) -> tuple[int, str]:
        answer = looplab.post(
            "/api/runs", items_spec(title=title, **BARE), headers={"Idempotency-Key": "one"}
        )
        return answer.status_code, answer.json().get("id", answer.json().get("error"))

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(post, ["same"] * 40))
    assert len(answers) == 1
    assert post("other") == (409, "conflict")
    ((status, run_id),) = answers
    assert status == 202
    looplab.cancel(run_id)


def test_a_second_run_waits_and_tells_its_place(looplab: Dashboard) -> None:
    first, second = looplab.submit(long_spec(**BARE)), looplab.submit(items_spec(**BARE))
    looplab.until_state(first, {"running"})
    waiting = looplab.run(second)
    assert waiting["state"] == "queued"
    assert waiting["progress"]["queue_position"] == 1
    assert looplab.post(f"/api/runs/{first}/cancel").json()["state"] == "cancelled"
    looplab.finished(second)
    begun = looplab.run(second)["started_at"]
    assert begun >= looplab.run(first)["finished_at"]


def test_cancel_when_queued_and_when_over(looplab: Dashboard) -> None:
    first, second = looplab.submit(long_spec(**BARE)), looplab.submit(items_spec(**BARE))
    assert looplab.post(f"/api/runs/{second}/cancel").json()["state"] == "cancelled"
    assert looplab.post(f"/api/runs/{first}/cancel").json()["state"] == "cancelled"
    again = looplab.post(f"/api/runs/{first}/cancel")
    assert (again.status_code, again.json()["error"]) == (409, "conflict")


def test_delete_only_what_is_over(looplab: Dashboard) -> None:
    run_id = looplab.submit(long_spec(**BARE))
    refused = looplab.delete(f"/api/runs/{run_id}")
    assert refused.status_code == 409
    looplab.post(f"/api/runs/{run_id}/cancel")
    deleted = looplab.delete(f"/api/runs/{run_id}")
    assert deleted.status_code == 204
    assert looplab.get(f"/api/runs/{run_id}").status_code == 404


def test_a_live_run_tells_phase_and_time_left(looplab: Dashboard) -> None:
    run_id = looplab.submit(long_spec(**BARE))
    looplab.until_state(run_id, {"running"})
    progress = until(lambda: looplab.run(run_id)["progress"], "progress")
    assert (progress["phase"], progress["trial"], progress["trials"]) == ("running", 1, 1)
    assert 0 < progress["share"] < 1
    assert 100 < progress["remaining_s"] <= 120
    looplab.post(f"/api/runs/{run_id}/cancel")


def test_gauges_show_target_client_processes_and_the_inside(looplab: Dashboard) -> None:
    spec = items_spec(client={"strategy": "raw", "processes": 2})
    (stream,) = spec["workload"]["streams"]
    stream["requests"], stream["stop"] = [{"path": "/async-delay/0.01"}], {"duration_s": 1.6}
    run_id = looplab.submit(spec)
    run = looplab.finished(run_id)
    assert run["trials"][0]["client"]["connections"] == {"items": 4}
    assert run["trials"][0]["client"]["little_ratio"]["items"] == pytest.approx(1, abs=0.1)
    gauges = looplab.get(f"/api/runs/{run_id}/gauges").json()
    roles = Counter(process["role"] for process in gauges["processes"])
    assert roles["target"] >= 1
    assert roles["client"] == 2
    assert all(max(process["memory_bytes"]) > 1_000_000 for process in gauges["processes"])
    (worker,) = gauges["workers"]
    assert worker["pid"] in {process["pid"] for process in gauges["processes"]}
    assert 0 < sum(worker["completed"]) <= 1.1 * run["streams"][0]["completed"]
    assert len(worker["loop_lag_s"]) == len(gauges["processes"][0]["cpu_share"]) > 1
    assert (worker["tokens_total"], gauges["trials"][0]["workers"]) == (40, [worker])


@pytest.mark.parametrize("run_id", [ABSENT, "short", "ABCDEFGHJK", "..%2f..%2fetc", "%00"])
def test_unknown_ids_are_404(looplab: Dashboard, run_id: str) -> None:
    answer = looplab.get(f"/api/runs/{run_id}")
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


@pytest.mark.parametrize("limit", ["0", "201", "-1", "1_0", "x", "1e1", "9" * 5000])
def test_the_limit_of_a_list_is_checked(looplab: Dashboard, limit: str) -> None:
    assert looplab.get(f"/api/runs?limit={limit}").status_code == 422


def test_blocking_refuses_concurrency(looplab: Dashboard) -> None:
    answer = looplab.post("/api/runs", items_spec(client={"strategy": "blocking"}))
    assert answer.status_code == 422
    (field,) = answer.json()["fields"]
    assert field["field"] == "workload.streams.0.load.concurrency"
    assert "choose threaded" in field["message"]


def test_the_dashboard_is_no_target(looplab: Dashboard) -> None:
    answer = looplab.post("/api/runs", items_spec(target={"url": looplab.url}))
    assert answer.status_code == 422
    assert answer.json()["fields"][0]["field"] == "target.url"


EMAIL = {"kind": "sequence", "start": 1}
MOVIE = {"kind": "integer", "low": 1, "high": 5}
BODY = {"generated": {"shape": "name-data", "size_bytes": 2_000}}


OTHERS: dict[str, dict[str, object]] = {
    "movies": {"path": "/movies/{id}", "values": {"id": MOVIE}},
    "users": {"path": "/users/user{number}@example.com", "values": {"number": EMAIL}},
    "payloads": {"path": "/payloads/model", "method": "POST", "body": BODY},
    "added users": {
        "path": "/users/",
        "method": "POST",
        "values": {"number": EMAIL},
        "body": {"json": {"email": "new{number}@example.com", "full_name": "New"}},
        "headers": {"X-Number": "{number}"},
    },
}


def test_other_workloads_of_the_bundled_application(looplab: Dashboard) -> None:
    burst = {"load": {"model": "burst", "connections": 5}, "stop": {"requests": 20}}
    streams = [{"name": name, "requests": [other], **burst} for name, other in OTHERS.items()]
    run = looplab.finished(looplab.submit(items_spec(workload={"streams": streams}, warmup_s=0)))
    measured = {
        stream["name"]: (stream["completed"], stream["errors"]) for stream in run["streams"]
    }
    assert measured == dict.fromkeys(OTHERS, (20, {}))
