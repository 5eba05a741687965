"""Every strategy obeys the same rules, whatever its library would do by itself."""

import pytest

from control_plane.domain.client_strategies import STRATEGIES
from tests.load.hostile import HostileServer
from tests.load.workers import completed, plan_of, record_of

ALL = tuple(STRATEGIES)
UNTIL_CLOSE = "body until the connection closes"


def plan_for(server: HostileServer, strategy: str, path: str = "/ok", **parts):
    client = {"strategy": strategy, **parts.pop("client", {})}
    return plan_of(server.url, path, client=client, **parts)


def header(head: bytes, name: bytes) -> bytes | None:
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    found = [value.strip() for key, _, value in lines if key.lower() == name]
    assert len(found) < 2
    return found[0] if found else None


@pytest.mark.parametrize("strategy", ALL)
async def test_redirects_are_not_followed(server: HostileServer, strategy: str) -> None:
    await record_of(plan_for(server, strategy, "/redirect"))
    assert server.requests == {"redirect": 10}


@pytest.mark.parametrize("strategy", ALL)
async def test_an_expected_redirect_is_no_error(server: HostileServer, strategy: str) -> None:
    plan = plan_for(server, strategy, "/redirect", request={"expect": [302]})
    record = await record_of(plan)
    assert record.errors == {}
    assert completed(record) == 10


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


@pytest.mark.parametrize("strategy", ALL)
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
        (500, "expected the text 'yes', which the body does not hold", "no"),
    }


@pytest.mark.parametrize("strategy", ALL)
async def test_dropped_connections_are_not_hidden_by_sending_again(
    server: HostileServer, strategy: str
) -> None:
    """Every request that the server saw is one that the client counted."""
    plan = plan_for(server, strategy, "/drop-second", stop={"requests": 40})
    record = await record_of(plan)
    assert server.requests["drop-second"] == 40
    assert record.errors == {"disconnected": 20}
    assert completed(record) == 20
    assert record.new_connections == server.connections == 20


@pytest.mark.parametrize("strategy", ALL)
async def test_a_new_connection_for_each_request(server: HostileServer, strategy: str) -> None:
    plan = plan_for(server, strategy, client={"reuse_connections": False})
    record = await record_of(plan)
    assert completed(record) == record.new_connections == server.connections == 10
    assert record.connections == 1
    assert {header(head, b"connection") for head in server.heads} == {b"close"}


@pytest.mark.parametrize("strategy", ALL)
async def test_nothing_of_the_environment_is_used(
    server: HostileServer, strategy: str, monkeypatch, tmp_path
) -> None:
    """Neither a proxy nor the passwords of the person who runs Looplab."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    record = await record_of(plan_for(server, strategy))
    assert completed(record) == 10
    assert {header(head, b"authorization") for head in server.heads} == {None}


@pytest.mark.parametrize("strategy", ALL)
async def test_the_same_headers(server: HostileServer, strategy: str) -> None:
    values = {"n": {"kind": "sequence", "start": 7, "step": 0}}
    request = {"values": values, "headers": {"X-Number": "n{n}"}}
    await record_of(plan_for(server, strategy, request=request))
    (head,) = set(server.heads)
    assert header(head, b"accept-encoding") == b"identity"
    assert header(head, b"user-agent") == b"looplab"
    assert header(head, b"accept") == b"*/*"
    assert header(head, b"x-number") == b"n7"
    assert header(head, b"host") == server.url.removeprefix("http://").encode()


@pytest.mark.parametrize("strategy", ALL)
async def test_paths_and_bodies_arrive_as_they_were_made(
    server: HostileServer, strategy: str
) -> None:
    request = {
        "method": "POST",
        "path": "/ok/{v}?q={v}&plain=a%20b",
        "values": {"v": {"kind": "choice", "of": ["a/b?c é"]}},
        "body": {"json": {"text": '{v}"'}},
    }
    record = await record_of(plan_for(server, strategy, requests=[request]))
    encoded = b"a%2Fb%3Fc%20%C3%A9"
    target = b"POST /ok/" + encoded + b"?q=" + encoded + b"&plain=a%20b HTTP/1.1"
    body = '{"text":"a/b?c é\\""}'.encode()
    assert {head.split(b"\r\n")[0] for head in server.heads} == {target}
    assert set(server.bodies) == {body}
    assert header(server.heads[0], b"content-length") == b"%d" % len(body)
    assert header(server.heads[0], b"content-type") == b"application/json"
    assert record.bytes_sent == 10 * len(body)


@pytest.mark.parametrize("strategy", ALL)
async def test_large_bodies_are_sent_as_the_connection_takes_them(
    server: HostileServer, strategy: str
) -> None:
    body = {"generated": {"shape": "name-data", "size_bytes": 3_000_000}}
    request = {"method": "PUT", "body": body}
    record = await record_of(plan_for(server, strategy, request=request, stop={"requests": 3}))
    assert completed(record) == 3
    assert [len(body) for body in server.bodies] == [3_000_000] * 3
    assert len(set(server.bodies)) == 1
    assert (record.bytes_sent, record.new_connections) == (9_000_000, 1)


@pytest.mark.parametrize("strategy", ALL)
async def test_methods(server: HostileServer, strategy: str) -> None:
    methods = ["HEAD", "DELETE", "PUT", "PATCH", "OPTIONS"]
    requests = [{"method": method, "path": "/no-content"} for method in methods]
    plan = plan_for(server, strategy, requests=requests, stop={"requests": 60})
    record = await record_of(plan)
    assert completed(record) == 60
    assert {head.split(b" ")[0].decode() for head in server.heads} == set(methods)


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
