"""An application that stores what it got, and answers 409 to what it has already."""

import json
import sqlite3
from typing import Any

DB = sqlite3.connect("stored.db", isolation_level=None, timeout=5)
DB.executescript(
    "pragma synchronous=off; create table if not exists stored (key text unique, request text)"
)


def keys_of(path: str, headers: dict[str, str], body: bytes) -> list[str]:
    """What must be unique: each word of a header where there is one, else path and body."""
    return headers.get("x-keys", "").split() or [path + " " + body.hex()]


async def body_of(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind.endswith("shutdown"):
                return
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    path = (scope["raw_path"] + b"?" + scope["query_string"]).decode().removesuffix("?")
    body = await body_of(receive)
    status = 201
    if path != "/":
        request = {"path": path, "headers": headers, "body": body.decode("latin-1")}
        try:
            for key in keys_of(path, headers, body):
                DB.execute("insert into stored values (?, ?)", (key, json.dumps(request)))
        except sqlite3.IntegrityError:
            status = 409
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})
