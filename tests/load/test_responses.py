"""What is expected of a body, and what is told where it is another."""

import pytest

from control_plane.domain.endless_responses import Until, UntilBytes, UntilEvent, UntilSeconds
from control_plane.domain.request import Expectation, SizeRange
from control_plane.load.responses import FirstByte, Reading, UserCookies, content_checks, cookie_of

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


@pytest.mark.parametrize(
    ("until", "pieces", "received", "ended"),
    [
        (UntilBytes(5), [b"abc", b"defg"], 5, True),
        (UntilBytes(3), [b"abc"], 3, True),
        (UntilBytes(9), [b"abc"], 3, False),
        (UntilEvent(1), [b"data: 1\n\n"], 9, True),
        (UntilEvent(1), [b"data: 1\n", b"\ndata: 2\n\n"], 9, True),
        (UntilEvent(2), [b"data: 1\n\nda", b"ta: 2\n\n"], 18, True),
        (UntilEvent(1), [b": ping\n\n", b"event: a\n\n"], 18, False),
        (UntilEvent(1), [b"data\r", b"\n\r", b"\n"], 7, True),
        (UntilEvent(1), [b"data:1\r\r"], 8, True),
        (UntilEvent(1), [b"\xef\xbb\xbfdata: 1\n\n"], 12, True),
        (UntilEvent(1), [b"database: 1\n\n"], 13, False),
        (UntilEvent(1), [b"data: " + b"x" * 100_000, b"\n\n"], 100_008, True),
    ],
)
def test_reading_ends_behind_what_it_is_to_read(
    until: Until, pieces: list[bytes], received: int, ended: bool
) -> None:
    reading = Reading(until)
    reading.begin(1_000)
    assert reading.left_s(1_000) is None
    for piece in pieces:
        reading.add(piece)
    assert (reading.received, reading.ended) == (received, ended)
    assert bool(reading.missed) is (isinstance(until, UntilEvent) and not ended)


def test_reading_for_a_time_begins_with_the_head() -> None:
    reading = Reading(UntilSeconds(1.5))
    reading.begin(1_000_000_000)
    assert reading.left_s(2_000_000_000) == 0.5
    assert reading.left_s(9_000_000_000) == 0
    assert not reading.add(b"whatever comes")
    reading.end()
    assert (reading.ended, reading.received, reading.missed) == (True, 14, "")


def jar(*found: str, path: str = "/shop/cart", host: str = "localhost:8000") -> UserCookies:
    cookies = UserCookies("http://127.0.0.1:8000", host)
    cookies.take(path, [(b"Set-Cookie", text.encode()) for text in found])
    return cookies


@pytest.mark.parametrize(
    ("found", "asked", "sent"),
    [
        (("a=1; Path=/", "b=2"), "/shop/pay?x=1", "b=2; a=1"),
        (("a=1",), "/other", ""),
        (("a=1; Path=/; Secure; HttpOnly; SameSite=Strict",), "/", "a=1"),
        (("a=1; Path=/; Domain=localhost",), "/", "a=1"),
        (("a=1; Path=/; Domain=example.com",), "/", ""),
        (("a=1; Path=/", "a=2; Path=/"), "/", "a=2"),
        (("a=1; Path=/", "a=; Path=/; Max-Age=0"), "/", ""),
        (("a=1; Path=/; Max-Age=60",), "/", "a=1"),
        (("a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",), "/", ""),
    ],
)
def test_what_goes_back(found: tuple[str, ...], asked: str, sent: str) -> None:
    assert jar(*found).header(asked) == sent


def test_an_answer_replaces_what_was_sent_before() -> None:
    cookies = jar("a=1; Path=/")
    assert cookies.header("/") == cookies.header("/") == "a=1"
    cookies.take("/", [(b"content-type", b"text/plain")])
    assert cookies.header("/") == "a=1"
    cookies.take("/", [(b"set-cookie", b"a=2; Path=/")])
    assert cookies.header("/") == "a=2"
    assert cookies.texts == {"1", "2"}
    assert jar("a=1; Path=/", host="").header("/") == "a=1"


@pytest.mark.parametrize(("url", "sent"), [
    ("http://127.0.0.1:8000", "b=2; a=1"), ("http://[::1]:8000", "b=2; a=1"),
    ("http://192.0.2.7:8000", "b=2"), ("https://192.0.2.7:8000", "b=2; a=1"),
])  # fmt: skip
def test_secure_cookies_go_over_plain_http_to_loopback_alone(url: str, sent: str) -> None:
    cookies = UserCookies(url, "localhost:8000")
    cookies.keep("/", ["a=1; Path=/; Secure", "b=2; Path=/"])
    assert sorted(cookies.header("/").split("; ")) == sorted(sent.split("; "))


def test_name_and_value() -> None:
    assert cookie_of('sid="a b=c"; Path=/; HttpOnly') == ("sid", "a b=c")


@pytest.mark.parametrize(
    ("pieces", "begins"),
    [
        ([b"HTTP/1.1 200 OK\r\n", b"\r\n"], [True]),
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], [True]),
        ([b"HTTP/1.1 101 Switching Protocols\r\n\r\n"], [True]),
        ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"], [True]),
        ([b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK"], [False, True]),
        ([b"HTTP/1.1 103 Early Hints\r\nLi", b"nk: <a>\r\n\r\n", b"HT"], [False, False, True]),
        ([b"H", b"TTP/1.1 20", b"0 OK\r\n"], [True, False, False]),
        ([b"HTTP/1.1 1", b"00 Continue\r\n\r\n", b"HTTP/1.1 200 OK"], [True, False, True]),
        ([b"SSH-2.0-OpenSSH_9.2p1\r\n"], [True]),
    ],
)
def test_an_answer_begins_with_its_first_byte_past_interim_responses(
    pieces: list[bytes], begins: list[bool]
) -> None:
    first = FirstByte()
    looked = [first.begins_in(piece) for piece in pieces if not first.found]
    assert looked == begins[: len(looked)]
    assert first.found is (pieces[-1] != b"HT")
    first.restart()
    assert first.begins_in(b"HTTP/1.1 200 OK")
