"""What a run can begin from, as documents; beside them experiments and pasted requests.

Presets stand in presets.toml, the endpoints of the bundled application with their request classes
in workloads.toml; and a curl command is a spec.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from control_plane.domain.errors import NotFound
from control_plane.domain.experiment import DEFAULT_BLOCKS
from control_plane.domain.spec_json import Document
from control_plane.experiments.pasted_requests import read_pasted


@dataclass(frozen=True)
class Preset:
    """A spec that the form can begin with."""

    name: str
    about: str
    document: Document


@dataclass(frozen=True)
class PresetCatalogue:
    """All of presets.toml."""

    presets: tuple[Preset, ...]

    def preset(self, name: str) -> Preset:
        """Return the preset of that name. Raises NotFound."""
        for preset in self.presets:
            if preset.name == name:
                return preset
        raise NotFound(f"There is no preset {name[:40]}.")


@cache
def preset_catalogue() -> PresetCatalogue:
    """Return the presets of presets.toml, read once."""
    tables = _presets_file()["preset"]
    presets = (Preset(table["name"], table["about"], document_of(table)) for table in tables)
    return PresetCatalogue(tuple(presets))


@cache
def _presets_file() -> Document:
    return tomllib.loads((Path(__file__).parent / "presets.toml").read_text(encoding="utf-8"))


def document_of(given: Document) -> Document:
    """Return a spec. `given` has a `stream`, or several `streams`, and perhaps `trials`.

    What it does not say of trials and window, presets.toml says for all.
    """
    streams = [stream_of_preset(stream) for stream in given.get("streams") or [given["stream"]]]
    return {
        "workload": {"streams": streams},
        "trials": given.get("trials", _presets_file()["trials"]),
    }


def noise_experiment(spec: Document | None = None) -> Document:
    """Return the document of an experiment whose arms are the same: what differs is noise.

    Without a `spec` it is the first preset.
    """
    given = dict(spec or preset_catalogue().presets[0].document)
    for name in ("title", "tags", "trials", "seed"):
        given.pop(name, None)
    return {
        "question": "How small a difference can this machine show?",
        "blocks": DEFAULT_BLOCKS,
        "same_arms": True,
        "spec": given,
        "arms": [{"name": "one spec", "spec": {}}, {"name": "the same again", "spec": {}}],
    }


def stream_of_preset(given: Document) -> Document:
    """Return a stream of the spec. `given` has one `request`, or several `requests`."""
    return {
        "name": given["name"],
        "requests": given.get("requests") or [given["request"]],
        "load": {"model": "closed"} | given.get("load", {}),
        "stop": given.get("stop", {"duration_s": _presets_file()["duration_s"]}),
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
            method, path, aliases, table["does"], request, document_of({"stream": stream})
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
