"""A spec as the texts of the form: to edit a run, to begin from a preset."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import to_json

from control_plane.domain.spec import (
    BUNDLED,
    AnyTarget,
    Cores,
    NamedTarget,
    Spec,
    SubmittedSpec,
    Target,
)
from control_plane.domain.spec_json import Document, adapter, write_spec
from control_plane.jobs.run_service import Configuration
from control_plane.pages.form import BEFORE, FormData
from control_plane.pages.form.arms import MOST_VARIED
from control_plane.pages.form.fields import FORM, chosen_option, field_named, write_sections
from control_plane.pages.form.to_spec import OWN_TARGET, form_arms

_USUAL = Target()
FieldTexts = Iterator[tuple[str, tuple[str, ...]]]


def form_from_spec(spec: Spec, configurations: Sequence[Configuration], name: str = "") -> FormData:
    """Return every field of the form with the spec's value, also of what is not chosen.

    `name` is what the configuration of the spec is called: it is ticked while it has these parts.
    """
    ticked = _ticked(spec.target, configurations, name)
    return FormData({field: texts for field, texts in _all(spec, ticked) if texts})


def fully_shown(spec: Spec) -> bool:
    """Return False where the form cannot say all that the spec says about load and client.

    Its texts have no blanks at their ends, those of one line no line break.
    """
    shown = FormData({field: texts for field, texts in _all(spec, OWN_TARGET) if texts})
    sent = FormData({field: _as_sent(field, texts) for field, texts in shown.values.items()})
    document = form_arms(sent)[0][0].document | {"target": write_spec(spec)["target"]}
    try:
        said = adapter(SubmittedSpec).validate_json(to_json(document))
    except ValidationError:
        return False
    return Spec.of(said, spec.target) == spec


def _as_sent(name: str, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the texts as a browser sends those of that field."""
    field = field_named(name)
    line_break = "\n" if field is not None and field.kind.control == "area" else ""
    return tuple(re.sub(r"\r\n?|\n", line_break, text) for text in texts)


def _all(spec: Spec, ticked: str) -> FieldTexts:
    document = write_spec(spec)
    started = spec.target.started
    yield "target", (started.application if started else "url",)
    yield "target.url", (spec.target.url,)
    yield "target.configuration", (ticked,)
    yield from target_fields(started if started and started.server != "command" else _USUAL)
    yield "client.strategy", (spec.client.strategy,)
    if isinstance(spec.cores, Cores):
        document["cores"] = "auto"
    yield from experiment_fields()
    yield from write_sections(document, "", "run", "run_switches", "run_more")
    for index, request in enumerate(document["before"]):
        yield from _before(f"{BEFORE}.{index}", request)
    for index, stream in enumerate(document["workload"]["streams"]):
        yield from _stream(f"workload.streams.{index}", stream)


def experiment_fields() -> FieldTexts:
    """Yield the fields of what becomes of several arms, with nothing varied."""
    yield from write_sections({}, "experiment", "experiment")
    yield "experiment.how", ("decide",)
    for index in range(MOST_VARIED):
        yield from write_sections({}, f"vary.{index}", "vary")


def target_fields(target: Target) -> FieldTexts:
    """Yield the fields of a configuration's parts; what its server lacks has the usual value."""
    yield "target.server", (f"{target.server} {target.worker or ''}".strip(),)
    parts = {name: _part(target, name) for name in asdict(_USUAL)}
    yield from write_sections(parts, "target", "target", "target_switches", "target_settings")


def _part(target: Target, name: str) -> Any:
    value = getattr(target, name)
    return getattr(_USUAL, name) if value is None else value


def _ticked(target: AnyTarget, configurations: Sequence[Configuration], name: str) -> str:
    """Return what has that name and these parts, or comes with Looplab and has them."""
    started = target.started
    if started is None or started.server == "command":
        return configurations[0].name
    application = started.application
    same = [known for known in configurations if _serving(known.target, started) == started]
    by_name = [known for known in same if NamedTarget(known.name, application).label == name]
    found = by_name or [known for known in same if known.builtin]
    return found[0].name if found else OWN_TARGET


def _serving(target: Target, started: Target) -> Target:
    """Return a target that serves the application of `started`, asked for by the same Host.

    Only the bundled application has settings.
    """
    settings = target.settings if started.application == BUNDLED else {}
    return replace(target, application=started.application, host=started.host, settings=settings)


def _stream(prefix: str, stream: Document) -> FieldTexts:
    yield from write_sections(stream, prefix, "stream")
    yield f"{prefix}.load", (stream["load"]["model"],)
    yield from write_sections(stream["load"], f"{prefix}.load", "load")
    yield f"{prefix}.stop", ("requests" if "requests" in stream["stop"] else "duration_s",)
    yield from write_sections(stream["stop"], f"{prefix}.stop", "stop")
    for index, request in enumerate(stream["requests"]):
        yield from request_fields(f"{prefix}.requests.{index}", request)


def _before(prefix: str, request: Document) -> FieldTexts:
    """Yield the fields of a request before the load: it has no weight, and is read to its end."""
    lacking = tuple(f"{prefix}.{name}" for name in ("weight", "until"))
    shown = request_fields(prefix, request)
    yield from ((name, texts) for name, texts in shown if not name.startswith(lacking))
    expect = request["expect"]
    written = {**request, "expect": {"statuses": expect} if isinstance(expect, list) else expect}
    yield from write_sections(written, prefix, "before")


def request_fields(prefix: str, request: Document) -> FieldTexts:
    """Yield the fields of a request class; what it leaves out has the usual value."""
    expect = request.get("expect")
    written = {**request, "expect": {"statuses": expect} if isinstance(expect, list) else expect}
    yield from write_sections(written, prefix, "request", "headers", "request_more")
    body = request.get("body") or {}
    yield f"{prefix}.body", (next(iter(body), "none"),)
    yield from write_sections(body, f"{prefix}.body", "body")
    until = request.get("until") or {}
    yield f"{prefix}.until", (next(iter(until), "whole"),)
    yield from write_sections(until, f"{prefix}.until", "until")
    for name, value in request.get("values", {}).items():
        if value["kind"] == "row":
            yield from _row_fields(prefix, name, value)
            continue
        yield f"{prefix}.values.{name}.kind", (value["kind"],)
        shown = write_sections(value, f"{prefix}.values.{name}", "value")
        yield from ((field, texts) for field, texts in shown if field.rpartition(".")[2] in value)


def _row_fields(prefix: str, key: str, value: Document) -> FieldTexts:
    """Yield the fields of the rows of a request class, and of the placeholders that they fill."""
    file = value["file"]
    shown = {
        "content": file["content"],
        "filename": file.get("name", ""),
        "rows": file.get("rows"),
        "order": value.get("order", "in_order"),
        "key": key,
    }
    yield from ((f"{prefix}.rows.{name}", (str(text or ""),)) for name, text in shown.items())
    for column in value["columns"]:
        yield f"{prefix}.values.{column}.kind", ("row",)
        for mark in ("secret", "repeat"):
            on = column in value.get("secret", ()) if mark == "secret" else value.get("repeat")
            yield f"{prefix}.values.{column}.{mark}", ("on",) if on else ()


def value_fields(prefix: str) -> FieldTexts:
    """Yield the fields of the value that a new placeholder begins with."""
    section = FORM["value"]
    kind = chosen_option(FormData({}), section, prefix)
    yield f"{prefix}.kind", (kind,)
    for field in section.fields:
        if field.when and kind in field.when:
            yield f"{prefix}.{field.path}", (field.usual,)
