"""Values that were meant to be unique came again in the next run, and in the next trial."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from control_plane.domain.client_strategies import STRATEGIES
from tests.cases.serving import Served
from tests.dashboard import Dashboard

CASE: dict[str, Any] = json.loads((Path(__file__).parent / "R03" / "spec.json").read_text())


@pytest.fixture(scope="module")
def users(served: Callable[[str], Served]) -> Served:
    return served("R03")


@pytest.fixture(scope="module")
def stored(served: Callable[[str], Served]) -> Served:
    return served("stored")


def spec_of(*requests: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """One stream for each request class, with warm-up."""
    load = {"model": "closed", "concurrency": changes.pop("concurrency", 3)}
    streams = [
        {"name": f"s{index}", "requests": [request], "load": load, "stop": {"requests": 40}}
        for index, request in enumerate(requests)
    ]
    return {
        "client": {"strategy": "raw"},
        "workload": {"streams": streams},
        "warmup_s": 0.2,
        "max_error_share": 1,
        **changes,
    }


def measured(looplab: Dashboard, spec: dict[str, Any]) -> set[str]:
    return all_statuses(looplab.finished(looplab.submit(spec)))


def statuses(served: Served, spec: dict[str, Any]) -> set[str]:
    return all_statuses(served.run(spec))


def all_statuses(run: dict[str, Any]) -> set[str]:
    return {status for stream in run["streams"] for status in stream["statuses"]}


def test_the_case_as_it_was_handed_in(users: Served) -> None:
    """Sent again, with another strategy and with two trials; the table of users stays."""
    case = json.loads(json.dumps(CASE))
    case["workload"]["streams"][0]["stop"] = {"requests": 400}
    case["warmup_s"] = 0.2
    assert measured(users.looplab, case) == {"201"}
    changes = {"client": {"strategy": "raw"}, "trials": 2}
    assert statuses(users, case | changes) == {"201"}


def test_a_sequence_in_trial_2(users: Served) -> None:
    case = json.loads(json.dumps(CASE))
    (request,) = case["workload"]["streams"][0]["requests"]
    request["values"] = {"id": {"kind": "sequence"}}
    case["workload"]["streams"][0]["stop"] = {"requests": 50}
    case |= {"client": {"strategy": "raw"}, "warmup_s": 0.2}
    for trials in (2, 1):
        assert statuses(users, case | {"trials": trials}) == {"201"}
    with sqlite3.connect(users.looplab.db.parent / "users.db") as connection:
        rows = connection.execute("select email from users where email not like '%-%'").fetchall()
    numbers = sorted(int(email.partition("@")[0]) for (email,) in rows)
    # What a trial reserved and did not send, the next one sends.
    assert numbers == list(range(len(numbers)))


UNIQUE: dict[str, dict[str, Any]] = {
    "uuid": {"kind": "uuid"},
    "string": {"kind": "string", "length": 6},
    "sequence": {"kind": "sequence", "start": 100, "step": 5},
}


KEYED = {
    "path": "/keyed",
    "headers": {"X-Keys": "uuid-{uuid} string-{string} sequence-{sequence}"},
    "values": UNIQUE,
}


EMAILED = {
    "method": "POST",
    "path": "/users",
    "body": {"json": {"email": "{id}@x.example"}},
    "values": {"id": {"kind": "uuid"}},
}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_strategies_runs_trials_processes_and_streams_send_nothing_twice(
    stored: Served, strategy: str
) -> None:
    """Trials, processes and streams with one of them."""
    alone, first = STRATEGIES[strategy].alone, strategy == "raw"
    spec = spec_of(
        KEYED,
        *([KEYED] if first else []),
        client={"strategy": strategy, "processes": 2 if first else 1},
        trials=2 if first else 1,
        concurrency=1 if alone else 3,
    )
    spec["workload"]["streams"][0]["requests"].append(EMAILED)
    assert statuses(stored, spec) == {"201"}


def test_a_sequence_with_another_start_takes_no_number_of_before(stored: Served) -> None:
    """Each in a run of its own, and beside others in one run."""
    for starts in (((0, 1),), ((20, 1),), ((10, -2), (0, 3), (1_000, -1))):
        sequences = [{"kind": "sequence", "start": start, "step": step} for start, step in starts]
        requests = [{"path": "/starts/{v}", "values": {"v": value}} for value in sequences]
        assert statuses(stored, spec_of(*requests)) == {"201"}


def test_each_application_has_a_counter_of_its_own(stored: Served) -> None:
    request = {"path": "/other/{v}", "values": {"v": {"kind": "sequence"}}}
    spec = spec_of(request, target={"application": "other"}, warmup_s=0)
    assert measured(stored.looplab, spec) == {"201"}
    with sqlite3.connect(stored.looplab.db.parent / "stored.db") as connection:
        found = connection.execute("select key from stored where key like '/other/%'").fetchall()
    assert {key.strip() for (key,) in found} == {f"/other/{number}" for number in range(40)}


def test_what_repeats_comes_again_on_purpose(stored: Served) -> None:
    usual = stored.run(spec_of(KEYED, warmup_s=0))["id"]
    values = {name: {**value, "repeat": True} for name, value in UNIQUE.items()}
    spec = spec_of({**KEYED, "path": "/again/{uuid}/{string}/{sequence}", "headers": {},
                    "values": values}, warmup_s=0)  # fmt: skip
    assert statuses(stored, spec) == {"201"}
    run = stored.run({**spec, "trials": 2})
    assert run["streams"][0]["statuses"] == {"409": 80}
    again = run["spec"]["workload"]["streams"][0]["requests"][0]["values"]
    assert [value["repeat"] for value in again.values()] == [True, True, True]
    page = stored.looplab.get(f"/runs/{run['id']}").text
    assert "{uuid}, {string}, {sequence} the same in each run" in page
    assert "the same in each run" not in stored.looplab.get(f"/runs/{usual}").text


def test_integers_are_the_same_in_each_run_of_a_seed(stored: Served) -> None:
    value = {"kind": "integer", "low": 0, "high": 2**50}
    request = {"path": "/integers/{v}", "values": {"v": value}}
    assert statuses(stored, spec_of(request, warmup_s=0)) == {"201"}
    assert statuses(stored, spec_of(request, warmup_s=0)) == {"409"}
    assert statuses(stored, spec_of(request, warmup_s=0, seed=2)) == {"201"}
