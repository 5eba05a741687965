"""One request through an ASGI application, header for header as it was given."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

Headers = Sequence[tuple[str, str]]
OWN = (("host", "127.0.0.1:8200"),)


@dataclass
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def refused(self, status: int, code: str) -> str:
        """Check that this is an error of the contract's shape; its message."""
        assert self.status == status
        document: dict[str, Any] = json.loads(self.body)
        assert set(document) == {"error", "message", "fields"}
        assert document["error"] == code
        assert document["fields"] == []
        return str(document["message"])


class Recorder:
    """An application that answers 200 and counts how often it was reached."""

    def __init__(self) -> None:
        self.reached = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"reached"})


async def request(
    app: ASGIApp, method: str = "GET", path: str = "/", headers: Headers = OWN,
    parts: Sequence[bytes] = (),
) -> Response:  # fmt: skip
    """Send the body in the given parts; the answer, also when the application then raises."""
    scope: Scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1",
        "method": method, "scheme": "http", "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", 8200),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }  # fmt: skip
    coming: list[Message] = [
        {"type": "http.request", "body": part, "more_body": True} for part in parts
    ]
    coming.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Message] = []

    async def receive() -> Message:
        return coming.pop(0) if coming else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    try:
        await app(scope, receive, send)
    except ZeroDivisionError:
        assert sent
    body = b"".join(message.get("body", b"") for message in sent[1:])
    listed = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
    return Response(sent[0]["status"], listed, body)
