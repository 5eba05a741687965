"""The words of the product, each explained once: on /glossary and in the tooltips."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from control_plane.pages.site.view import View


@dataclass(frozen=True)
class Word:
    """`key` is its anchor on the page."""

    key: str
    name: str
    meaning: str


@dataclass(frozen=True)
class WordGroup:
    title: str
    words: tuple[Word, ...]


@dataclass(frozen=True)
class GlossaryPage(View):
    template: ClassVar[str] = "pages/glossary.html"
    groups: tuple[WordGroup, ...]


@cache
def groups() -> tuple[WordGroup, ...]:
    document = tomllib.loads((Path(__file__).parent / "words.toml").read_text(encoding="utf-8"))
    return tuple(
        WordGroup(one["title"], tuple(Word(**word) for word in one["words"]))
        for one in document["group"]
    )


def word(key: str) -> Word:
    """Raises KeyError for what is not in the glossary."""
    for group in groups():
        for one in group.words:
            if one.key == key:
                return one
    raise KeyError(key)
