import json
from collections import Counter
from email.parser import BytesParser
from email.policy import HTTP
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.request import (
    ChoiceValue,
    IntegerValue,
    SequenceValue,
    StringValue,
    UuidValue,
)
from control_plane.domain.spec import RequestClass
from control_plane.load.request_values import (
    body_renderer,
    content_type,
    name_data,
    random_bits,
    value_generator,
)
from tests.load.workers import plan_of

BOUND = 2**53


@given(st.integers(-BOUND, BOUND), st.integers(-BOUND, BOUND), st.integers(0, 2**32))
def test_integers_stay_within_their_bounds(first: int, second: int, seed: int) -> None:
    low, high = sorted((first, second))
    source = value_generator(IntegerValue("integer", low, high), seed)
    drawn = [int(source(number)) for number in range(20)]
    assert all(low <= number <= high for number in drawn)


@pytest.mark.parametrize(("low", "high"), [(7, 7), (0, 1), (-2, 2), (2**53 - 1, 2**53)])
def test_both_bounds_are_reached(low: int, high: int) -> None:
    source = value_generator(IntegerValue("integer", low, high), 3)
    assert {int(source(number)) for number in range(300)} == set(range(low, high + 1))


@pytest.mark.parametrize(("start", "step"), [(0, 1), (10, -3), (5, 0)])
def test_a_sequence_counts(start: int, step: int) -> None:
    source = value_generator(SequenceValue("sequence", start, step), 1)
    assert [source(place) for place in range(4)] == [start + step * place for place in range(4)]


def test_choices_are_all_taken() -> None:
    source = value_generator(ChoiceValue("choice", ("a", 1, 2.5)), 1)
    assert {source(number) for number in range(100)} == {"a", 1, 2.5}


def test_strings_are_lowercase_letters() -> None:
    text = str(value_generator(StringValue("string", 500), 1)(0))
    assert len(text) == 500
    assert text.isascii()
    assert text.isalpha()
    assert text.islower()


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_strings_repeat_none_before_all_were_drawn(length: int, seed: int) -> None:
    source = value_generator(StringValue("string", length), seed)
    drawn = {str(source(number)) for number in range(26**length)}
    assert len(drawn) == 26**length
    assert {len(text) for text in drawn} == {length}


@pytest.mark.parametrize("length", [8, 13, 14, 40])
def test_strings_are_apart(length: int) -> None:
    source = value_generator(StringValue("string", length), 1)
    drawn = {str(source(number)) for number in range(20_000)}
    assert len(drawn) == 20_000
    assert {len(text) for text in drawn} == {length}


def test_uuids_are_random_ones() -> None:
    source = value_generator(UuidValue("uuid"), 1)
    drawn = {str(source(number)) for number in range(50)}
    assert len(drawn) == 50
    assert all(text[14] == "4" and text[19] in "89ab" for text in drawn)


@pytest.mark.parametrize(
    "value",
    [
        IntegerValue("integer", 1, 10**6),
        ChoiceValue("choice", tuple(range(100))),
        StringValue("string", 8),
        UuidValue("uuid"),
    ],
)
def test_the_seed_decides(value) -> None:
    first, again, second = (value_generator(value, seed) for seed in (5, 5, 6))
    drawn = [first(number) for number in range(20)]
    assert drawn == [again(number) for number in reversed(range(20))][::-1]
    assert drawn != [second(number) for number in range(20)]


def test_bits_are_those_of_splitmix64() -> None:
    """The first outputs for seed 1234567, as second implementations print them."""
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [random_bits(1234567, number) for number in range(3)] == expected


def test_integers_are_spread_evenly() -> None:
    source = value_generator(IntegerValue("integer", 0, 9), 1)
    counts = Counter(source(number) for number in range(20_000))
    assert all(1_850 < count < 2_150 for count in counts.values())


def request_of(**parts) -> RequestClass:
    plan = plan_of("http://127.0.0.1:1", request={"method": "POST", **parts})
    return plan.stream.requests[0]


@given(st.integers(32, 5_000), st.integers(0, 2**32))
def test_name_data_has_the_size_that_was_asked_for(size: int, seed: int) -> None:
    made = name_data(size, Random(seed))
    assert len(made) == size
    found = json.loads(made)
    assert list(found) == ["name", "data"]
    assert found["name"].isalpha()
    assert found["name"].islower()
    assert all(1_000 <= number <= 9_999 for number in found["data"].values())
    assert made == name_data(size, Random(seed))


def test_a_generated_body_is_made_once() -> None:
    request = request_of(body={"generated": {"shape": "name-data", "size_bytes": 300_000}})
    render = body_renderer(request, (), Random(1))
    assert render({}) is render({})
    assert len(render({})) == 300_000


FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


@pytest.mark.parametrize(
    ("content", "expected", "kind"),
    [
        ({"text": "é"}, "é".encode(), "text/plain; charset=utf-8"),
        ({"json": {"a": ["é", 1.5]}}, '{"a":["é",1.5]}'.encode(), JSON),
        ({"json": {"a": [], "b": {}, "c": [None, True]}}, b'{"a":[],"b":{},"c":[null,true]}', JSON),
        ({"form": {"a b": "c&d", "n": [1, 2.5, ""]}}, b"a+b=c%26d&n=1&n=2.5&n=", FORM),
        (None, b"", None),
    ],
)
def test_bodies_and_their_types(content, expected: bytes, kind: str | None) -> None:
    request = request_of(body=content)
    assert body_renderer(request, (), Random(1))({}) == expected
    assert content_type(request) == kind


TEXT = 'a"b&c <é>'
DRAWN: dict[str, str | int | float] = {"s": TEXT, "q": 3}
VALUES = {
    "s": {"kind": "choice", "of": [TEXT]},
    "q": {"kind": "integer", "low": 3, "high": 3},
}


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        ({"json": {"user": "{s}!", "q": "{q}"}}, None, '{"user":"a\\"b&c <é>!","q":3}'),
        ({"json": {"{s}": "{s}", "{q}": ["{q}", "{q}0"]}}, None,
         '{"a\\"b&c <é>":"a\\"b&c <é>","3":[3,"30"]}'),
        ({"json": "{q}"}, None, "3"),
        ({"json": ["{{q}}", "{{{q}}}"]}, None, '["{q}","{3}"]'),
        ({"text": "{s}/{q}"}, None, 'a"b&c <é>/3'),
        ({"text": '{"a":{"b":{q}}}'}, None, '{"a":{"b":3}}'),
        ({"text": "u={s}&q={q}"}, FORM, "u=a%22b%26c+%3C%C3%A9%3E&q=3"),
        ({"text": "u={s}&q={q}"}, f"{FORM}; charset=utf-8", "u=a%22b%26c+%3C%C3%A9%3E&q=3"),
        ({"text": '{"u":"{s}","q":{q}}'}, JSON, '{"u":"a\\"b&c <é>","q":3}'),
        ({"text": '{"u":"{s}"}'}, "application/problem+json", '{"u":"a\\"b&c <é>"}'),
        ({"text": "<u>{s}</u>"}, "text/xml", "<u>a&quot;b&amp;c &lt;é&gt;</u>"),
        ({"form": {"{q}": "{s}", "n": ["{q}", 4]}}, None, "3=a%22b%26c+%3C%C3%A9%3E&n=3&n=4"),
    ],
)  # fmt: skip
def test_values_fill_bodies_in_the_encoding_of_the_place(body, kind, expected: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    used = {"X-S": "{s}", "X-Q": "{q}"}
    request = request_of(body=body, values=VALUES, headers={**headers, **used})
    assert body_renderer(request, VALUES.keys(), Random(1))(DRAWN).decode() == expected


@pytest.mark.parametrize("file", [{"size_bytes": 5_000}, {"size_bytes": 0, "filename": 'a"b.bin'}])
def test_a_multipart_body_is_what_its_fields_say(file) -> None:
    fields = {"user": "{s}", "n": ["{q}", 7]}
    request = request_of(body={"multipart": {"fields": fields, "file": file}}, values=VALUES)
    made = body_renderer(request, VALUES.keys(), Random(1))(DRAWN)
    kind = content_type(request)
    assert kind is not None
    message = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + kind.encode() + b"\n\n" + made
    )
    parts = [(part.get_param("name", header="content-disposition"), part.get_payload(decode=True))
             for part in message.iter_parts()]  # fmt: skip
    assert parts[:3] == [("user", TEXT.encode()), ("n", b"3"), ("n", b"7")]
    name, content = parts[3]
    assert (name, len(content)) == ("file", file["size_bytes"])
    assert b'filename="' + file.get("filename", "file.bin").replace('"', "%22").encode() in made
