"""Bodies of requests, as far as they can be made before the window."""

import json
from collections.abc import Callable, Collection, Mapping
from random import Random

from control_plane.domain.spec import GeneratedBody, JsonBody, RequestClass, TextBody
from control_plane.load import template
from control_plane.load.values import letters

_NAME_LENGTH = 8
_KEY_LENGTH = 10
_PAIR = 20

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
    """`{"name": letters, "data": {ten letters: integer}}`, exactly `size_bytes` (32 at least).

    A pair takes 20 bytes, so that 25 MB hold 1,250,000 of them; what is left over is the name.
    """
    room = size_bytes - len(json.dumps({"name": "", "data": {}})) - _NAME_LENGTH
    count = max(0, (room + len(", ")) // _PAIR)
    pairs = _pairs(count, random)
    return _framed(letters(size_bytes - len(_framed("", pairs)), random), pairs).encode()


def _pairs(count: int, random: Random) -> str:
    keys = letters(_KEY_LENGTH * count, random)
    return ", ".join(
        f'"{keys[at * _KEY_LENGTH : (at + 1) * _KEY_LENGTH]}": {random.randint(1000, 9999)}'
        for at in range(count)
    )


def _framed(name: str, pairs: str) -> str:
    return f'{{"name": "{name}", "data": {{{pairs}}}}}'
