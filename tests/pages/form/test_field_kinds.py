import pytest

from control_plane.pages.form import FormData
from control_plane.pages.form.field_types import FormParser


def answers(text: str) -> FormParser:
    return FormParser(FormData({"f": (text,)}))


@pytest.mark.parametrize(
    ("text", "number"), [("3", 3), (" 3 ", 3), ("-1", -1), ("0.5", 0.5), ("9" * 30, int("9" * 30))]
)
def test_numbers(text: str, number: float) -> None:
    read = answers(text)
    assert read.number("f") == number
    assert type(read.number("f")) is type(number)
    assert read.wrong == []


@pytest.mark.parametrize(
    "text",
    ["", "x", "1_0", "1e400", "NaN", "٣", "1,5", "+1", "0x10", "9" * 5_000, "1.", "true", "-"],
)
def test_what_is_no_number_is_told_at_the_field(text: str) -> None:
    read = answers(text)
    assert read.number("f") == text
    (wrong,) = read.wrong
    assert wrong.field == "f"
    assert "number" in wrong.message
    assert len(wrong.message) < 80


def test_json() -> None:
    assert answers('{"a": [1, "{id}"]}').json("f") == {"a": [1, "{id}"]}


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "NaN", "[" * 100_000])
def test_unreadable_json_is_told_at_the_field(text: str) -> None:
    read = answers(text)
    read.json("f")
    assert [error.field for error in read.wrong] == ["f"]


def test_headers_stand_one_on_each_line() -> None:
    assert answers("Accept: */*\r\n\r\nX-Id:a:b").headers("f") == {"Accept": "*/*", "X-Id": "a:b"}


def test_a_header_without_a_colon_is_told() -> None:
    read = answers("Accept")
    read.headers("f")
    assert "colon" in read.wrong[0].message


def test_statuses() -> None:
    assert answers("200, 201 404").statuses("f") == [200, 201, 404]
    assert answers(" ").statuses("f") is None
    read = answers("2xx")
    read.statuses("f")
    assert read.wrong
