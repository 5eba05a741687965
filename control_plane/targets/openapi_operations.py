"""The operations of an OpenAPI document as request classes. Pure: bytes in, values out."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError
from pydantic_core import from_json, to_json

from control_plane.domain.endless_responses import EVENT_STREAM
from control_plane.domain.errors import InvalidInput
from control_plane.domain.limits import Limits
from control_plane.domain.request import SAFE_METHODS
from control_plane.domain.request_rules import wrong_request
from control_plane.domain.spec import RequestClass
from control_plane.domain.spec_json import adapter
from control_plane.targets.json_schema import Node, Schemas, listed, literal, node_of

OPERATIONS = ("get", "head", "options", "post", "put", "patch", "delete")
MAX_OPERATIONS = 300
MAX_PARAMETERS = 50
MAX_TYPES = 20

_PLACEHOLDER = re.compile(r"\{([^{}]{0,200})\}")


@dataclass(frozen=True)
class Operation:
    """One operation, ready as a request class.

    `request` is as in a spec; None where none can be made, and `note` says why.
    With a request, `note` says what it leaves to be written by hand, "" for nothing.
    """

    method: str
    path: str
    summary: str = ""
    request: dict[str, Any] | None = None
    note: str = ""

    @property
    def key(self) -> str:
        """Method and path: `GET /items/{item_id}`."""
        return f"{self.method} {self.path}"

    @property
    def writes(self) -> bool:
        """Whether its method may change what the application stores."""
        return self.method not in SAFE_METHODS


@dataclass(frozen=True)
class Offer:
    """The operations that the OpenAPI document of an application or a URL lists.

    `of` is its name or address; `left_out` operations were too many to list.
    """

    of: str
    read_at: datetime
    operations: tuple[Operation, ...]
    left_out: int = 0


def operations_of(body: bytes, limits: Limits) -> tuple[tuple[Operation, ...], int]:
    """Return the operations in the order of the document, and how many more there are.

    Raises InvalidInput when this is not an OpenAPI document.
    """
    document = _document(body)
    entries = _entries(document)
    operations = [_operation(document, *entry, limits) for entry in islice(entries, MAX_OPERATIONS)]
    return tuple(operations), sum(1 for _ in entries)


def _document(body: bytes) -> Node:
    try:
        document = from_json(body, allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"Its answer is not readable JSON: {str(error)[:120]}.") from None
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise InvalidInput("Its answer is not an OpenAPI document: it has no paths.")
    return document


def _entries(document: Node) -> Iterator[tuple[str, str, Node]]:
    """Yield path, method, and the operation with the parameters of its path."""
    for path, item in document["paths"].items():
        shared = listed(node_of(item).get("parameters"))[:MAX_PARAMETERS]
        for method in OPERATIONS:
            operation = node_of(item).get(method)
            if isinstance(operation, dict):
                own = listed(operation.get("parameters"))[:MAX_PARAMETERS]
                known = {key: operation[key] for key in _KEYS if key in operation}
                yield path, method.upper(), known | {"parameters": [*shared, *own]}


_KEYS = ("summary", "operationId", "requestBody", "responses", "security")


def _operation(
    document: Node, path: str, method: str, operation: Node, limits: Limits
) -> Operation:
    summary = _plain(operation.get("summary") or operation.get("operationId"), 120)
    shown = _plain(path, 300)
    request, note = _request(Schemas(document), path, method, operation)
    fault = _fault(request, limits)
    if fault is not None:
        return Operation(method, shown, summary, None, fault)
    return Operation(method, shown, summary, request, note)


def _fault(document: Node, limits: Limits) -> str | None:
    """Return what is wrong with a request class, checked like one that a person wrote."""
    try:
        request = adapter(RequestClass).validate_json(to_json(document))
    except (ValidationError, ValueError):
        return "No request class can say this."
    return next((error.message for error in wrong_request("", request, limits)), None)


def _request(schemas: Schemas, path: str, method: str, operation: Node) -> tuple[Node, str]:
    parameters = _parameters(schemas, operation)
    template = _path_template(schemas, path, parameters)
    queries = [
        f"{quote(str(parameter['name']), safe='')}={_placeholder(schemas, parameter)}"
        for (place, _), parameter in parameters.items()
        if place == "query" and _is_required(parameter)
    ]
    headers = {
        name: _placeholder(schemas, parameter)
        for (place, name), parameter in parameters.items()
        if place == "header" and _is_required(parameter)
    }
    body, note = _body(schemas, operation) if method not in {"GET", "HEAD", "OPTIONS"} else ({}, "")
    request = {
        "method": method,
        "path": template + ("?" + "&".join(queries) if queries else ""),
        "values": schemas.values,
        "headers": headers,
        "body": body or None,
    }
    note = note or _missing_secret(schemas, operation, parameters)
    if not _streams_events(schemas, operation):
        return request, note
    return request | {"until": {"event": 1}}, f"{_STREAM} {note}".strip()


def _streams_events(schemas: Schemas, operation: Node) -> bool:
    """Whether an answer that is no error is a stream of events."""
    answers = islice(node_of(operation.get("responses")).items(), MAX_TYPES)
    kinds = (
        kind.partition(";")[0].strip().lower()
        for status, answer in answers
        if str(status)[:1] in {"2", "d"}
        for kind in islice(node_of(schemas.resolved(answer).get("content")), MAX_TYPES)
    )
    return EVENT_STREAM in kinds


_STREAM = "It answers with a stream of events, which need not end: it is read until the first one."
"""What is said of an operation of which every answer would be waited for until its deadline."""


def _missing_secret(
    schemas: Schemas, operation: Node, parameters: dict[tuple[str, str], Node]
) -> str:
    """Return what to add that no document can give: a secret."""
    places = {place for (place, _), parameter in parameters.items() if _is_required(parameter)}
    if "cookie" in places:
        return "It needs a cookie: add the header."
    if listed(operation.get("security", schemas.document.get("security"))):
        return "It asks who you are: add the header."
    return ""


def _parameters(schemas: Schemas, operation: Node) -> dict[tuple[str, str], Node]:
    """Return them by place and name; an operation's own replaces that of its path."""
    parameters = {}
    for parameter in map(schemas.resolved, operation["parameters"]):
        place, name = parameter.get("in"), parameter.get("name")
        if isinstance(place, str) and isinstance(name, str) and name:
            parameters[place, name] = parameter
    return parameters


def _is_required(parameter: Node) -> bool:
    return parameter.get("required") is True


def _schema(parameter: Node) -> Node:
    """Return the schema of a parameter, with the example that stands beside it."""
    schema = node_of(parameter.get("schema"))
    example = parameter.get("example")
    return schema | {"example": example} if isinstance(example, str) else schema


def _placeholder(schemas: Schemas, parameter: Node) -> str:
    name = schemas.named(str(parameter["name"]), schemas.generator(_schema(parameter)))
    return f"{{{name}}}"


def _path_template(schemas: Schemas, path: str, parameters: dict[tuple[str, str], Node]) -> str:
    """Return the path, its placeholders renamed to names that a request class can have."""

    def renamed(match: re.Match[str]) -> str:
        name = match[1].partition(":")[0]
        return _placeholder(schemas, parameters.get(("path", name), {"name": name}))

    return _PLACEHOLDER.sub(renamed, path)


def _body(schemas: Schemas, operation: Node) -> tuple[Node, str]:
    described = schemas.resolved(operation.get("requestBody"))
    content = dict(islice(node_of(described.get("content")).items(), MAX_TYPES))
    if not content:
        return {}, ""
    types = {kind.partition(";")[0].strip().lower(): kind for kind in reversed(content)}
    kind = next((kind for kind in _BODIES if kind in types), None)
    by_hand = f"It takes a body of the type {_plain(next(iter(content)), 60)}: {_BY_HAND}"
    if kind is None:
        return {}, by_hand
    media, before = node_of(content[types[kind]]), dict(schemas.values)
    files = _files(schemas, media) if kind == _MULTIPART else []
    example = _example(schemas, media, files)
    if schemas.too_large:
        schemas.values = before
        return {}, f"Its body is too deep or large to be made up: {_BY_HAND}"
    if kind != _JSON and not files and not node_of(example):
        schemas.values = before
        return {}, by_hand
    return _as_kind(kind, example, files), ""


def _example(schemas: Schemas, media: Node, files: Sequence[str]) -> Any:
    """Return the example that the document names, or one made from its schema without `files`."""
    named: Any = media.get("example")
    if isinstance(named, (dict, list)):
        return literal(named)
    if not files:
        return schemas.example(media.get("schema"), "")
    node = schemas.resolved(media.get("schema"))
    texts = {name: part for name, part in node["properties"].items() if name not in files}
    return schemas.example(node | {"properties": texts}, "")


def _as_kind(kind: str, body: Any, files: Sequence[str]) -> Node:
    if kind == _JSON:
        return {"json": body}
    fields = {name: _form_value(item) for name, item in node_of(body).items() if name not in files}
    if kind == _FORM:
        return {"form": fields}
    file = {"file": {"name": files[0], "size_bytes": UPLOAD_BYTES}} if files else {}
    return {"multipart": {"fields": fields, **file}}


def _form_value(value: Any) -> Any:
    """Return a value as a field of a form can have it: objects as JSON."""
    if (
        isinstance(value, list)
        and value
        and not any(isinstance(item, dict | list) for item in value)
    ):
        return [_form_value(item) for item in value]
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    return "" if value is None else to_json(value).decode()


def _files(schemas: Schemas, media: Node) -> list[str]:
    """Return the properties of a form that are files."""
    properties = node_of(schemas.resolved(media.get("schema")).get("properties"))
    return [name for name in properties if _is_file(schemas.resolved(properties[name]))]


def _is_file(node: Node) -> bool:
    return node.get("format") == "binary" or "contentMediaType" in node


_JSON, _FORM, _MULTIPART = (
    "application/json", "application/x-www-form-urlencoded", "multipart/form-data",
)  # fmt: skip
_BODIES = (_JSON, _FORM, _MULTIPART)
_BY_HAND = "write it by hand."
UPLOAD_BYTES = 1_000


def _plain(value: object, longest: int) -> str:
    """Return one line without characters that hide or reverse text."""
    text = value if isinstance(value, str) else ""
    spaced = (" " if sign.isspace() else sign for sign in text[: 2 * longest])
    signs = (sign for sign in spaced if unicodedata.category(sign) not in {"Cc", "Cf", "Cs"})
    return "".join(signs).strip()[:longest]
