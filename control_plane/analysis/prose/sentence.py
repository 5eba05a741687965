"""Sentences in parts, so that a template can mark runs and numbers in them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from control_plane.analysis.run_labels import RunLabel
from control_plane.domain.units import SPACE, figures


@dataclass(frozen=True)
class Part:
    """Text; a `run`, underlined in its colour (`run` is set); or a `number`, which never breaks."""

    text: str
    kind: Literal["text", "run", "number"] = "text"
    run: RunLabel | None = None


Sentence = tuple[Part, ...]


def sentence(*parts: str | Part | RunLabel | Iterable[str | Part | RunLabel]) -> Sentence:
    """Join words, runs and sentences in order."""
    found: list[Part] = []
    for one in parts:
        if isinstance(one, str):
            found.append(Part(one))
        elif isinstance(one, Part):
            found.append(one)
        elif isinstance(one, RunLabel):
            found.append(Part(one.text, "run", one))
        else:
            found.extend(sentence(*one))
    return tuple(found)


def listed_runs(labels: Sequence[RunLabel]) -> Sentence:
    """`A`, `A and B`, `A, B and C`."""
    *first, last = labels
    if not first:
        return sentence(last)
    parts = [part for label in first for part in (", ", label)]
    return sentence(*parts[1:], " and ", last)


def number(text: str) -> Part:
    return Part(text.replace(" ", SPACE), "number")


def plain_text(parts: Sentence) -> str:
    """The words alone: for the title of the page and for screen readers."""
    return "".join(part.text for part in parts)


def factor_text(ratio: float) -> Part:
    """`7.5 times`; with three figures near one, where two would say nothing, and from 100 on."""
    close = 0.9 < ratio < 1.1
    return number(f"{figures(ratio, 3 if close or ratio >= 100 else 2)} times")


def joined(words: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
