"""The tokens of the style sheets: colours that can be told apart, and the sizes of type.

Contrast as WCAG 2.2 defines it: 4.5 for text, 3 for marks and borders of fields.
"""

import math
import re
from collections.abc import Sequence
from itertools import combinations

import numpy as np
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


def channel(colour: str, at: int) -> float:
    part = int(colour[at : at + 2], 16) / 255
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4


def luminance(colour: str) -> float:
    red, green, blue = (channel(colour, at) for at in (1, 3, 5))
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


SEEN_BY = {
    "all colours": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
"""What linear red, green and blue look like (Machado, Oliveira and Fernandes 2009, severity 1)."""

LEAST_APART = 0.08
"""In Oklab, in which black and white are 1 apart."""


def oklab(colour: str, seen: Sequence[Sequence[float]]) -> list[float]:
    """A colour as somebody sees it, in Ottosson's Oklab."""
    linear = np.array([channel(colour, at) for at in (1, 3, 5)])
    to_cones = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    cones = np.cbrt(np.array(to_cones) @ np.clip(np.array(seen) @ linear, 0, 1))
    return list(np.array(to_lab) @ cones)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("eyes", SEEN_BY)
def test_everybody_can_tell_the_colours_of_runs_apart(eyes: str, scheme: int) -> None:
    colours = [oklab(TOKENS[f"run-{run}"][scheme], SEEN_BY[eyes]) for run in range(1, 7)]
    apart = {
        (first + 1, second + 1): math.dist(colours[first], colours[second])
        for first, second in combinations(range(6), 2)
    }
    assert min(apart.values()) >= LEAST_APART, apart


def test_sizes_of_type_are_tokens() -> None:
    sheets = sorted((ROOT / "static/css").glob("*.css"))
    found = [
        f"{sheet.name}: {match}"
        for sheet in sheets
        for match in re.findall(r"font(?:-size)?: [^;]*;", sheet.read_text())
        if re.search(r"(?<!/)\b\d+px", match)
    ]
    assert found == []
