"""The words of the product, each explained once: on /glossary and in the tooltips."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


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


@cache
def groups() -> tuple[TermGroup, ...]:
    """Return all terms, in the order of the page."""
    document = tomllib.loads((Path(__file__).parent / "glossary.toml").read_text(encoding="utf-8"))
    return tuple(
        TermGroup(group["title"], tuple(Term(**term) for term in group["terms"]))
        for group in document["group"]
    )


def term(key: str) -> Term:
    """Return the term of that key. Raises KeyError for what is not in the glossary."""
    for group in groups():
        for known in group.terms:
            if known.key == key:
                return known
    raise KeyError(key)
