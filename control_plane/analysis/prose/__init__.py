"""Results in words: sentences in parts, so that a template can mark runs and numbers in them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from control_plane.analysis.run_labels import RunLabel
from control_plane.domain.units import SPACE, figures, is_turned


@dataclass(frozen=True)
class Part:
    """Text; a `run`, underlined in its colour (`run` is set); or a `number`, which never breaks."""

    text: str
    kind: Literal["text", "run", "number"] = "text"
    run: RunLabel | None = None


Sentence = tuple[Part, ...]


def sentence(*parts: str | Part | RunLabel | Iterable[str | Part | RunLabel]) -> Sentence:
    """Join texts, runs and sentences in order."""
    joined_parts: list[Part] = []
    for part in parts:
        if isinstance(part, str):
            joined_parts.append(Part(part))
        elif isinstance(part, Part):
            joined_parts.append(part)
        elif isinstance(part, RunLabel):
            joined_parts.append(Part(part.text, "run", part))
        else:
            joined_parts.extend(sentence(*part))
    return tuple(joined_parts)


def listed_runs(labels: Sequence[RunLabel]) -> Sentence:
    """Return the runs as `A`, `A and B`, `A, B and C`."""
    *first, last = labels
    if not first:
        return sentence(last)
    parts = [part for label in first for part in (", ", label)]
    return sentence(*parts[1:], " and ", last)


def number(text: str) -> Part:
    """Return a number with its unit, between which no line breaks."""
    return Part(text.replace(" ", SPACE), "number")


def plain_text(parts: Sentence) -> str:
    """Return the text alone: for the title of the page and for screen readers."""
    return "".join(part.text for part in parts)


def factor_text(ratio: float) -> Part:
    """Return `7.5 times`, or `17 %` below 1; what follows is of that whole.

    With three figures near 1, where two would say nothing, and from 100 times.
    """
    count = 3 if 0.9 < ratio < 1.1 or ratio >= 100 else 2
    return number(
        f"{figures(100 * ratio, count)} %" if is_turned(ratio) else f"{figures(ratio, count)} times"
    )


def joined(words: Iterable[str]) -> str:
    """Return the words as `a`, `a and b`, `a, b and c`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|@~&-])")


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
