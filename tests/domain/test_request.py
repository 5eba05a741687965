import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.request import (
    Placeholder,
    escaped,
    placeholder_names,
    spaced_names,
    template_parts,
)

N = Placeholder("n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{n}", [N]),
        ("a{n}b{n}", ["a", N, "b", N]),
        ("{{n}}", ["{n}"]),
        ("{{{n}}}", ["{", N, "}"]),
        ("{{{{n}}}}", ["{{n}}"]),
        ('{"a":{"b":{n}}}', ['{"a":{"b":', N, "}}"]),
        ("{{n}:1}", ["{", N, ":1}"]),
        ('{"a": {"b": 1}}', ['{"a": {"b": 1}}']),
        ("{ users { id } }", ["{ users { id } }"]),
        ("a{b", ["a{b"]),
        ("a}b", ["a}b"]),
        ("{user-id}", [Placeholder("user-id")]),
        ("", []),
    ],
)
def test_parts_of_a_text(text: str, expected: list[str | Placeholder]) -> None:
    assert joined(text) == expected


def joined(text: str) -> list[str | Placeholder]:
    found: list[str | Placeholder] = []
    for part in template_parts(text):
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part:
            found.append(part)
    return found


@given(st.text("{}n a", max_size=30))
def test_an_escaped_text_stands_for_itself(text: str) -> None:
    assert joined(escaped(text)) == ([text] if text else [])


def test_names() -> None:
    assert placeholder_names("{a}{b}{{c}}{a}") == ("a", "b")
    assert spaced_names("{ a }{b }{ c}{d}{ e f }") == ("a", "b", "c")
