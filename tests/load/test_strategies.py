"""Every strategy obeys the same rules, whatever its library would do by itself."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from control_plane.domain.client_strategies import STRATEGIES
from tests.load.closing_driver import driven
from tests.load.endless_application import endless_application
from tests.load.hostile import HostileServer, hostile_server
from tests.load.workers import completed, plan_of, record_of

SEVEN = {"n": {"kind": "sequence", "start": 7, "step": 0}}
ENCODED = {
    "method": "POST",
    "path": "/ok/{v}?q={v}&plain=a%20b",
    "values": {"v": {"kind": "choice", "of": ["a/b?c é"]}},
    "body": {"json": {"text": '{v}"'}},
}
LARGE = {"generated": {"shape": "name-data", "size_bytes": 3_000_000}}
METHODS = ("HEAD", "DELETE", "PUT", "PATCH", "OPTIONS")
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "redirect": {"request": {"path": "/redirect"}},
    "expected": {"request": {"path": "/redirect", "expect": [302]}},
    "dropped": {"request": {"path": "/drop-second"}, "stop": {"requests": 40}},
    "new": {"client": {"reuse_connections": False}},
    "headers": {"request": {"values": SEVEN, "headers": {"X-Number": "n{n}"}}},
    "encoded": {"requests": [ENCODED]},
    "large": {"request": {"method": "PUT", "body": LARGE}, "stop": {"requests": 3}},
    "methods": {
        "requests": [{"method": method, "path": "/no-content"} for method in METHODS],
        "stop": {"requests": 60},
    },
    "paused": {"request": {"path": "/paused"}, "stop": {"requests": 4}},
    "paused-chunks": {"request": {"path": "/paused-chunks"}, "stop": {"requests": 4}},
    "continued-whole": {"request": {"path": "/continued-whole"}, "stop": {"requests": 4}},
    "whole-events": {
        "request": {"path": "/whole-events", "until": {"event": 1}},
        "stop": {"requests": 4},
    },
    "continued": {"request": {"path": "/continued"}, "stop": {"requests": 4}},
    "hinted": {"request": {"path": "/hinted"}, "stop": {"requests": 2}, "timeout_s": 2.0},
    "begun": {"request": {"path": "/begun"}, "stop": {"requests": 2}, "timeout_s": 0.3},
    "wrong": {"request": {"path": "/server-error"}},
    "first-event": {"request": {"path": "/events", "until": {"event": 1}}, "stop": {"requests": 3}},
    "some-bytes": {"request": {"path": "/stream", "until": {"bytes": 25}}, "stop": {"requests": 3}},
    "some-time": {
        "request": {"path": "/stream", "until": {"seconds": 0.3}},
        "stop": {"requests": 2},
    },
    "short": {"request": {"path": "/ok", "until": {"bytes": 100}}},
    "no-event": {"request": {"path": "/ok", "until": {"event": 1}}},
    "starlette": {"request": {"path": "/ticks", "until": {"event": 1}}, "stop": {"requests": 4}},
}
"""Parts of plans of one user and ten requests, each against a server of its own; `starlette` is
against an application of that framework.
"""

BUSY = {"load": {"model": "closed", "concurrency": 64}, "stop": {"requests": 256}}
BUSY_CASES: dict[str, dict[str, Any]] = {
    "paused-busy": {**BUSY, "request": {"path": "/paused"}},
    "plain-busy": BUSY,
}
"""Of so many users that answers wait for the client's turn, where it can have more than one."""


@dataclass(frozen=True)
class Driven:
    """What a case came to: as the client tells it, and as its server saw it."""

    told: dict[str, Any]
    server: HostileServer


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Driven]:
    """By strategy and case."""
    return asyncio.run(_all(tmp_path_factory.mktemp("home")))


async def _all(home: Path) -> dict[tuple[str, str], Driven]:
    """One process for each strategy, with proxies and passwords in its environment."""
    (home / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (home / ".netrc").chmod(0o600)
    proxies = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
    environment = {"HOME": str(home), **dict.fromkeys(proxies, "http://127.0.0.1:9")}
    with endless_application(home) as application:
        driving = (_driven(strategy, environment, application) for strategy in STRATEGIES)
        return {
            key: case for cases in await asyncio.gather(*driving) for key, case in cases.items()
        }


async def _driven(
    strategy: str, environment: dict[str, str], application: str
) -> dict[tuple[str, str], Driven]:
    usual = {"load": {"model": "closed", "concurrency": 1}, "stop": {"requests": 10}}
    cases = {**CASES, **BUSY_CASES}
    if STRATEGIES[strategy].alone:
        cases |= {case: {**parts, **usual} for case, parts in BUSY_CASES.items()}
    with ExitStack() as stack:
        servers = [stack.enter_context(hostile_server()) for _ in cases]
        plans = [
            {**usual, **parts, "client": {"strategy": strategy, **parts.get("client", {})}}
            for parts in cases.values()
        ]
        urls = [
            application if case == "starlette" else server.url
            for case, server in zip(cases, servers, strict=True)
        ]
        told = await driven(strategy, list(zip(urls, plans, strict=True)), environment)
    return {
        (strategy, case): Driven(*pair)
        for case, pair in zip(cases, zip(told, servers, strict=True), strict=True)
    }


@pytest.fixture(params=STRATEGIES)
def of(
    request: pytest.FixtureRequest, found: dict[tuple[str, str], Driven]
) -> Callable[[str], Driven]:
    """Return a case by its name, for each strategy."""
    return lambda case: found[request.param, case]


def header(head: bytes, name: bytes) -> bytes | None:
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    found = [value.strip() for key, _, value in lines if key.lower() == name]
    assert len(found) < 2
    return found[0] if found else None


def test_redirects_are_not_followed(of: Callable[[str], Driven]) -> None:
    assert of("redirect").server.requests == {"redirect": 10}


def test_an_expected_redirect_is_no_error(of: Callable[[str], Driven]) -> None:
    told = of("expected").told
    assert (told["errors"], told["completed"]) == ({}, 10)


def test_dropped_connections_are_not_hidden_by_sending_again(
    of: Callable[[str], Driven],
) -> None:
    """Every request that the server saw is one that the client counted."""
    case = of("dropped")
    assert case.server.requests["drop-second"] == 40
    assert case.told["errors"] == {"disconnected": 20}
    assert case.told["completed"] == 20
    assert case.told["new_connections"] == case.server.connections == 20


def test_a_new_connection_for_each_request(of: Callable[[str], Driven]) -> None:
    told, server = of("new").told, of("new").server
    assert told["completed"] == told["new_connections"] == server.connections == 10
    assert told["connections"] == 1
    assert {header(head, b"connection") for head in server.heads} == {b"close"}


@pytest.mark.parametrize("case", ["paused", "paused-busy", "paused-chunks", "continued"])
def test_the_first_byte_is_that_of_the_head_whatever_interim_responses_came(
    of: Callable[[str], Driven], case: str
) -> None:
    """The head comes after 50 ms and the end 100 ms later: of four at least one is seen in time.

    A server that waited for the processor sends both later.
    """
    told = of(case).told
    assert (told["completed"] >= 4, told["errors"]) == (True, {})
    begun, earliest_s, _ = told["first_byte_s"]
    ended, quickest_s, _ = told["service_s"]
    assert begun == ended == told["completed"]
    assert quickest_s >= 0.15
    assert 0.05 <= earliest_s < max(0.15, quickest_s - 0.05)


def test_early_hints_are_not_the_first_byte(of: Callable[[str], Driven]) -> None:
    told = of("hinted").told
    if told["errors"]:
        # http.client takes them for the response.
        assert told["errors"] == {"status": 2}
    else:
        assert told["first_byte_s"][1] >= 0.05


def test_an_answer_that_is_cut_off_or_wrong_has_a_first_byte(
    of: Callable[[str], Driven],
) -> None:
    told = of("begun").told
    assert told["errors"] == {"timeout": 2}
    assert (told["begun_timeouts"], told["first_byte_s"][0]) == (2, 2)
    assert told["failures"] == ["GET /begun: 200, timeout"]
    assert told["first_byte_s"][1] < 0.3
    wrong = of("wrong").told
    assert wrong["errors"] == {"status": 10}
    assert (wrong["first_byte_s"][0], wrong["service_s"][0]) == (10, 0)


@pytest.mark.parametrize(("case", "received"), [("first-event", 20), ("some-bytes", 25)])
def test_reading_ends_where_it_is_to_and_the_request_has_completed(
    of: Callable[[str], Driven], case: str, received: int
) -> None:
    told = of(case).told
    assert (told["errors"], told["completed"]) == ({}, 3)
    assert told["bytes_received"] == 3 * received
    assert told["read_enough"] == told["new_connections"] == of(case).server.connections == 3


def test_an_application_whose_answers_never_end_is_measured_by_its_first_event(
    of: Callable[[str], Driven],
) -> None:
    told = of("starlette").told
    assert (told["errors"], told["completed"], told["read_enough"]) == ({}, 4, 4)
    assert told["bytes_received"] == 4 * (19 + 22)
    # The handshake comes before; the head after 30 ms, the first event 20 ms later.
    assert told["service_s"][1] >= 0.05
    assert 0.03 <= told["first_byte_s"][1] < told["service_s"][1]


def test_reading_ends_after_a_time(of: Callable[[str], Driven]) -> None:
    told = of("some-time").told
    assert (told["errors"], told["completed"], told["read_enough"]) == ({}, 2, 2)
    assert told["service_s"][1] >= 0.3
    assert told["bytes_received"] % 10 == 0 < told["bytes_received"]


def test_an_answer_that_ends_before_is_whole_and_keeps_its_connection(
    of: Callable[[str], Driven],
) -> None:
    told = of("short").told
    assert (told["errors"], told["completed"]) == ({}, 10)
    assert (told["read_enough"], of("short").server.connections) == (0, 1)


def test_an_answer_that_ends_before_its_event_is_another_one(of: Callable[[str], Driven]) -> None:
    told = of("no-event").told
    assert (told["errors"], told["completed"]) == ({"content": 10}, 0)
    assert told["failures"] == ["GET /ok: 200, the answer ended after 0 events"]


@pytest.mark.parametrize(
    "case", ["plain", "plain-busy", "methods", "continued-whole", "whole-events"]
)
def test_an_answer_in_one_piece_begins_where_it_ends(
    of: Callable[[str], Driven], case: str
) -> None:
    """However long the client took to get to it."""
    told = of(case).told
    assert told["errors"] == {}
    assert told["began_with_end"]
    assert told["first_byte_s"] == told["service_s"]


def test_nothing_of_the_environment_is_used(of: Callable[[str], Driven]) -> None:
    """Neither a proxy nor the passwords of the person who runs Looplab."""
    case = of("plain")
    assert case.told["completed"] == 10
    assert {header(head, b"authorization") for head in case.server.heads} == {None}


def test_the_same_headers(of: Callable[[str], Driven]) -> None:
    server = of("headers").server
    (head,) = set(server.heads)
    assert header(head, b"accept-encoding") == b"identity"
    assert header(head, b"user-agent") == b"looplab"
    assert header(head, b"accept") == b"*/*"
    assert header(head, b"x-number") == b"n7"
    assert header(head, b"host") == server.url.removeprefix("http://").encode()


def test_paths_and_bodies_arrive_as_they_were_made(of: Callable[[str], Driven]) -> None:
    server = of("encoded").server
    encoded = b"a%2Fb%3Fc%20%C3%A9"
    target = b"POST /ok/" + encoded + b"?q=" + encoded + b"&plain=a%20b HTTP/1.1"
    body = '{"text":"a/b?c é\\""}'.encode()
    assert {head.split(b"\r\n")[0] for head in server.heads} == {target}
    assert set(server.bodies) == {body}
    assert header(server.heads[0], b"content-length") == b"%d" % len(body)
    assert header(server.heads[0], b"content-type") == b"application/json"
    assert of("encoded").told["bytes_sent"] == 10 * len(body)


def test_large_bodies_are_sent_as_the_connection_takes_them(of: Callable[[str], Driven]) -> None:
    told, server = of("large").told, of("large").server
    assert told["completed"] == 3
    assert [len(body) for body in server.bodies] == [3_000_000] * 3
    assert len(set(server.bodies)) == 1
    assert (told["bytes_sent"], told["new_connections"]) == (9_000_000, 1)


def test_methods(of: Callable[[str], Driven]) -> None:
    case = of("methods")
    assert case.told["completed"] == 60
    assert {head.split(b" ")[0].decode() for head in case.server.heads} == set(METHODS)


def plan_for(server: HostileServer, strategy: str, path: str = "/ok", **parts):
    client = {"strategy": strategy, **parts.pop("client", {})}
    return plan_of(server.url, path, client=client, **parts)


UNTIL_CLOSE = "body until the connection closes"
ITEMS = {"json_key": "items", "text": "x" * 200}
CONTENTS = {
    "/long-content": {**ITEMS, "size_bytes": {"at_least": 300_000, "at_most": 300_100}},
    "/measured-content": {**ITEMS, "statuses": [200], "text": " the end"},
    "/until-close": {"text": "connection closes"},
    "/no-content": {"statuses": [204], "size_bytes": {"at_most": 0}},
    "/ok": {"text": "ok"},
}
OTHERS = {
    "/until-close": {"json_key": "items"},
    "/no-content": {"size_bytes": {"at_least": 1}},
    "/server-error": {"statuses": [500], "text": "yes"},
}


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_the_content_decides(server: HostileServer, strategy: str) -> None:
    """However a body comes; and what was expected and what was there is told."""
    requests = [{"path": path, "expect": expect} for path, expect in CONTENTS.items()]
    record = await record_of(plan_for(server, strategy, requests=requests, stop={"requests": 25}))
    assert server.requests.keys() == {path[1:] for path in CONTENTS}
    assert (record.errors, completed(record)) == ({}, 25)
    requests = [{"path": path, "expect": expect} for path, expect in OTHERS.items()]
    record = await record_of(plan_for(server, strategy, requests=requests))
    assert record.errors == {"content": 10}
    assert sum(record.statuses.values()) == 10
    assert {(failed.status, failed.detail, failed.body) for failed in record.failures} == {
        (200, "expected the JSON key items: the body is no JSON", UNTIL_CLOSE),
        (204, "expected at least 1 byte, 0 came", ""),
        (500, "the body does not hold the expected text 'yes'", "no"),
    }


@pytest.mark.parametrize("session", ["per-thread", "shared"])
async def test_threads_share_a_session_or_not(server: HostileServer, session: str) -> None:
    plan = plan_for(
        server,
        "threaded",
        "/slow",
        client={"session": session},
        load={"model": "closed", "concurrency": 8},
        stop={"requests": 48},
    )
    record = await record_of(plan)
    assert completed(record) == server.requests["slow"] == 48
    assert record.connections == record.new_connections == server.connections == 8


@pytest.mark.parametrize("session", ["per-thread", "shared"])
async def test_a_deadline_ends_the_request_of_one_user_alone(
    server: HostileServer, session: str
) -> None:
    """Others that use the same session go on."""
    plan = plan_for(
        server,
        "threaded",
        client={"session": session},
        load={"model": "closed", "concurrency": 6},
        requests=[{"path": "/slow", "weight": 20}, {"path": "/silence"}],
        stop={"requests": 120},
        timeout_s=0.6,
    )
    record = await record_of(plan)
    assert server.requests["silence"] > 0
    assert record.errors == {"timeout": server.requests["silence"]}
    assert completed(record) == server.requests["slow"]
    assert completed(record) + record.errors["timeout"] == 120


@pytest.mark.parametrize("strategy", ["async", "httpx", "raw"])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_both_event_loops_drive_many_users(
    server: HostileServer, loop: str, strategy: str
) -> None:
    plan = plan_for(
        server,
        strategy,
        client={"loop": loop},
        load={"model": "closed", "concurrency": 50},
        stop={"requests": 500},
    )
    record = await record_of(plan)
    assert completed(record) == server.requests["ok"] == 500
    assert record.connections == server.connections == 50
