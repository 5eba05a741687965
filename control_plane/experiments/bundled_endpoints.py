"""The workloads of the bundled application, each endpoint with a ready request class."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from control_plane.domain.errors import NotFound
from control_plane.domain.spec_json import Document
from control_plane.experiments.presets import document_of


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
