"""What is expected of a body, and what is told where it is another."""

import pytest

from control_plane.domain.request_bodies_and_values import Expectation, SizeRange
from control_plane.load.content_check import content_checks

OBJECT = b'{"items": [{"id": 7, "a.b": null}], "total": 1, "ok": true}'
LONG = "x" * 10_000


def unmet(expect: Expectation, body: bytes, **values: int | str) -> str:
    make = content_checks(expect, values)
    assert make is not None
    return make(values).unmet(body, len(body))


@pytest.mark.parametrize("expect", [None, Expectation(), Expectation(statuses=(404,))])
def test_nothing_is_checked_where_nothing_is_expected(expect: Expectation | None) -> None:
    assert content_checks(expect, ()) is None


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [
        (0, None, ""),
        (5, 5, ""),
        (1, 5, ""),
        (6, None, "expected at least 6 bytes, 5 came"),
        (0, 4, "expected 0 to 4 bytes, 5 came"),
        (1_000, 2_000, "expected 1,000 to 2,000 bytes, 5 came"),
        (1, 1, "expected 1 byte, 5 came"),
    ],
)
def test_sizes(low: int, high: int | None, told: str) -> None:
    assert unmet(Expectation(size_bytes=SizeRange(low, high)), b"hello") == told


@pytest.mark.parametrize(
    ("text", "body", "told"),
    [
        ("ell", b"hello", ""),
        ("größe", "die größe".encode(), ""),
        ("yes", b"no", "the body does not hold the expected text 'yes'"),
        ("a", b"", "the body does not hold the expected text 'a'"),
        ("a", b"\x1f\x8bxyz", "the body (it is packed with gzip) does not hold"),
        (LONG, b"y", f"the expected text '{LONG}'"),
    ],
)
def test_texts(text: str, body: bytes, told: str) -> None:
    found = unmet(Expectation(text=text), body)
    assert told in found if told else not found


@pytest.mark.parametrize(
    ("key", "body", "told"),
    [
        ("items", OBJECT, ""),
        ("items.0", OBJECT, ""),
        ("items.0.id", OBJECT, ""),
        ("items.0.a.b", OBJECT, ""),
        ("0", b"[null]", ""),
        ("item", OBJECT, "it is an object with items, total, ok"),
        ("items.1", OBJECT, "items is a list of 1"),
        ("items.x", OBJECT, "items is a list of 1"),
        (f"items.{'9' * 5_000}", OBJECT, "items is a list of 1"),
        ("items.0.id.b", OBJECT, "items.0.id is a number"),
        ("ok.a", OBJECT, "ok is true"),
        ("a", b"{}", "it is an empty object"),
        ("a", b"null", "it is null"),
        ("a", b'"text"', "it is a text"),
        ("a", b"<html>", "the body is no JSON"),
        ("a", b"", "the body is empty"),
    ],
)
def test_keys(key: str, body: bytes, told: str) -> None:
    expected = f"expected the JSON key {key}: {told}" if told else ""
    assert unmet(Expectation(json_key=key), body) == expected


def test_all_must_be_as_expected() -> None:
    expect = Expectation(size_bytes=SizeRange(1), text="total", json_key="items")
    assert unmet(expect, OBJECT) == ""
    assert "text" in unmet(expect, b'{"items": []}')
    assert "key" in unmet(expect, b'{"total": 0}')
    assert "at least 1 byte" in unmet(expect, b"")


def test_values_of_the_request_stand_in_what_is_expected() -> None:
    expect = Expectation(text='"id": {n}', json_key="{kind}.0")
    assert unmet(expect, OBJECT, n=7, kind="items") == ""
    assert "'\"id\": 8'" in unmet(expect, OBJECT, n=8, kind="items")
    assert unmet(Expectation(text="{{n}}"), b"{n}", n=8) == ""
