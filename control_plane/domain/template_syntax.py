"""The syntax of texts with placeholders: `{name}` stands for a value, `{{name}}` for itself.

A run of braces around a name is read from inside: `{{{name}}}` is the value in braces. Other
braces (JSON, code) stand for themselves.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_BRACED = re.compile(r"(\{+)([^\s{}\"',:;=()\[\]\\]{1,60})(\}+)")
_SPACED = re.compile(r"\{(?:\s+([A-Za-z_]\w*)\s*|([A-Za-z_]\w*)\s+)\}", re.ASCII)


@dataclass(frozen=True)
class Placeholder:
    """What stands between braces; whether a value has that name is another matter."""

    name: str


def parts(text: str) -> Iterator[str | Placeholder]:
    """Yield the text in its order: literal parts, with `{{` and `}}` undone, and placeholders."""
    end = 0
    for found in _BRACED.finditer(text):
        opening, name, closing = found.groups()
        both = min(len(opening), len(closing))
        yield text[end : found.start()] + opening[both:] + opening[: both // 2]
        yield Placeholder(name) if both % 2 else name
        yield closing[: both // 2] + closing[both:]
        end = found.end()
    yield text[end:]


def names(text: str) -> tuple[str, ...]:
    """Return what stands between braces as a placeholder, each once, in the order of the text."""
    found = (part.name for part in parts(text) if isinstance(part, Placeholder))
    return tuple(dict.fromkeys(found))


def spaced_names(text: str) -> tuple[str, ...]:
    """Return the names that have braces around them, but blanks between: `{ name }`."""
    return tuple(found[1] or found[2] for found in _SPACED.finditer(text))


def escaped(text: str) -> str:
    """Return a text that stands for `text` as it is."""

    def doubled(found: re.Match[str]) -> str:
        both = min(len(found[1]), len(found[3]))
        return "{" * both + found[0] + "}" * both

    return _BRACED.sub(doubled, text)
