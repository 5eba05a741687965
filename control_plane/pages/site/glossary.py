"""The words of the product, each explained once: on /glossary and in the tooltips."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from control_plane.pages.site.view import View


@dataclass(frozen=True)
class Term:
    """`key` is its anchor on the page."""

    key: str
    name: str
    meaning: str


@dataclass(frozen=True)
class TermGroup:
    title: str
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class GlossaryPage(View):
    template: ClassVar[str] = "pages/glossary.html"
    groups: tuple[TermGroup, ...]


@cache
def groups() -> tuple[TermGroup, ...]:
    document = tomllib.loads((Path(__file__).parent / "glossary.toml").read_text(encoding="utf-8"))
    return tuple(
        TermGroup(group["title"], tuple(Term(**term) for term in group["terms"]))
        for group in document["group"]
    )


def term(key: str) -> Term:
    """Raises KeyError for what is not in the glossary."""
    for group in groups():
        for known in group.terms:
            if known.key == key:
                return known
    raise KeyError(key)
