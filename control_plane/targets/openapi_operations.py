"""The operations of an OpenAPI document as request classes. Pure: bytes in, values out."""

import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from control_plane.domain.errors import InvalidInput
from control_plane.domain.limits import Limits
from control_plane.domain.operation import Operation
from control_plane.domain.request_rules import wrong_request
from control_plane.domain.spec import RequestClass
from control_plane.targets.json_schema import Node, Schemas, listed, node_of

METHODS = ("get", "head", "options", "post", "put", "patch", "delete")
MOST_OPERATIONS = 300
MOST_PARAMETERS = 50
MOST_TYPES = 20

_PLACEHOLDER = re.compile(r"\{([^{}]{0,200})\}")
_REQUEST: TypeAdapter[RequestClass] = TypeAdapter(RequestClass)


def operations_of(body: bytes, limits: Limits) -> tuple[tuple[Operation, ...], int]:
    """In the order of the document, and how many more there were than are listed.

    Raises InvalidInput when this is not an OpenAPI document.
    """
    document = _document(body)
    found = _found(document)
    read = [_operation(document, *one, limits) for one in islice(found, MOST_OPERATIONS)]
    return tuple(read), sum(1 for _ in found)


def _document(body: bytes) -> Node:
    try:
        document = from_json(body, allow_inf_nan=False)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"/openapi.json is not readable JSON: {str(error)[:120]}.") from None
    if not isinstance(document, dict) or not isinstance(document.get("paths"), dict):
        raise InvalidInput("/openapi.json is not an OpenAPI document: it has no paths.")
    return document


def _found(document: Node) -> Iterator[tuple[str, str, Node]]:
    """Path, method, and the operation with the parameters of its path."""
    for path, item in document["paths"].items():
        shared = listed(node_of(item).get("parameters"))[:MOST_PARAMETERS]
        for method in METHODS:
            operation = node_of(item).get(method)
            if isinstance(operation, dict):
                own = listed(operation.get("parameters"))[:MOST_PARAMETERS]
                told = {key: operation[key] for key in _KEYS if key in operation}
                yield path, method.upper(), told | {"parameters": [*shared, *own]}


_KEYS = ("summary", "operationId", "requestBody", "security")


def _operation(
    document: Node, path: str, method: str, operation: Node, limits: Limits
) -> Operation:
    summary = _plain(operation.get("summary") or operation.get("operationId"), 120)
    shown = _plain(path, 300)
    made, note = _request(Schemas(document), path, method, operation)
    wrong = _wrong(made, limits)
    if wrong is not None:
        return Operation(method, shown, summary, None, wrong)
    return Operation(method, shown, summary, made, note)


def _wrong(made: Node, limits: Limits) -> str | None:
    """Checked like one that a person wrote."""
    try:
        request = _REQUEST.validate_json(to_json(made))
    except (ValidationError, ValueError):
        return "No request class can say this."
    return next((one.message for one in wrong_request("", request, limits)), None)


def _request(schemas: Schemas, path: str, method: str, operation: Node) -> tuple[Node, str]:
    parameters = _parameters(schemas, operation)
    template = _filled(schemas, path, parameters)
    queries = [one for (place, _), one in parameters.items() if place == "query" and _needed(one)]
    parts = [_query(schemas, one) for one in queries]
    headers = {
        name: _placeholder(schemas, one)
        for (place, name), one in parameters.items()
        if place == "header" and _needed(one)
    }
    body, note = _body(schemas, operation) if method not in {"GET", "HEAD", "OPTIONS"} else ({}, "")
    made = {
        "method": method,
        "path": template + ("?" + "&".join(parts) if parts else ""),
        "values": schemas.values,
        "headers": headers,
        "body": body or None,
    }
    return made, note or _hand_work(schemas, operation, parameters)


def _hand_work(schemas: Schemas, operation: Node, parameters: dict[tuple[str, str], Node]) -> str:
    """What no document can give: secrets."""
    if any(place == "cookie" and _needed(one) for (place, _), one in parameters.items()):
        return "It needs a cookie: add the header."
    if listed(operation.get("security", schemas.document.get("security"))):
        return "It asks who you are: add the header."
    return ""


def _parameters(schemas: Schemas, operation: Node) -> dict[tuple[str, str], Node]:
    """By place and name; an operation's own comes after that of its path."""
    found = {}
    for one in map(schemas.resolved, operation["parameters"]):
        place, name = one.get("in"), one.get("name")
        if isinstance(place, str) and isinstance(name, str) and name:
            found[place, name] = one
    return found


def _needed(parameter: Node) -> bool:
    return parameter.get("required") is True


def _schema(parameter: Node) -> Node:
    """The schema, with the example that stands beside it."""
    schema = node_of(parameter.get("schema"))
    example = parameter.get("example")
    return schema | {"example": example} if isinstance(example, str) else schema


def _placeholder(schemas: Schemas, parameter: Node) -> str:
    name = schemas.named(str(parameter["name"]), schemas.generator(_schema(parameter)))
    return f"{{{name}}}"


def _query(schemas: Schemas, parameter: Node) -> str:
    return f"{quote(str(parameter['name'])[:200], safe='')}={_placeholder(schemas, parameter)}"


def _filled(schemas: Schemas, path: str, parameters: dict[tuple[str, str], Node]) -> str:
    """Placeholders renamed to names that a request class can have."""

    def named(match: re.Match[str]) -> str:
        name = match[1].partition(":")[0]
        return _placeholder(schemas, parameters.get(("path", name), {"name": name}))

    return _PLACEHOLDER.sub(named, path)


def _body(schemas: Schemas, operation: Node) -> tuple[Node, str]:
    described = schemas.resolved(operation.get("requestBody"))
    content = dict(islice(node_of(described.get("content")).items(), MOST_TYPES))
    if not content:
        return {}, ""
    media = next((content[kind] for kind in content if kind.partition(";")[0] == _JSON), None)
    if media is None:
        kind = _plain(next(iter(content)), 60)
        return {}, f"It takes a body of the type {kind}: write it by hand."
    given: Any = node_of(media).get("example")
    if isinstance(given, (dict, list)):
        return {"json": given}, ""
    before = dict(schemas.values)
    example = schemas.example(node_of(media).get("schema"), "")
    if schemas.too_large:
        schemas.values = before
        return {}, "Its body is too deep or large to be made up: write it by hand."
    return {"json": example}, ""


_JSON = "application/json"


def _plain(value: object, longest: int) -> str:
    """One line without signs that hide or turn what is there."""
    text = value if isinstance(value, str) else ""
    kept = (" " if sign.isspace() else sign for sign in text[: 2 * longest])
    signs = (sign for sign in kept if unicodedata.category(sign) not in {"Cc", "Cf", "Cs"})
    return "".join(signs).strip()[:longest]
