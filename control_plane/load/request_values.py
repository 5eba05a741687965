"""Makes the random values and the bodies of requests, as far as possible before the window."""

import json
import uuid
from collections.abc import Callable, Collection, Mapping
from itertools import count
from random import Random
from string import ascii_lowercase

from control_plane.domain.spec import (
    ChoiceValue,
    GeneratedBody,
    IntegerValue,
    JsonBody,
    RequestClass,
    SequenceValue,
    StringValue,
    TextBody,
    UuidValue,
    Value,
)
from control_plane.load import placeholders
from control_plane.load.plan import WHOLE, Shard

ValueGenerator = Callable[[int], str]
"""From the number of the request to the value as text, not yet encoded for its place."""

_GAMMA = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def random_bits(seed: int, number: int) -> int:
    """Return 64 random bits: the output `number` of SplitMix64 (Steele, Lea and Flood, 2014)."""
    mixed = seed + (number + 1) * _GAMMA & _MASK
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
    return mixed ^ mixed >> 31


def value_generator(value: Value, seed: int, share: Shard = WHOLE) -> ValueGenerator:
    """Return the generator of a value of the spec; the same seed gives the same values."""
    match value:
        case IntegerValue(low=low, high=high):
            span = high - low + 1
            return lambda number: str(low + (random_bits(seed, number) * span >> 64))
        case SequenceValue():
            # Counted by itself: other request classes take numbers too.
            numbers = count(value.start + value.step * share.first, value.step * share.of)
            return lambda _: str(next(numbers))
        case ChoiceValue():
            choices = [str(choice) for choice in value.of]
            return lambda number: choices[random_bits(seed, number) * len(choices) >> 64]
        case StringValue(length=length):
            return lambda number: random_letters(length, Random(random_bits(seed, number)))
        case UuidValue():
            return lambda number: str(
                uuid.UUID(
                    int=random_bits(seed, 2 * number) << 64 | random_bits(seed, 2 * number + 1),
                    version=4,
                )
            )


def random_letters(length: int, random: Random) -> str:
    """Return random lowercase letters."""
    return "".join(random.choices(ascii_lowercase, k=length))


_NAME_LENGTH = 8
_KEY_LENGTH = 10
_PAIR = 20

BodyRenderer = Callable[[Mapping[str, str]], bytes]


def constant_body(content: bytes) -> BodyRenderer:
    """Return the renderer of a body without placeholders."""
    return lambda _: content


def body_renderer(request: RequestClass, names: Collection[str], random: Random) -> BodyRenderer:
    """Return a function from drawn values to the bytes to send."""
    match request.body:
        case JsonBody(json=document):
            filled = placeholders.json_template(document, names)
            if not filled.names:
                return constant_body(filled.render({}).encode())
            return lambda values: filled.render(values).encode()
        case TextBody(text=text):
            return constant_body(text.encode())
        case GeneratedBody(generated=generated):
            return constant_body(name_data(generated.size_bytes, random))
    return constant_body(b"")


def content_type(request: RequestClass) -> str | None:
    """Return the media type of a body; None where there is none."""
    if request.body is None:
        return None
    return "text/plain; charset=utf-8" if isinstance(request.body, TextBody) else "application/json"


def name_data(size_bytes: int, random: Random) -> bytes:
    """Return `{"name": letters, "data": {ten letters: integer}}`, exactly `size_bytes`.

    They are 32 at least. A pair takes 20 of them, so that 25 MB hold 1,250,000 pairs; what is left
    over is the name.
    """
    room = size_bytes - len(json.dumps({"name": "", "data": {}})) - _NAME_LENGTH
    count = max(0, (room + len(", ")) // _PAIR)
    pairs = _pairs(count, random)
    return _framed(random_letters(size_bytes - len(_framed("", pairs)), random), pairs).encode()


def _pairs(count: int, random: Random) -> str:
    keys = random_letters(_KEY_LENGTH * count, random)
    return ", ".join(
        f'"{keys[at * _KEY_LENGTH : (at + 1) * _KEY_LENGTH]}": {random.randint(1000, 9999)}'
        for at in range(count)
    )


def _framed(name: str, pairs: str) -> str:
    return f'{{"name": "{name}", "data": {{{pairs}}}}}'
