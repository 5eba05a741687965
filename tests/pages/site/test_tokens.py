"""The tokens of the style sheets: colours that can be told apart, and the sizes of type.

Contrast as WCAG 2.2 defines it: 4.5 for text, 3 for marks and borders of fields.
"""

import re

import pytest

from scripts.budget import ROOT

TEXT = ("ink", "ink-2", "ink-3", "good", "bad", "warn", "cause", "focus")
MARKS = ("field", *(f"run-{number}" for number in range(1, 7)))
PAIRS = re.compile(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
SAME = re.compile(r"--([a-z0-9-]+): var\(--([a-z0-9-]+)\)")


def tokens() -> dict[str, tuple[str, str]]:
    source = (ROOT / "static/css/tokens.css").read_text()
    found = {name: (light, dark) for name, light, dark in PAIRS.findall(source)}
    same = {name: found[other] for name, other in SAME.findall(source) if other in found}
    return found | same


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(colour: str, other: str) -> float:
    low, high = sorted((luminance(colour), luminance(other)))
    return (high + 0.05) / (low + 0.05)


TOKENS = tokens()


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", [*TEXT, *(f"run-{number}-text" for number in range(1, 7))])
def test_text_can_be_read_on_paper(name: str, scheme: int) -> None:
    assert contrast(TOKENS[name][scheme], TOKENS["paper"][scheme]) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("name", MARKS)
def test_marks_and_fields_can_be_seen_on_paper(name: str, scheme: int) -> None:
    assert contrast(TOKENS[name][scheme], TOKENS["paper"][scheme]) >= 3


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("name", "ground"),
    [
        ("bad", "bad-bg"),
        ("warn", "warn-bg"),
        ("ink", "bad-bg"),
        ("ink", "warn-bg"),
        ("ink-2", "well"),
        ("ink-2", "well-2"),
        ("ink-3", "well"),
        ("paper", "ink"),
        ("paper", "ink-2"),
        ("paper", "bad"),
    ],
)
def test_text_can_be_read_on_its_ground(name: str, ground: str, scheme: int) -> None:
    assert contrast(TOKENS[name][scheme], TOKENS[ground][scheme]) >= 4.5


def test_the_contrast_of_black_and_white() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)


def test_sizes_of_type_are_tokens() -> None:
    sheets = sorted((ROOT / "static/css").glob("*.css"))
    found = [
        f"{sheet.name}: {match}"
        for sheet in sheets
        for match in re.findall(r"font(?:-size)?: [^;]*;", sheet.read_text())
        if re.search(r"(?<!/)\b\d+px", match)
    ]
    assert found == []
