"""The name by which the dashboard is called."""

import pytest
from starlette.types import Message

from control_plane.access.host import HostMiddleware
from tests.access.asgi_request import Headers, Recorder, request


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:8200", "127.0.0.1:1", "localhost", "LocalHost:8200", "[::1]",
        "[::1]:8200", "127.0.0.5:8200", "bench.example", "BENCH.example:443",
    ],
)  # fmt: skip
async def test_own_names_with_any_port_pass(host: str) -> None:
    inside = Recorder()
    guard = HostMiddleware(inside, ["127.0.0.5", "bench.example"])
    assert (await request(guard, headers=[("host", host)])).status == 200
    assert inside.reached == 1


async def test_an_ipv6_address_to_listen_on_is_bracketed() -> None:
    inside = Recorder()
    guard = HostMiddleware(inside, ["::2"])
    assert (await request(guard, headers=[("host", "[::2]:8200")])).status == 200
    assert (await request(guard, headers=[("host", "::2")])).status == 400


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("host", "")],
        [("host", "example.com")],
        [("host", "127.0.0.1.example.com")],
        [("host", "example.com:8200")],
        [("host", "localhost.")],
        [("host", "127.0.0.1:")],
        [("host", "127.0.0.1:80:80")],
        [("host", "127.0.0.1:999999")],
        [("host", "127.0.0.1 ")],
        [("host", "127.0.0.1, example.com")],
        [("host", "user@127.0.0.1")],
        [("host", "127.0.0.1/x")],
        [("host", "http://127.0.0.1")],
        [("host", "0.0.0.0")],
        [("host", "2130706433")],
        [("host", "127.1")],
        [("host", "[::ffff:127.0.0.1]")],
        [("host", "127.0.0.1\xe9")],
        [("host", "127.0.0.1"), ("host", "127.0.0.1")],
        [("host", "127.0.0.1"), ("host", "example.com")],
        [("host", "example.com"), ("x-forwarded-host", "127.0.0.1")],
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_other_names_never_reach_a_route(headers: Headers, method: str) -> None:
    inside = Recorder()
    answer = await request(HostMiddleware(inside, []), method, headers=headers)
    assert answer.refused(400, "unreadable")
    assert inside.reached == 0


async def test_a_long_name_is_not_repeated_in_full() -> None:
    answer = await request(HostMiddleware(Recorder(), []), headers=[("host", "a" * 60_000)])
    assert len(answer.refused(400, "unreadable")) < 300


async def test_web_sockets_are_closed_and_the_lifespan_passes() -> None:
    sent: list[Message] = []
    inside = Recorder()

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    guard = HostMiddleware(inside, [])
    await guard({"type": "websocket", "headers": [(b"host", b"127.0.0.1")]}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert inside.reached == 0
    await guard({"type": "lifespan"}, receive, send)
    assert inside.reached == 1
