"""Bodies of requests, as far as they can be made before the window."""

import json
from collections.abc import Callable, Collection, Mapping
from random import Random

from control_plane.domain.spec import GeneratedBody, JsonBody, RequestClass, TextBody
from control_plane.load import template
from control_plane.load.values import letters

_NAME_LENGTH = 8

Render = Callable[[Mapping[str, str]], bytes]


def fixed(content: bytes) -> Render:
    return lambda _: content


def body(request: RequestClass, names: Collection[str], random: Random) -> Render:
    """A function from drawn values to the bytes to send."""
    match request.body:
        case JsonBody(json=document):
            filled = template.json_body(document, names)
            if not filled.names:
                return fixed(filled.render({}).encode())
            return lambda values: filled.render(values).encode()
        case TextBody(text=text):
            return fixed(text.encode())
        case GeneratedBody(generated=generated):
            return fixed(name_data(generated.size_bytes, random))
    return fixed(b"")


def content_type(request: RequestClass) -> str | None:
    """None where there is no body."""
    if request.body is None:
        return None
    return "text/plain; charset=utf-8" if isinstance(request.body, TextBody) else "application/json"


def name_data(size_bytes: int, random: Random) -> bytes:
    """A JSON object `{"name", "data"}` of random letters, exactly `size_bytes` (32 at least)."""
    frame = len(json.dumps({"name": "", "data": ""}))
    name = letters(min(_NAME_LENGTH, (size_bytes - frame) // 2), random)
    data = letters(size_bytes - frame - len(name), random)
    return json.dumps({"name": name, "data": data}).encode()
