"""Responses read in any pieces, at once or remembered, are the same response."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.endless_responses import UntilBytes
from control_plane.load.responses import Reading
from control_plane.load.strategies.raw_response import InvalidResponse, ResponseHead, ResponseParser

LIMIT = 1_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
)
TRAILED = CHUNKED.removesuffix(b"\r\n") + b"Content-Type: text/plain\r\nX: y\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
CLOSING = b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"

# The bytes; status, length of the body, whether the connection is kept.
WHOLE = {
    OK: (200, 5, True),
    CHUNKED: (200, 5, True),
    TRAILED: (200, 5, True),
    HINTS + OK: (200, 5, True),
    HINTS + HINTS + EMPTY: (204, 0, True),
    EMPTY: (204, 0, True),
    CLOSING: (404, 2, False),
    OLD: (200, 5, False),
}
cuts = st.lists(st.integers(1, 200), max_size=4)


def pieces(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({place for place in places if place < len(data)} | {len(data)})
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


@given(st.sampled_from(list(WHOLE)), cuts)
def test_pieces_make_no_difference(data: bytes, places: list[int]) -> None:
    parser = ResponseParser({}, LIMIT)
    told = [parser.feed(piece) for piece in pieces(data, places)]
    assert told == [False] * (len(told) - 1) + [True]
    assert (parser.status, parser.received, parser.kept) == WHOLE[data]


@given(st.lists(st.tuples(st.sampled_from(list(WHOLE)), cuts), max_size=12))
def test_what_was_read_before_changes_nothing(answers: list[tuple[bytes, list[int]]]) -> None:
    parser = ResponseParser({}, LIMIT)
    for data, places in answers:
        assert [parser.feed(piece) for piece in pieces(data, places)][-1]
        assert (parser.status, parser.received, parser.kept) == WHOLE[data]


def test_a_head_is_remembered_only_of_a_whole_kept_answer() -> None:
    heads: dict[bytes, ResponseHead] = {}
    for data in WHOLE:
        ResponseParser(heads, LIMIT).feed(data)
    assert set(heads) == {OK.removesuffix(b"hello"), EMPTY}
    assert heads[EMPTY] == ResponseHead(204, 0, kept=True)


def test_a_remembered_head_with_another_body_is_read_as_it_is() -> None:
    heads: dict[bytes, ResponseHead] = {}
    ResponseParser(heads, LIMIT).feed(OK)
    short = ResponseParser(heads, LIMIT)
    assert not short.feed(OK[:-2])
    assert short.closed() == "truncated"
    assert short.feed(OK[-2:])
    long = ResponseParser(heads, LIMIT)
    assert long.feed(OK + b"more")
    assert (long.received, long.kept) == (5, False)


def test_an_answer_to_head_has_no_body_whatever_it_says() -> None:
    heads: dict[bytes, ResponseHead] = {}
    ResponseParser(heads, LIMIT).feed(OK)
    parser = ResponseParser(heads, LIMIT)
    parser.without_body()
    assert parser.feed(OK.removesuffix(b"hello"))
    assert (parser.status, parser.received, parser.kept) == (200, 0, True)
    assert parser.feed(OK)
    assert parser.received == 5


def test_a_body_in_the_answer_to_head_is_not_its_and_ends_the_connection() -> None:
    parser = ResponseParser({}, LIMIT)
    parser.without_body()
    assert parser.feed(OK)
    assert (parser.status, parser.received, parser.kept) == (200, 0, False)


def test_a_body_of_known_length_ends_there_in_whatever_piece_it_does() -> None:
    parser = ResponseParser({}, LIMIT)
    parser.keeps_body = True
    told = [parser.feed(piece) for piece in (OK[:-3], OK[-3:-1], OK[-1:] + b"more")]
    assert told == [False, False, True]
    assert (parser.received, bytes(parser.body), parser.kept) == (5, b"hello", False)


@pytest.mark.parametrize("data", [OK, CHUNKED])
def test_reading_ends_within_a_body_and_with_it_the_connection(data: bytes) -> None:
    for bytes_read, received, kept in ((4, 4, False), (5, 5, False), (6, 5, True)):
        parser = ResponseParser({}, LIMIT)
        parser.reading = Reading(UntilBytes(bytes_read))
        ended = [parser.feed(data[place : place + 1]) for place in range(len(data))]
        assert True in ended
        assert (parser.received, parser.kept) == (received, kept)


def test_memory_of_heads_is_bounded() -> None:
    heads: dict[bytes, ResponseHead] = {}
    parser = ResponseParser(heads, LIMIT)
    for number in range(1_000):
        parser.feed(b"HTTP/1.1 200 OK\r\nX: %d\r\nContent-Length: 0\r\n\r\n" % number)
        assert len(heads) <= 256


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + bytes(1_001), "body_too_large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "protocol"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "protocol"),
        (b"X: y\r\n\r\n", "protocol"),
    ],
)
def test_broken_answers_have_a_class(data: bytes, kind: str) -> None:
    with pytest.raises(InvalidResponse) as broken:
        ResponseParser({}, LIMIT).feed(data)
    assert broken.value.kind == kind


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "disconnected"),
        (b"HTTP/1.1 200 O", "disconnected"),
        (HINTS, "disconnected"),
        (OK[:-1], "truncated"),
        (CHUNKED[:-1], "truncated"),
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", None),
    ],
)
def test_the_end_of_the_connection(data: bytes, kind: str | None) -> None:
    parser = ResponseParser({}, LIMIT)
    assert not (data and parser.feed(data))
    assert parser.closed() == kind
