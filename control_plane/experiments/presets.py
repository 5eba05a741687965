"""What a new run can begin from, and the questions of the home page: presets.toml as documents."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from control_plane.domain.errors import NotFound
from control_plane.domain.spec_json import Document

TRIALS, WINDOW_S = 3, 5
"""What a run has that nothing else was said of."""


@dataclass(frozen=True)
class Preset:
    name: str
    about: str
    document: Document


@dataclass(frozen=True)
class Arm:
    """One run of a question; `document` is its spec."""

    name: str
    document: Document


@dataclass(frozen=True)
class Question:
    """Its runs carry `slug` as a tag; the first arm is the baseline."""

    slug: str
    title: str
    teaches: str
    arms: tuple[Arm, ...]


@dataclass(frozen=True)
class PresetCatalogue:
    presets: tuple[Preset, ...]
    questions: tuple[Question, ...]

    def preset(self, name: str) -> Preset:
        """Raises NotFound."""
        for one in self.presets:
            if one.name == name:
                return one
        raise NotFound(f"There is no preset {name[:40]}.")

    def question(self, slug: str) -> Question:
        """Raises NotFound."""
        for one in self.questions:
            if one.slug == slug:
                return one
        raise NotFound(f"There is no question {slug[:40]}.")


@cache
def preset_catalogue() -> PresetCatalogue:
    document = tomllib.loads((Path(__file__).parent / "presets.toml").read_text(encoding="utf-8"))
    presets = tuple(
        Preset(one["name"], one["about"], document_of(one, {})) for one in document["preset"]
    )
    return PresetCatalogue(presets, tuple(_questions(document["question"])))


def _questions(given: list[Document]) -> Iterator[Question]:
    for one in given:
        arms = tuple(Arm(arm["name"], _named(one, arm)) for arm in one["arms"])
        yield Question(one["slug"], one["title"], one["teaches"], arms)


def _named(question: Document, arm: Document) -> Document:
    title = f"{question['stream']['name']}, {arm['name']}"
    return document_of(question, arm) | {"title": title, "tags": [question["slug"]]}


def document_of(given: Document, arm: Document) -> Document:
    """`given` has a `stream`, or several `streams`, and perhaps `trials`.

    `arm` is what a run of a question has of its own; its `request` and `load` are of each stream.
    """
    own: Document = {key: arm[key] for key in ("request", "load") if key in arm}
    streams = [_stream(_over(one, own)) for one in given.get("streams") or [given["stream"]]]
    rest: Document = {key: arm[key] for key in ("target", "client") if key in arm}
    trials = given.get("trials", TRIALS)
    return {**rest, "workload": {"streams": streams}, "trials": trials}


def _stream(given: Document) -> Document:
    """One `request`, or several `requests`."""
    return {
        "name": given["name"],
        "requests": given.get("requests") or [given["request"]],
        "load": {"model": "closed"} | given.get("load", {}),
        "stop": given.get("stop", {"duration_s": WINDOW_S}),
        "start_after_s": given.get("start_after_s", 0),
    }


def _over(base: Mapping[str, Any], patch: Mapping[str, Any]) -> Document:
    """Tables are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in patch.items():
        known = merged.get(key)
        both = isinstance(known, dict) and isinstance(value, dict)
        merged[key] = _over(known or {}, value) if both else value
    return merged
