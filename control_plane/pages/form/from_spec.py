"""A spec as the texts of the form: to edit a run, to begin from a preset."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic_core import to_json

from control_plane.domain.spec import BUNDLED, AnyTarget, Cores, NamedTarget, Spec, Target
from control_plane.domain.spec_json import Document, write_spec
from control_plane.jobs.run_service import Configuration
from control_plane.pages.form.form_data import FormData
from control_plane.pages.form.load_fields import load_texts, number_text
from control_plane.pages.form.to_spec import OWN

_USUAL = Target()
_OWN_FIELDS = ("loop", "http", "workers", "threads", "keep_alive_s", "backlog")
_SWITCHES = ("reload", "access_log", "reuse_port")


def form_from_spec(spec: Spec, configurations: Sequence[Configuration], name: str = "") -> FormData:
    """Every field of the form with the spec's value, also of what is not chosen.

    `name` is what the configuration of the spec is called: it is ticked while it has these parts.
    """
    ticked = _ticked(spec.target, configurations, name)
    return FormData({field: texts for field, texts in _all(spec, ticked) if texts})


def fully_shown(spec: Spec) -> bool:
    """False where the form cannot say all that the spec says."""
    return not isinstance(spec.cores, Cores)


def _all(spec: Spec, ticked: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    document = write_spec(spec)
    yield from _target(spec.target, ticked)
    yield "client.strategy", (spec.client.strategy,)
    yield "client.session", (spec.client.session,)
    yield "client.loop", (spec.client.loop,)
    yield "client.processes", (str(spec.client.processes),)
    yield "client.max_body_bytes", (str(spec.client.max_body_bytes),)
    yield "client.reuse_connections", ("on",) * spec.client.reuse_connections
    yield "title", (spec.title,)
    yield "tags", (", ".join(spec.tags),)
    for name in ("seed", "trials", "warmup_s", "timeout_s", "max_error_share"):
        yield name, (number_text(document[name]),)
    yield "cores", (spec.cores if isinstance(spec.cores, str) else "auto",)
    for index, stream in enumerate(document["workload"]["streams"]):
        yield from _stream(f"workload.streams.{index}", stream)


def _target(target: AnyTarget, ticked: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    started = target.started
    yield "target", (started.application if started else "url",)
    yield "target.url", (target.url,)
    yield "target.configuration", (ticked,)
    yield from target_fields(started if started and started.server != "command" else _USUAL)


def target_fields(own: Target) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The fields of a configuration's parts."""
    yield "target.server", (f"{own.server} {own.worker or ''}".strip(),)
    for name in _OWN_FIELDS:
        value = getattr(own, name)
        yield f"target.{name}", (str(getattr(_USUAL, name) if value is None else value),)
    for name in _SWITCHES:
        yield f"target.{name}", ("on",) * bool(getattr(own, name))
    yield "target.settings", (_json(own.settings) if own.settings else "",)


def _ticked(target: AnyTarget, configurations: Sequence[Configuration], name: str) -> str:
    """One of that name with the same parts, or one that comes with Looplab and has them."""
    started = target.started
    if started is None or started.server == "command":
        return configurations[0].name
    application = started.application
    same = [one for one in configurations if _serving(one.target, application) == started]
    by_name = [one for one in same if NamedTarget(one.name, application).label == name]
    found = by_name or [one for one in same if one.builtin]
    return found[0].name if found else OWN


def _serving(target: Target, application: str) -> Target:
    """Another application than the bundled one has no settings."""
    settings = target.settings if application == BUNDLED else {}
    return replace(target, application=application, settings=settings)


def _stream(prefix: str, stream: Document) -> Iterator[tuple[str, tuple[str, ...]]]:
    stop = stream["stop"]
    yield f"{prefix}.name", (stream["name"],)
    yield f"{prefix}.start_after_s", (number_text(stream["start_after_s"]),)
    yield from load_texts(f"{prefix}.load", stream["load"])
    yield f"{prefix}.stop", ("requests" if "requests" in stop else "duration_s",)
    yield f"{prefix}.stop.requests", (number_text(stop.get("requests", 10_000)),)
    yield f"{prefix}.stop.duration_s", (number_text(stop.get("duration_s", 5)),)
    for index, request in enumerate(stream["requests"]):
        yield from _request(f"{prefix}.requests.{index}", request)


def request_fields(prefix: str, request: Document) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The fields of a request class; what it leaves out has the usual value."""
    whole: Document = {"values": {}, "headers": {}, "body": None, "expect": None, "weight": 1}
    yield from _request(prefix, whole | request)


def _request(prefix: str, request: Document) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield f"{prefix}.method", (request["method"],)
    yield f"{prefix}.path", (request["path"],)
    yield f"{prefix}.weight", (number_text(request["weight"]),)
    headers = (f"{name}: {value}" for name, value in request["headers"].items())
    yield f"{prefix}.headers", ("\n".join(headers),)
    yield f"{prefix}.expect", (", ".join(map(str, request["expect"] or ())),)
    yield from _body(f"{prefix}.body", request["body"])
    for name, value in request["values"].items():
        yield from _value(f"{prefix}.values.{name}", value)


def _body(field: str, body: Document | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    given = body or {}
    yield field, (next(iter(given), "none"),)
    yield f"{field}.json", (_json(given["json"]) if "json" in given else "",)
    yield f"{field}.text", (given.get("text", ""),)
    size = given.get("generated", {}).get("size_bytes", 1_000_000)
    yield f"{field}.generated.size_bytes", (str(size),)


def _value(field: str, value: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, content in value.items():
        text = _choices(content) if name == "of" else str(content)
        yield f"{field}.{name}", (text,)


def _choices(choices: Sequence[Any]) -> str:
    words = all(isinstance(one, str) and "," not in one and one == one.strip() for one in choices)
    return ", ".join(choices) if words and choices[0][:1] != "[" else _json(choices)


def _json(value: object) -> str:
    return to_json(value, indent=2 if isinstance(value, dict) else None).decode()
