"""Makes the random values and the bodies of requests, as far as possible before the window."""

import json
import uuid
from collections.abc import Callable, Collection, Mapping
from math import gcd
from random import Random
from string import ascii_lowercase

from control_plane.domain.request import (
    ChoiceValue,
    FormBody,
    GeneratedBody,
    IntegerValue,
    JsonBody,
    Multipart,
    MultipartBody,
    RowValue,
    Scalar,
    SequenceValue,
    SingleValue,
    StringValue,
    TextBody,
    UuidValue,
)
from control_plane.domain.row_files import Row, read_rows
from control_plane.domain.spec import BaseRequest
from control_plane.load import request_templates
from control_plane.load.request_templates import Template
from control_plane.load.worker_protocol import Shard

ValueGenerator = Callable[[int], Scalar]
"""From a number to the value of a request, not yet encoded for its place."""

_GAMMA = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def random_bits(seed: int, number: int) -> int:
    """Return 64 random bits: the output `number` of SplitMix64 (Steele, Lea and Flood, 2014)."""
    mixed = seed + (number + 1) * _GAMMA & _MASK
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & _MASK
    return mixed ^ mixed >> 31


def value_generator(value: SingleValue, seed: int) -> ValueGenerator:
    """Return the generator of a value of the spec; the same seed gives the same values.

    That of a sequence counts its own numbers, not those of all requests.
    """
    match value:
        case IntegerValue(low=low, high=high):
            span = high - low + 1
            return lambda number: low + (random_bits(seed, number) * span >> 64)
        case SequenceValue(start=start, step=step):
            return lambda number: start + step * number
        case ChoiceValue(of=choices):
            return lambda number: choices[random_bits(seed, number) * len(choices) >> 64]
        case StringValue(length=length):
            return letters_generator(length, seed)
        case UuidValue():
            return lambda number: str(
                uuid.UUID(
                    int=random_bits(seed, 2 * number) << 64 | random_bits(seed, 2 * number + 1),
                    version=4,
                )
            )


def row_generator(value: RowValue, seed: int, block: Shard) -> Callable[[int], Row]:
    """Return what gives each number a row, with the columns that the value names.

    Rows that come once are divided among the trials, of which `block` is one, unless they repeat.
    """
    columns = value.columns
    rows = [{name: row[name] for name in columns} for row in read_rows(value.file)]
    if value.order == "each_once":
        begin, end = (0, len(rows)) if value.repeat else trial_rows(len(rows), block)
        return rows[begin:end].__getitem__
    if value.order == "shuffled":
        Random(seed).shuffle(rows)
    return lambda number: rows[number % len(rows)]


def trial_rows(rows: int, block: Shard) -> tuple[int, int]:
    """Return the first row of a trial and the one after its last: each trial has equally many.

    Trials beyond their number, of an experiment that was paused, have those of the first again.
    """
    each, place = rows // block.of, block.first % block.of
    return place * each, (place + 1) * each


_SURELY_APART = 14
"""So many random letters (66 bits) are not drawn twice."""


def letters_generator(length: int, seed: int) -> ValueGenerator:
    """Return a generator of lowercase letters that repeats none before it had all of that length.

    Few letters are the digits of a walk through all such texts, by a stride without a common
    divisor.
    """
    if length >= _SURELY_APART:
        return lambda number: random_letters(length, Random(random_bits(seed, number)))
    texts = len(ascii_lowercase) ** length
    first, stride = random_bits(seed, 0) % texts, random_bits(seed, 1) % texts
    while gcd(stride, texts) != 1:
        stride += 1
    return lambda number: _digits((first + stride * number) % texts, length)


_LETTER_PAIRS = [first + second for first in ascii_lowercase for second in ascii_lowercase]


def _digits(number: int, length: int) -> str:
    """Return a number to the base of 26, in letters."""
    pairs = []
    for _ in range(length // 2):
        number, pair = divmod(number, len(_LETTER_PAIRS))
        pairs.append(_LETTER_PAIRS[pair])
    return "".join(pairs) + (ascii_lowercase[number] if length % 2 else "")


def random_letters(length: int, random: Random) -> str:
    """Return random lowercase letters."""
    return "".join(random.choices(ascii_lowercase, k=length))


_NAME_LENGTH = 8
_KEY_LENGTH = 10
_PAIR = 20

BodyRenderer = Callable[[Mapping[str, Scalar]], bytes]

_BOUNDARY = "looplab-8c1f4be27d5a4b0c9e63"
"""Parts two parts of a body, neither of which holds it."""


def constant_body(content: bytes) -> BodyRenderer:
    """Return the renderer of a body without placeholders."""
    return lambda _: content


def body_renderer(request: BaseRequest, names: Collection[str], random: Random) -> BodyRenderer:
    """Return a function from drawn values to the bytes to send."""
    match request.body:
        case JsonBody(json=document):
            return _filled(request_templates.json_template(document, names))
        case TextBody(text=text):
            kind = content_type(request) or ""
            return _filled(request_templates.text_template(text, names, kind))
        case FormBody(form=fields):
            return _filled(request_templates.form_template(fields, names))
        case MultipartBody(multipart=multipart):
            return _multipart(multipart, names, random)
        case GeneratedBody(generated=generated):
            return constant_body(name_data(generated.size_bytes, random))
    return constant_body(b"")


def _filled(template: Template) -> BodyRenderer:
    if not template.names:
        return constant_body(template.render({}).encode())
    return lambda values: template.render(values).encode()


def _multipart(multipart: Multipart, names: Collection[str], random: Random) -> BodyRenderer:
    head = request_templates.multipart_template(multipart, names, _BOUNDARY)
    tail = f"--{_BOUNDARY}--\r\n".encode()
    if multipart.file is not None:
        tail = random.randbytes(multipart.file.size_bytes) + b"\r\n" + tail
    if not head.names:
        return constant_body(head.render({}).encode() + tail)
    return lambda values: head.render(values).encode() + tail


_MEDIA_TYPES: Mapping[type, str] = {
    TextBody: "text/plain; charset=utf-8",
    FormBody: "application/x-www-form-urlencoded",
    MultipartBody: f"multipart/form-data; boundary={_BOUNDARY}",
}


def content_type(request: BaseRequest) -> str | None:
    """Return the media type of a body: as a header names it, else its own; None without a body."""
    if request.body is None:
        return None
    named = [text for name, text in request.headers.items() if name.lower() == "content-type"]
    return named[0] if named else _MEDIA_TYPES.get(type(request.body), "application/json")


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
