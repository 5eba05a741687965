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
    """`request` is the request class; its path differs from `path` where a part of it is fixed.

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
class Workload:
    """`settings` are those fields of a configuration's settings that change its times."""

    name: str
    about: str
    settings: tuple[str, ...]
    endpoints: tuple[Endpoint, ...]


@cache
def workloads() -> tuple[Workload, ...]:
    text = (Path(__file__).parent / "workloads.toml").read_text(encoding="utf-8")
    return tuple(
        Workload(one["name"], one["about"], tuple(one.get("settings", ())), tuple(_endpoints(one)))
        for one in tomllib.loads(text)["workload"]
    )


def endpoint(name: str) -> Endpoint:
    """Raises NotFound."""
    for workload in workloads():
        for one in workload.endpoints:
            if one.name == name:
                return one
    raise NotFound(f"The bundled application has no {name[:60]}: see /workloads.")


def _endpoints(workload: Document) -> Iterator[Endpoint]:
    for one in workload["endpoints"]:
        method, path = one.get("method", "GET"), one["path"]
        given = {key: one[key] for key in ("values", "body") if key in one}
        request = {"method": method, "path": one.get("asks", path), **given}
        load = {"concurrency": workload["users"]}
        stream = {"name": workload["name"], "request": request, "load": load}
        aliases = tuple(one.get("aliases", ()))
        yield Endpoint(
            method, path, aliases, one["does"], request, document_of({"stream": stream}, {})
        )
