"""Shows whatever it is given: in its log, in every response, and in where it redirects to."""

import base64
import html
import json
import os
import sys
from urllib.parse import quote, quote_plus


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = (await receive()).get("body", b"")
    headers = [(name.decode(), value.decode()) for name, value in scope["headers"]]
    given = [value for _, value in headers] + [body.decode(), scope["query_string"].decode()]
    given += [decoded(value) for value in given if value.startswith("Basic ")]
    sys.stdout.write(f"{scope['path']} {headers} {given}\n")
    sys.stdout.flush()
    if scope["path"] == "/end":
        os._exit(3)
    shown = [write(text) for text in given for write in (str, quote, quote_plus, html.escape)]
    shown += [json.dumps(given), repr(given), "?".join(given).lower()]
    status, more = 401, []
    if scope["path"] == "/away":
        status = 302
        location = "https://elsewhere.example/login?" + "&".join(map(quote, given))
        more = [(b"location", location.encode()), (b"set-cookie", b"s=" + given[0].encode())]
    text = "\n".join(shown).encode()
    start = {"type": "http.response.start", "status": status}
    await send(start | {"headers": [(b"x-given", quote("|".join(given)).encode()), *more]})
    await send({"type": "http.response.body", "body": text})


def decoded(value):
    return base64.b64decode(value.removeprefix("Basic ")).decode()
