"""The counted application is the application, as far as its server can tell."""

import asyncio
import inspect
from types import MappingProxyType
from typing import Any

from control_plane.targets.inside.looplab_probe.asgi_counter import count_requests
from control_plane.targets.inside.looplab_probe.heartbeat import HEARTBEAT


async def app(scope: Any, receive: Any, send: Any) -> None:
    for message in scope["sent"]:
        await send(message)


def requests() -> tuple[int, int]:
    return HEARTBEAT.begun, HEARTBEAT.answered


class Server:
    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.answered: list[int] = []

    async def receive(self) -> Any:
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self.answered.append(HEARTBEAT.answered)


async def test_what_is_sent_arrives_unchanged_and_is_counted_once() -> None:
    (begun, answered), server = requests(), Server()
    body = {"type": "http.response.body", "body": b"x"}
    more, last = {**body, "more_body": True}, MappingProxyType(body)
    sent = [{"type": "http.response.start"}, more, last, body]
    await count_requests(app)({"type": "http", "sent": sent}, server.receive, server.send)
    assert all(message is other for message, other in zip(server.sent, sent, strict=True))
    assert server.answered == [answered, answered, answered + 1, answered + 1]
    assert requests() == (begun + 1, answered + 1)


async def test_other_scopes_get_the_server_itself() -> None:
    async def same(scope: Any, receive: Any, send: Any) -> None:
        assert (receive, send) == (server.receive, server.send)

    server = Server()
    await count_requests(same)({"type": "websocket"}, server.receive, server.send)


async def test_a_request_without_an_answer_is_over_with_its_application() -> None:
    begun, answered = requests()
    await count_requests(app)({"type": "http", "sent": []}, None, Server().send)
    assert requests() == (begun + 1, answered + 1)


def test_what_is_no_application_and_what_is_counted_stay() -> None:
    nothing: Any = ["no application"]
    assert count_requests(nothing) is nothing
    assert count_requests(count_requests(app)) is not app
    once = count_requests(app)
    assert count_requests(once) is once


async def test_what_sends_is_a_coroutine_function_and_leaves_refusing_to_the_server() -> None:
    seen: list[bool] = []

    async def asking(scope: Any, receive: Any, send: Any) -> None:
        seen.extend((inspect.iscoroutinefunction(send), asyncio.iscoroutinefunction(send)))
        await send("no message")

    server = Server()
    await count_requests(asking)({"type": "http"}, server.receive, server.send)
    assert any(seen)
    assert server.sent == ["no message"]
