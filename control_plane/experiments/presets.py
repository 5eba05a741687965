"""What a run can begin from, as documents.

Presets and the questions of the home page stand in presets.toml, the endpoints of the bundled
application with their request classes in workloads.toml; and a curl command is a spec.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from control_plane.domain.errors import NotFound
from control_plane.domain.experiment import laid_over
from control_plane.domain.spec_json import Document
from control_plane.experiments.pasted_requests import read_pasted

TRIALS, PRESET_WINDOW_S = 3, 5
"""The trials and the seconds of a run that says nothing else."""


@dataclass(frozen=True)
class Preset:
    """A spec that the form can begin with."""

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
    """A comparison that one click starts: runs with `slug` as a tag. The first is the baseline."""

    slug: str
    title: str
    teaches: str
    arms: tuple[Arm, ...]


@dataclass(frozen=True)
class PresetCatalogue:
    """All of presets.toml."""

    presets: tuple[Preset, ...]
    questions: tuple[Question, ...]

    def preset(self, name: str) -> Preset:
        """Return the preset of that name. Raises NotFound."""
        for preset in self.presets:
            if preset.name == name:
                return preset
        raise NotFound(f"There is no preset {name[:40]}.")

    def question(self, slug: str) -> Question:
        """Return the question of that slug. Raises NotFound."""
        for question in self.questions:
            if question.slug == slug:
                return question
        raise NotFound(f"There is no question {slug[:40]}.")


@cache
def preset_catalogue() -> PresetCatalogue:
    """Return what presets.toml holds, read once."""
    document = tomllib.loads((Path(__file__).parent / "presets.toml").read_text(encoding="utf-8"))
    presets = tuple(
        Preset(table["name"], table["about"], document_of(table, {}))
        for table in document["preset"]
    )
    return PresetCatalogue(presets, tuple(_question(table) for table in document["question"]))


Variant = Literal["quick", "full"]
BLOCKS: dict[Variant, int] = {"quick": 4, "full": 10}
"""The declared maximum of blocks of a bundled experiment."""


def bundled_experiment(question: Question, variant: Variant) -> Document:
    """Return the document of the experiment that a question asks, its arms interleaved."""
    arms = [{"name": arm.name, "spec": _untitled(arm.document)} for arm in question.arms]
    common = {"question": question.title, "blocks": BLOCKS[variant], "control": variant == "full"}
    return {**common, "arms": arms}


def _untitled(spec: Document) -> Document:
    """Return a spec without what an experiment says itself."""
    return {key: value for key, value in spec.items() if key not in {"title", "tags", "trials"}}


def _question(table: Document) -> Question:
    arms = tuple(Arm(arm["name"], _named(table, arm)) for arm in table["arms"])
    return Question(table["slug"], table["title"], table["teaches"], arms)


def _named(question: Document, arm: Document) -> Document:
    title = f"{question['stream']['name']}, {arm['name']}"
    return document_of(question, arm) | {"title": title, "tags": [question["slug"]]}


def document_of(given: Document, arm: Document) -> Document:
    """Return a spec. `given` has a `stream`, or several `streams`, and perhaps `trials`.

    `arm` is what a run of a question has of its own; its `request` and `load` are of each stream.
    """
    own: Document = {key: arm[key] for key in ("request", "load") if key in arm}
    given_streams = given.get("streams") or [given["stream"]]
    streams = [_stream(laid_over(stream, own)) for stream in given_streams]
    rest: Document = {key: arm[key] for key in ("target", "client") if key in arm}
    trials = given.get("trials", TRIALS)
    return {**rest, "workload": {"streams": streams}, "trials": trials}


def _stream(given: Document) -> Document:
    """Return a stream of the spec. `given` has one `request`, or several `requests`."""
    return {
        "name": given["name"],
        "requests": given.get("requests") or [given["request"]],
        "load": {"model": "closed"} | given.get("load", {}),
        "stop": given.get("stop", {"duration_s": PRESET_WINDOW_S}),
        "start_after_s": given.get("start_after_s", 0),
    }


@dataclass(frozen=True)
class Endpoint:
    """An endpoint with its request class, `request`, whose path may fix a part of `path`.

    `document` is a spec that asks for it with the users of its workload.
    """

    method: str
    path: str
    aliases: tuple[str, ...]
    does: str
    request: Document
    document: Document

    @property
    def name(self) -> str:
        """`GET /movies/{id}`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class BundledWorkload:
    """A workload of the bundled application; `settings` are those that change its times."""

    name: str
    about: str
    settings: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]


@cache
def workloads() -> tuple[BundledWorkload, ...]:
    """Return all workloads, in the order of workloads.toml."""
    text = (Path(__file__).parent / "workloads.toml").read_text(encoding="utf-8")
    return tuple(_workload(table) for table in tomllib.loads(text)["workload"])


def endpoint(name: str) -> Endpoint:
    """Return the endpoint of that name, `GET /movies/{id}`. Raises NotFound."""
    for workload in workloads():
        for candidate in workload.endpoints:
            if candidate.name == name:
                return candidate
    raise NotFound(f"The bundled application has no {name[:60]}: see /workloads.")


def _workload(table: Document) -> BundledWorkload:
    settings = tuple(table.get("settings", ()))
    return BundledWorkload(table["name"], table["about"], settings, tuple(_endpoints(table)))


def _endpoints(workload: Document) -> Iterator[Endpoint]:
    for table in workload["endpoints"]:
        method, path = table.get("method", "GET"), table["path"]
        given = {key: table[key] for key in ("values", "body") if key in table}
        request = {"method": method, "path": table.get("asks", path), **given}
        load = {"concurrency": workload["users"]}
        stream = {"name": workload["name"], "request": request, "load": load}
        aliases = tuple(table.get("aliases", ()))
        yield Endpoint(
            method, path, aliases, table["does"], request, document_of({"stream": stream}, {})
        )


def spec_of_curl(command: str) -> tuple[Document, tuple[str, ...]]:
    """Return a spec of what a curl command asks for, ten users for five seconds, and the notes."""
    pasted = read_pasted(command)
    stream = {
        "requests": list(pasted.requests),
        "load": {"model": "closed", "concurrency": 10},
        "stop": {"duration_s": 5},
    }
    return {"target": {"url": pasted.origin}, "workload": {"streams": [stream]}}, pasted.notes
