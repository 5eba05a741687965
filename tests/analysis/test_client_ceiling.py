from dataclasses import replace
from typing import Any

import pytest

from control_plane.analysis.client_ceiling import (
    CLIENTS,
    Ceiling,
    ceiling_of,
    ceiling_rate,
    ceiling_spec,
    ceiling_submission,
    client_name,
    headroom,
    headroom_explanation,
    headroom_sentence,
    known_ceiling,
    same_setup,
)
from control_plane.analysis.prose import plain_text
from control_plane.analysis.validity.judged_run import judge
from control_plane.domain.errors import InvalidInput
from control_plane.domain.limits import Limits
from control_plane.domain.run import Run, State
from control_plane.domain.spec import Client
from control_plane.domain.spec_json import read_spec
from control_plane.domain.units import SPACE
from tests.builders.records import Shape
from tests.builders.runs import ASYNC, ENVIRONMENT, detail_of, items

QUICK = Shape(rate_per_s=21_700, median_s=0.0029, client_cpu=1.0, target_cpu=0.4)
BUSY = replace(QUICK, rate_per_s=61_000, target_cpu=0.97)


def measured(shape: Shape = QUICK, client: Client | None = None, **changes: Any) -> Run:
    run = detail_of(ceiling_spec(client or Client()), shape).run
    return replace(run, **changes)


def ceiling(shape: Shape = QUICK, **changes: Any) -> Ceiling:
    found = ceiling_of(measured(shape))
    assert found is not None
    return replace(found, **changes)


def test_a_run_of_the_very_spec_is_a_ceiling() -> None:
    found = ceiling_of(measured(title="renamed", tags=()))
    assert found is not None
    assert found.throughput_per_s == pytest.approx(21_700, rel=0.05)
    assert found.responder_cpu_share == pytest.approx(0.4)
    assert (found.users, found.at_least, found.outcome) == (64, False, "valid")


@pytest.mark.parametrize(
    "run",
    [
        measured(state=State.CANCELLED),
        measured(replace(QUICK, errors={"timeout": 4_000})),
        measured(spec=replace(ceiling_spec(Client()), warmup_s=0.5)),
        detail_of(items(), ASYNC).run,
    ],
    ids=["unfinished", "invalid", "another spec", "another target"],
)
def test_any_other_run_is_none(run: Run) -> None:
    assert ceiling_of(run) is None


def test_a_client_at_its_limit_is_no_reason_to_doubt_its_ceiling() -> None:
    for run, gates in ((measured(), []), (detail_of(items(), QUICK).run, ["client_cpu"])):
        assert [reason.gate for reason in judge(run.trials, run.streams, run.spec).reasons] == gates


@pytest.mark.parametrize(
    ("shape", "text"), [(QUICK, f"21,700{SPACE}/s"), (BUSY, f"≥ 61,000{SPACE}/s")]
)
def test_a_responder_at_its_limit_makes_it_a_lower_bound(shape: Shape, text: str) -> None:
    rounded = replace(ceiling(shape), throughput_per_s=shape.rate_per_s)
    assert ceiling_rate(rounded) == text


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"load_before": 3.0, "commit": "another", "fastapi": "1.0"}, True),
        ({"cpu_model": "Apple M2"}, False),
        ({"python": "3.14.0"}, False),
        ({"aiohttp": "4.0.0"}, False),
        ({"uvloop": "0.23"}, False),
    ],
)
def test_another_machine_or_library_is_another_place(changes: dict[str, Any], same: bool) -> None:
    other = {**ENVIRONMENT, **changes}
    assert same_setup(ENVIRONMENT, other) is same
    known = known_ceiling([ceiling()], Client(), other)
    assert (known is not None) is same


@pytest.mark.parametrize(
    ("client", "known"),
    [
        (Client(), True),
        (Client(max_body_bytes=1_000), True),
        (Client(session="shared"), True),
        (Client(loop="asyncio"), False),
        (Client(processes=2), False),
        (Client(reuse_connections=False), False),
        (Client("threaded"), False),
    ],
)
def test_a_ceiling_is_that_of_one_client(client: Client, known: bool) -> None:
    assert (known_ceiling([ceiling()], client, ENVIRONMENT) is not None) is known


def test_the_newest_counts_unless_it_is_in_doubt() -> None:
    newest, older = ceiling(run_id="newest"), ceiling(run_id="older")
    doubted = replace(newest, outcome="suspect")
    assert known_ceiling([newest, older], Client(), ENVIRONMENT) is newest
    assert known_ceiling([doubted, older], Client(), ENVIRONMENT) is older
    assert known_ceiling([doubted], Client(), ENVIRONMENT) is doubted


@pytest.mark.parametrize(
    ("changes", "told", "meant"),
    [
        ({}, "tops out at 21,700 /s here; you measured 14,3", "had room"),
        ({"throughput_per_s": 15_000}, "tops out at 15,000 /s here", "near its limit"),
        (
            {"throughput_per_s": 9_000},
            "more than the stored ceiling of this client, 9,000 /s, which",
            "nothing else works",
        ),
        ({"outcome": "suspect"}, "reaches at least 21,700 /s here", "may be able to do more"),
        ({"at_least": True}, "reaches at least 21,700 /s here", "responder was at its limit"),
    ],
)
def test_a_run_is_told_how_near_it_came(changes: dict[str, Any], told: str, meant: str) -> None:
    run = detail_of(items(), ASYNC).run
    known = replace(ceiling(throughput_per_s=21_700), **changes)
    found = headroom(run, [known])
    assert found is not None
    assert told in plain_text(headroom_sentence(found)).replace(SPACE, " ")
    assert meant in headroom_explanation(found)
    assert found.share == pytest.approx(run.streams[0].throughput_per_s / known.throughput_per_s)


def test_load_workers_that_share_cores_had_less_room() -> None:
    run = detail_of(items(), ASYNC).run
    several = replace(run, spec=replace(run.spec, client=replace(run.spec.client, processes=3)))
    known = replace(ceiling(throughput_per_s=21_700), client=several.spec.client)
    found = headroom(several, [known])
    assert found is not None
    assert "shared cores" in headroom_explanation(found)


def test_nothing_is_said_without_a_ceiling_or_of_a_ceiling_itself() -> None:
    assert headroom(detail_of(items(), ASYNC).run, []) is None
    assert headroom(measured(), [ceiling()]) is None


@pytest.mark.parametrize("client", CLIENTS, ids=client_name)
def test_the_measurement_of_every_strategy_can_be_handed_in(client: Client) -> None:
    assert read_spec(ceiling_submission(client), Limits()) == ceiling_spec(client)


@pytest.mark.parametrize(
    ("client", "name"),
    [
        (Client(), "async"),
        (Client(loop="asyncio", processes=2), "async, asyncio, 2 processes"),
        (Client("threaded", reuse_connections=False), "threaded, new connections"),
        (Client("threaded", session="shared"), "threaded, shared session"),
        (Client("blocking", loop="asyncio", session="shared"), "blocking"),
    ],
)
def test_a_client_is_named_by_what_it_changes(client: Client, name: str) -> None:
    assert client_name(client) == name


@pytest.mark.parametrize(
    ("part", "value", "field"),
    [
        ("target", {"workers": 2}, "target.workers"),
        ("target", {"loop": "uvloop"}, "target.loop"),
        ("target", {"settings": {"cpu_n": 5}}, "target.settings"),
        ("request", {"method": "HEAD"}, "workload.streams.0.requests.0.method"),
        ("request", {"body": {"text": "x"}}, "workload.streams.0.requests.0.body"),
    ],
)
def test_the_responder_takes_no_more_than_it_can(part: str, value: dict, field: str) -> None:
    document = ceiling_submission(Client())
    place = {
        "target": document["target"],
        "request": document["workload"]["streams"][0]["requests"][0],
    }[part]
    place.update(value)
    with pytest.raises(InvalidInput) as refused:
        read_spec(document, Limits())
    assert [error.field for error in refused.value.fields] == [field]
