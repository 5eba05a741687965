"""The form of a new run as documents of the spec: one for each target and strategy ticked."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from math import prod

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.limits import MAX_COMPARED_RUNS
from control_plane.domain.request import RowValue
from control_plane.domain.row_files import RowFile
from control_plane.domain.server_command_lines import lacking
from control_plane.domain.spec import BUNDLED, Client, Spec, SubmittedSpec
from control_plane.domain.spec_json import Document
from control_plane.jobs.run_service import RunService
from control_plane.pages.form import BEFORE, ROWS, FormData
from control_plane.pages.form.arms import (
    FormArm,
    PartsOf,
    experiment_document,
    multiplied,
    too_many,
    varied_fields,
    wants_experiment,
)
from control_plane.pages.form.field_types import FormParser
from control_plane.pages.form.fields import FORM, chosen_option, field_message, read_sections

OWN_TARGET = "own"
"""Ticked beside the names of the catalogue: the configuration whose fields stand below."""


@dataclass(frozen=True)
class CheckedForm:
    """A form read once: its documents, and their specs unless a field is wrong.

    `messages` by path in the spec, the first of each field. `experiment` decides over the
    documents; None where each is a run of its own.
    """

    documents: tuple[Document, ...]
    specs: tuple[Spec, ...]
    messages: Mapping[str, str]
    experiment: Document | None


def check_form(form: FormData, service: RunService) -> CheckedForm:
    """Read a form: documents, specs, and a message by field."""
    by_command = [known.name for known in service.applications() if known.command]
    made, wrong = form_arms(form, by_command, service.target_parts)
    places = {field.path: field.place for field in varied_fields(FormParser(form))}
    known = {error.field for error in wrong}
    specs = []
    for arm in made:
        try:
            specs.append(service.check(arm.document))
        except InvalidInput as invalid:
            found = [_at_place(error, places) for error in invalid.fields]
            found = found or [FieldError("", str(invalid))]
            wrong += [error for error in found if error.field not in known]
            known |= {error.field for error in found}
    messages = {error.field: field_message(form, error) for error in reversed(wrong)}
    several = len(made) > 1 and wants_experiment(form)
    return CheckedForm(
        tuple(arm.document for arm in made),
        () if wrong else tuple(specs),
        messages,
        experiment_document(form, made) if several else None,
    )


def _at_place(error: FieldError, places: Mapping[str, str]) -> FieldError:
    """Return what is wrong with a varied field at its values."""
    place = places.get(error.field)
    return replace(error, field=place) if place else error


def form_arms(
    form: FormData, by_command: Collection[str] = (), parts_of: PartsOf = dict
) -> tuple[list[FormArm], list[FieldError]]:
    """Return at least one arm, even where fields are wrong, and all that is wrong.

    `by_command` are the applications that no server is chosen for. `parts_of` gives the whole of a
    target of which a part is varied.
    """
    parser = FormParser(form)
    shared = _shared(parser)
    targets, strategies = _targets(parser, by_command), _strategies(parser)
    varied = varied_fields(parser)
    count = prod([len(targets), len(strategies), *(len(field.values) for field in varied)])
    if many := too_many(count, experiment=wants_experiment(form)):
        ticked = len(targets) * len(strategies) > MAX_COMPARED_RUNS or not varied
        parser.refuse("client.strategy" if ticked else varied[-1].place, many)
        targets, strategies, varied = targets[:1], strategies[:1], []
    arms = [
        _arm(shared, target, strategy, parser.form) for target in targets for strategy in strategies
    ]
    try:
        return multiplied(arms, varied, parts_of), parser.wrong
    except InvalidInput as invalid:
        return arms, [*parser.wrong, *invalid.fields]


def _shared(parser: FormParser) -> Document:
    """Return what all runs have in common: everything but their targets and strategies."""
    indices = parser.form.indices("workload.streams")
    streams = [_stream(parser, f"workload.streams.{index}") for index in indices]
    document = read_sections(parser, "", "run", "run_switches", "run_more")
    before = [_before(parser, f"{BEFORE}.{index}") for index in parser.form.indices(BEFORE)]
    if before:
        document["before"] = before
    return {"title": "", **document, "workload": {"streams": streams}}


def _arm(shared: Document, target: Document, strategy: str, form: FormData) -> FormArm:
    """Return `shared` with its own target, strategy, and title where several share one."""
    many_targets = len(form.all("target.configuration")) > 1
    many_strategies = len(form.all("client.strategy")) > 1
    apart = [strategy] * many_strategies
    if many_targets:
        apart.append(target.get("configuration", "own configuration"))
    arm = shared | {
        "title": ", ".join([shared["title"], *apart]) if shared["title"] else "",
        "target": target | shared.get("target", {}),
        "client": _ordered(shared.get("client", {}) | {"strategy": strategy}, Client),
    }
    facts = STRATEGIES.get(strategy)
    alone = facts is not None and facts.alone and many_strategies
    return FormArm(tuple(apart), _ordered(_one_user(arm) if alone else arm, SubmittedSpec))


def _ordered(document: Document, kind: type[Client | SubmittedSpec]) -> Document:
    """Return the document with its keys in the order of the fields of that part of the spec."""
    return {field.name: document[field.name] for field in fields(kind) if field.name in document}


def _one_user(arm: Document) -> Document:
    """Give a strategy that sends one request at a time a single user, beside others' many."""
    streams = [
        stream | {"load": stream["load"] | {"concurrency": 1}}
        if "concurrency" in stream["load"]
        else stream
        for stream in arm["workload"]["streams"]
    ]
    return arm | {"workload": {"streams": streams}}


def _targets(parser: FormParser, by_command: Collection[str]) -> list[Document]:
    form = parser.form
    application = form.text("target", BUNDLED)
    if application == "url":
        return [{"url": form.text("target.url")}]
    if application in by_command:
        return [{"application": application, "server": "command"}]
    ticked = form.all("target.configuration")
    if not ticked and application != BUNDLED:
        return [{"application": application}]
    if not ticked:
        parser.refuse("target.configuration", "Tick at least one.")
    served = {"application": application} if application != BUNDLED else {}
    named: list[Document] = [
        {"configuration": name, **served} for name in ticked if name != OWN_TARGET
    ]
    return named + (
        [target_document(parser) | served] if OWN_TARGET in ticked or not ticked else []
    )


def target_document(parser: FormParser) -> Document:
    """Return the parts of a configuration; what its server lacks is null, whatever fields say."""
    server, _, worker = parser.form.text("target.server", "uvicorn").partition(" ")
    sections = ["target", "target_switches"]
    if parser.form.text("target", BUNDLED) == BUNDLED:
        sections.append("target_settings")
    target = {"server": server, "worker": worker or None}
    return (
        target | read_sections(parser, "target", *sections) | dict.fromkeys(lacking(server, worker))
    )


def _strategies(parser: FormParser) -> list[str]:
    ticked = parser.form.all("client.strategy")
    if not ticked:
        parser.refuse("client.strategy", "Tick at least one.")
    return list(ticked) or ["async"]


def _stream(parser: FormParser, prefix: str) -> Document:
    indices = parser.form.indices(f"{prefix}.requests")
    document: Document = {
        "name": "",
        "requests": [_request(parser, f"{prefix}.requests.{index}") for index in indices],
        "load": _load(parser, f"{prefix}.load"),
        "stop": read_sections(parser, f"{prefix}.stop", "stop"),
    }
    return document | read_sections(parser, prefix, "stream")


def _load(parser: FormParser, prefix: str) -> Document:
    model = chosen_option(parser.form, FORM["load"], prefix)
    return {"model": model, **read_sections(parser, prefix, "load")}


def _request(parser: FormParser, prefix: str) -> Document:
    """What is empty is left out: it is the default."""
    rest = {
        "values": dict(_values(parser, prefix)),
        **read_sections(parser, prefix, "headers"),
        "body": _body(parser, f"{prefix}.body"),
        "until": read_sections(parser, f"{prefix}.until", "until"),
    }
    return {
        **read_sections(parser, prefix, "request"),
        **{name: value for name, value in rest.items() if value},
        **read_sections(parser, prefix, "request_more"),
    }


def _before(parser: FormParser, prefix: str) -> Document:
    return {**_request(parser, prefix), **read_sections(parser, prefix, "before")}


def _values(parser: FormParser, request: str) -> Iterator[tuple[str, Document]]:
    """Yield the values of those placeholders that occur and whose row was shown."""
    columns: dict[str, Document] = {}
    for name in parser.form.placeholders(request):
        prefix = f"{request}.values.{name}"
        kind = parser.form.text(f"{prefix}.kind")
        if kind == "row":
            columns[name] = read_sections(parser, prefix, "value")
        elif kind:
            yield name, {"kind": kind, **read_sections(parser, prefix, "value")}
    if columns:
        yield parser.form.text(f"{request}.rows.key", ROWS), _row(parser, request, columns)


def _row(parser: FormParser, request: str, columns: Mapping[str, Document]) -> Document:
    """Return the value of kind row that fills these placeholders."""
    form, prefix = parser.form, f"{request}.rows"
    read = read_sections(parser, prefix, "rows")
    rows = form.text(f"{prefix}.rows")
    return {
        "kind": "row",
        "file": {
            "content": read["content"],
            "name": form.text(f"{prefix}.filename") or RowFile.name,
            "rows": int(rows) if rows.isdecimal() else None,
        },
        "columns": list(columns),
        "order": read.get("order", RowValue.order),
        "secret": [name for name, value in columns.items() if value["secret"]],
        "repeat": any(value["repeat"] for value in columns.values()),
    }


def _body(parser: FormParser, prefix: str) -> Document:
    """Return what is chosen; {} without a body."""
    body = read_sections(parser, prefix, "body")
    if "generated" in body:
        body["generated"] = {"shape": "name-data", **body["generated"]}
    return body
