"""An experiment from its hand-in to its verdict, over the API and on its page."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tomllib import loads as read_toml
from typing import Any

import pytest

from control_plane.domain.spec_json import SOME_WORKLOAD
from tests.dashboard import TERMINAL, Dashboard, free_port, until
from tests.html import read_html
from tests.in_process import in_process
from tests.load.hostile import HostileServer, hostile_server
from tests.pages.stored import words

BLOCKS = 4


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    with hostile_server() as started:
        yield started


def experiment(server: HostileServer, **changes: Any) -> dict[str, Any]:
    """Ask the server at two paths, of which one answers 20 times as slowly."""
    stream = {"load": {"model": "closed", "concurrency": 1}, "stop": {"requests": 10}}
    arms = [
        {
            "name": name,
            "spec": {
                "workload": {"streams": [{**stream, "name": "s", "requests": [{"path": path}]}]}
            },
        }
        for name, path in (("quick", "/ok"), ("slow", "/slow"))
    ]
    common = {"target": {"url": server.url}, "client": {"strategy": "raw"}, "warmup_s": 0}
    return {"question": "Which path?", "blocks": BLOCKS, "arms": arms, "spec": common, **changes}


def over(looplab: Dashboard, experiment_id: str) -> dict[str, Any]:
    """Judging it takes long, so its arms are waited for first."""

    def told() -> dict[str, Any]:
        found: dict[str, Any] = looplab.get(f"/api/experiments/runs/{experiment_id}").json()
        return found

    def ended() -> dict[str, Any] | None:
        found = told()
        return found if found["state"] not in {"queued", "running"} else None

    for arm in told()["runs"]:
        looplab.until_state(arm["id"], TERMINAL)
    found: dict[str, Any] = until(ended, "the experiment is over", 60, every_s=0.2)
    return found


@pytest.fixture(scope="module")
def paused(looplab: Dashboard, server: HostileServer) -> dict[str, Any]:
    """In the middle of its second block or its third, which ends no sooner than the gate opens."""
    document = experiment(server)
    (stream,) = document["arms"][1]["spec"]["workload"]["streams"]
    stream["requests"] = [{"path": "/gated"}]
    server.gate.clear()
    made = looplab.post("/api/experiments", document)
    assert made.status_code == 202, made.text
    assert made.json()["url"] == f"/experiments/{made.json()['id']}"
    address = f"/api/experiments/runs/{made.json()['id']}"
    looplab.until_blocks(made.json()["id"], 1)
    found = dict(looplab.post(f"{address}/pause").json())
    server.gate.set()
    return found


@pytest.fixture(scope="module")
def decided(looplab: Dashboard, paused: dict[str, Any]) -> dict[str, Any]:
    address = f"/api/experiments/runs/{paused['id']}"
    assert looplab.post(f"{address}/resume").json()["state"] in {"queued", "running"}
    assert looplab.post(f"{address}/resume").status_code == 409
    return over(looplab, paused["id"])


def test_what_is_paused_keeps_its_complete_blocks(
    looplab: Dashboard, paused: dict[str, Any]
) -> None:
    address = f"/api/experiments/runs/{paused['id']}"
    assert paused["state"] == "paused"
    assert {(arm["state"], arm["blocks"]) for arm in paused["runs"]} == {
        ("paused", paused["blocks"])
    }
    assert looplab.post(f"{address}/pause").status_code == 409
    refused = looplab.post(f"{address}/confirm")
    assert (refused.status_code, "is not over" in refused.text) == (409, True)
    page = f"/experiments/{paused['id']}"
    assert "Resume" in words(looplab.get(page).text)
    arm = paused["runs"][0]["id"]
    assert "paused with its experiment" in words(looplab.get(f"/runs/{arm}").text)
    assert looplab.client.delete(f"/api/runs/{arm}").status_code == 409
    assert looplab.get("/healthz").json()["queued"] == 0


def test_what_was_paused_goes_on_to_its_end(looplab: Dashboard, decided: dict[str, Any]) -> None:
    assert (decided["sessions"], decided["blocks"]) == (2, BLOCKS)
    complete = [block for block in decided["begun"] if block["outcome"] == "complete"]
    assert sorted(block["row"] for block in complete) == list(range(BLOCKS))
    assert len(decided["begun"]) == BLOCKS + decided["discarded"]
    for arm in decided["runs"]:
        run = looplab.run(arm["id"])
        assert [trial["block"] for trial in run["trials"]] == [each["block"] for each in complete]
        assert run["streams"][0]["completed"] == BLOCKS * 10
    address = f"/api/experiments/runs/{decided['id']}"
    assert looplab.post(f"{address}/pause").status_code == 409


def test_it_decides(decided: dict[str, Any]) -> None:
    assert (decided["state"], decided["blocks"]) == ("finished", BLOCKS)
    (primary,) = [verdict for verdict in decided["verdicts"] if verdict["role"] == "primary"]
    assert primary["method"] == "paired"
    assert primary["low"] < primary["ratio"] < min(1, primary["high"])
    # On a machine that is busy enough the interval is wide, and the verdict open.
    assert (primary["verdict"] == "worse") == (primary["high"] < 1 / 1.03)
    assert ("slow is worse than quick" in decided["sentence"]) == (primary["verdict"] == "worse")


def test_trials_are_interleaved_and_each_arm_is_a_run(
    looplab: Dashboard, decided: dict[str, Any]
) -> None:
    runs = [looplab.run(arm["id"]) for arm in decided["runs"]]
    assert [run["state"] for run in runs] == ["finished", "finished"]
    assert [len(run["trials"]) for run in runs] == [BLOCKS, BLOCKS]
    assert {run["title"] for run in runs} == {"Which path?: quick", "Which path?: slow"}
    begun = sorted(
        (trial["started_at"], place) for place, run in enumerate(runs) for trial in run["trials"]
    )
    order = [place for _, place in begun]
    # AB BA AB BA: the same arm follows itself where blocks meet, and nowhere else.
    assert [first == second for first, second in pairwise(order)] == [
        bool(place % 2) for place in range(2 * BLOCKS - 1)
    ]


def test_its_page_and_the_list_say_the_same(looplab: Dashboard, decided: dict[str, Any]) -> None:
    page = words(looplab.get(f"/experiments/{decided['id']}").text)
    assert "B slow" in page
    assert "Against A quick" in page
    assert "Compare the arms" in page
    assert "B slow" in looplab.get(f"/experiments/{decided['id']}/percentiles").text
    listed = words(looplab.get("/experiments").text)
    assert "Which path?" in listed
    assert "B slow" in listed
    found = looplab.get("/api/experiments/runs").json()["experiments"]
    (listed_one,) = [each for each in found if each["id"] == decided["id"]]
    assert (listed_one["state"], listed_one["sentence"]) == ("finished", decided["sentence"])
    assert looplab.get("/api/experiments/runs?cursor=x").status_code == 422
    floors = looplab.get("/api/noise-floor").json()["noise_floors"]
    (throughput,) = [each for each in floors if each["metric"] == "throughput_per_s"]
    assert (throughput["kind"], throughput["experiments"]) == ("raw, closed, 10 requests", 1)
    assert throughput["floors"]["5"] > throughput["floors"]["20"] > 0
    assert "raw, closed, 10 requests Throughput" in listed


def test_it_travels_as_one_file_and_as_a_bundle(
    looplab: Dashboard, decided: dict[str, Any], tmp_path: Path
) -> None:
    page = looplab.get(f"/experiments/{decided['id']}").text
    report = looplab.get(f"/experiments/{decided['id']}.html")
    assert report.status_code == 200
    assert len(report.content) < 3_000_000
    titles = [read_html(text).all("h1")[0].text for text in (page, report.text)]
    assert titles[0] == titles[1]
    assert not read_html(report.text).all("form")
    curves = looplab.get(f"/experiments/{decided['id']}/percentiles").text
    assert words(curves).strip()
    assert "drawn once the page stands" not in report.text
    drawn = [read_html(text).all("lab-figure") for text in (curves, report.text)]
    assert [figure.attributes["figure"] for figure in drawn[1]] == [
        figure.attributes["figure"] for figure in drawn[0]
    ]
    bundle = looplab.get(f"/bundle?run={decided['id']}")
    with in_process(tmp_path) as elsewhere:
        taken = elsewhere.client.post("/api/import", content=bundle.content).json()
        assert (taken["experiments"], len(taken["runs"])) == ([decided["id"]], 2)
        there = elsewhere.get(f"/api/experiments/runs/{decided['id']}").json()
        assert (there["sentence"], there["verdicts"]) == (decided["sentence"], decided["verdicts"])


def test_the_file_on_its_page_makes_the_same_experiment(
    looplab: Dashboard, decided: dict[str, Any]
) -> None:
    page = read_html(looplab.get(f"/experiments/{decided['id']}").text)
    file = "".join(page.by_id("experiment-toml").texts())
    handed_in = looplab.post("/api/experiments", read_toml(file)).json()["id"]
    again, twice = (
        looplab.post_form(f"/experiments/{decided['id']}/again", [("key", "k")]).headers["location"]
        for _ in range(2)
    )
    assert again == twice
    for made in (handed_in, again.rpartition("/")[2]):
        looplab.post(f"/api/experiments/runs/{made}/cancel")
        found = looplab.get(f"/api/experiments/runs/{made}").json()
        assert found["design"] == decided["design"] | {"whole": found["design"]["whole"]}
        for arm, before in zip(found["runs"], decided["runs"], strict=True):
            assert looplab.run(arm["id"])["spec"] == looplab.run(before["id"])["spec"]


def test_confirmations_are_linked_both_ways_and_counted(
    looplab: Dashboard, decided: dict[str, Any]
) -> None:
    first, address = decided["id"], "/api/experiments/runs"
    assert (decided["confirms"], decided["attempts"]) == (None, [])
    before = len(looplab.get("/api/runs").json()["runs"])
    told = looplab.get(f"{address}/{first}/confirm?blocks=5").json()
    assert (told["confirms"], told["blocks"]) == (first, 5)
    assert set(told) == set(looplab.get(f"{address}/{first}/confirm").json())
    assert looplab.post(f"{address}/{first}/confirm", {"start": False}).status_code == 422
    assert len(looplab.get("/api/runs").json()["runs"]) == before
    send = {"headers": {"Idempotency-Key": "confirm"}}
    made = [looplab.post(f"{address}/{first}/confirm", {"blocks": 5}, **send) for _ in range(2)]
    assert [answer.status_code for answer in made] == [200, 200]
    found = made[0].json()
    assert (found["id"], found["confirms"]) == (made[1].json()["id"], first)
    assert found["seed"] != decided["seed"]
    assert found["design"] == decided["design"] | {"blocks": 6, "whole": found["design"]["whole"]}
    assert [arm["arm"] for arm in found["runs"]] == ["quick", "slow"]
    looplab.post(f"{address}/{found['id']}/cancel")
    assert looplab.post(f"{address}/{first}/confirm", {"blocks": 2}).status_code == 422
    assert looplab.post(f"{address}/{first}/confirm", {"blocks": 3, "arm": 1}).status_code == 422
    # One of a confirmation, by either button of its page, is one more attempt at the first.
    for button in ("confirm", "again"):
        page = looplab.post_form(f"/experiments/{found['id']}/{button}", []).headers["location"]
        looplab.post_form(f"{page}/cancel", [])
    told = looplab.get(f"{address}/{first}").json()
    ids = [attempt["id"] for attempt in told["attempts"]]
    assert (len(ids), ids[:2], ids[3]) == (4, [first, found["id"]], page.rpartition("/")[2])
    assert told["attempt"].startswith("It was measured anew 3 times, on fresh blocks")
    there = looplab.get(page).text
    assert f"Attempt 3 of 3 to confirm {first}" in words(there)
    for each in (f"/experiments/{each}" for each in ids[:3]):
        assert f'href="{each}"' in there
    assert f'href="{page}"' in looplab.get(f"/experiments/{first}").text
    other = experiment_like(decided, confirms=first, metric="response_time_s.p50")
    assert looplab.post("/api/experiments", other).json()["fields"][0]["field"] == "confirms"


def experiment_like(decided: dict[str, Any], **changes: Any) -> dict[str, Any]:
    arms = [
        {"name": arm["arm"], "spec": {"workload": SOME_WORKLOAD, "timeout_s": 1 + place}}
        for place, arm in enumerate(decided["runs"])
    ]
    return {"question": "Which path?", "arms": arms, "guardrails": [], **changes}


def test_an_arm_that_fails_leaves_the_other_going(
    looplab: Dashboard, server: HostileServer
) -> None:
    document = experiment(server)
    document["arms"][1]["spec"]["target"] = {"url": f"http://127.0.0.1:{free_port()}"}
    found = over(looplab, looplab.post("/api/experiments", document).json()["id"])
    assert [(arm["state"], arm["blocks"]) for arm in found["runs"]] == [
        ("finished", BLOCKS),
        ("failed", 0),
    ]
    assert "Nothing listens" in found["runs"][1]["reason"]
    assert found["verdicts"][0]["verdict"] == "no_verdict"


def test_what_was_measured_stays_after_a_cancel(looplab: Dashboard, server: HostileServer) -> None:
    made = looplab.post("/api/experiments", experiment(server, blocks=50)).json()
    address = f"/api/experiments/runs/{made['id']}"
    looplab.until_blocks(made["id"], 3)
    cancelled = looplab.post(f"{address}/cancel").json()
    assert cancelled["state"] == "cancelled"
    assert cancelled["blocks"] >= 3
    assert cancelled["verdicts"][0]["low"] is not None

    def ended() -> bool:
        last = looplab.get(address).json()["begun"][-1]
        return last["outcome"] in {"incomplete", "complete"}

    until(ended, "its last block is over")
    assert looplab.post(f"{address}/cancel").status_code == 409


def test_an_arm_takes_its_experiment_with_it(looplab: Dashboard, server: HostileServer) -> None:
    made = looplab.post("/api/experiments", experiment(server, blocks=50)).json()
    address = f"/api/experiments/runs/{made['id']}"
    looplab.until_blocks(made["id"], 1)
    arms = [arm["id"] for arm in looplab.get(address).json()["runs"]]
    assert looplab.cancel(arms[0]).status_code == 200
    assert [looplab.run(arm)["state"] for arm in arms] == ["cancelled", "cancelled"]
    assert looplab.cancel(arms[0]).status_code == 409


def test_the_burnt_trial_sends_nothing_that_is_sent_again(
    looplab: Dashboard, server: HostileServer
) -> None:
    document = experiment(server)
    for arm in document["arms"]:
        (stream,) = arm["spec"]["workload"]["streams"]
        stream["requests"] = [
            {
                "path": "/ok",
                "headers": {"X-Unique": "{id}"},
                "values": {"id": {"kind": "uuid"}},
            }
        ]
    document["arms"][1]["spec"]["client"] = {"strategy": "raw", "loop": "asyncio"}
    server.heads.clear()
    over(looplab, looplab.post("/api/experiments", document).json()["id"])
    sent = [head for head in server.heads if b"X-Unique" in head]
    assert len(sent) >= (2 * BLOCKS + 1) * 10
    assert len(set(sent)) == len(sent)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"metric": "speed"}, "metric"),
        ({"stream": "large"}, "stream"),
        ({"arms": [{"name": "a", "spec": {}}, {"name": "b", "spec": {}}]}, "arms.0.spec.workload"),
        ({"spec": {"timeout_s": -1}}, "arms.0.spec.timeout_s"),
        ({"blocks": 98, "spec": {"warmup_s": 600}}, "blocks"),
        (
            {"predictions": [{"text": "t", "arm": "slow", "about": 1, "stream": "x"}]},
            "predictions.0.stream",
        ),
        (
            {"objectives": [{"metric": "duration_s", "at_most": 1, "stream": "x"}]},
            "objectives.0.stream",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_field(
    looplab: Dashboard, server: HostileServer, changes: dict[str, Any], field: str
) -> None:
    refused = looplab.post("/api/experiments", experiment(server, **changes))
    assert refused.status_code == 422
    assert field in [wrong["field"] for wrong in refused.json()["fields"]]


def test_arms_that_do_not_differ_are_refused(looplab: Dashboard, server: HostileServer) -> None:
    document = experiment(server)
    document["arms"][1]["spec"] = document["arms"][0]["spec"]
    (wrong,) = looplab.post("/api/experiments", document).json()["fields"]
    assert (wrong["field"], wrong["message"]) == ("arms.1.spec", "This arm is the same as “quick”.")


def test_there_is_none_of_that_id(looplab: Dashboard) -> None:
    assert looplab.get("/api/experiments/runs/0000000000").status_code == 404
    assert looplab.get("/experiments/0000000000").status_code == 404


def test_runs_that_are_compared_become_arms(looplab: Dashboard, decided: dict[str, Any]) -> None:
    ids = [arm["id"] for arm in decided["runs"]]
    compared = looplab.get(f"/compare?runs={','.join(ids)}").text
    assert "Decide with an experiment" in words(compared)
    assert "not interleaved" not in words(compared)
    assert f'href="/experiments/{decided["id"]}"' in compared
    assert f'href="/experiments/{decided["id"]}"' in looplab.get(f"/runs/{ids[0]}").text
    form = [("runs", ",".join(reversed(ids))), ("key", "k")]
    answer, twice = (looplab.post_form("/experiments/of-runs", form) for _ in range(2))
    assert answer.status_code == 303
    page = answer.headers["location"]
    assert twice.headers["location"] == page
    made = looplab.get(f"/api{page.replace('experiments/', 'experiments/runs/')}").json()
    names = [[arm["arm"] for arm in each["runs"]] for each in (made, decided)]
    assert names[0] == names[1][::-1]
    looplab.post(f"/api/experiments/runs/{made['id']}/cancel")
