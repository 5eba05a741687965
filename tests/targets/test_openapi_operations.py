"""Request classes from OpenAPI documents: what is guessed, and what hostile ones lead to."""

import json
import time
from typing import Any

import pytest

from control_plane.domain.errors import InvalidInput
from control_plane.domain.limits import Limits
from control_plane.targets.openapi_operations import MAX_OPERATIONS, Operation, operations_of


def read(document: Any) -> tuple[Operation, ...]:
    return operations_of(json.dumps(document).encode(), Limits())[0]


def only_operation(operation: Any, path: str = "/x", method: str = "get", **rest: Any) -> Operation:
    (found,) = read({"paths": {path: {method: operation}}, **rest})
    return found


def parameter(schema: Any, place: str = "path", name: str = "n", **rest: Any) -> Any:
    return {"parameters": [{"in": place, "name": name, "required": True, "schema": schema, **rest}]}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, {"kind": "integer", "low": 1, "high": 1000}),
        (
            {"type": "integer", "minimum": 5, "exclusiveMaximum": 9},
            {"kind": "integer", "low": 5, "high": 8},
        ),
        ({"type": "integer", "maximum": -3}, {"kind": "integer", "low": -3, "high": -3}),
        ({"type": "number", "minimum": 0.5}, {"kind": "integer", "low": 1, "high": 1000}),
        ({"type": ["null", "integer"]}, {"kind": "integer", "low": 1, "high": 1000}),
        ({"type": "boolean"}, {"kind": "choice", "of": ["true", "false"]}),
        ({"type": "string", "format": "uuid"}, {"kind": "uuid"}),
        ({"type": "string", "format": "date"}, {"kind": "choice", "of": ["2026-01-01"]}),
        ({"type": "string", "minLength": 3, "maxLength": 5}, {"kind": "string", "length": 5}),
        ({"type": "string"}, {"kind": "string", "length": 10}),
        ({"enum": ["red", 2, None]}, {"kind": "choice", "of": ["red", 2]}),
        ({"const": "on"}, {"kind": "choice", "of": ["on"]}),
        (
            {"type": "array", "items": {"type": "boolean"}},
            {"kind": "choice", "of": ["true", "false"]},
        ),
        ({"anyOf": [{"type": "null"}, {"$ref": "#/a/b"}]}, {"kind": "uuid"}),
        (
            {"allOf": [{"type": "integer"}, {"minimum": 7}]},
            {"kind": "integer", "low": 7, "high": 1000},
        ),
        ({}, {"kind": "string", "length": 10}),
    ],
)  # fmt: skip
def test_values_are_guessed_from_the_schema(schema: Any, value: Any) -> None:
    uuid = {"b": {"type": "string", "format": "uuid"}}
    found = only_operation(parameter(schema), "/x/{n}", a=uuid)
    assert found.request is not None
    assert (found.request["path"], found.request["values"]) == ("/x/{n}", {"n": value})


def test_required_queries_and_headers_are_asked_with_and_names_made_usable() -> None:
    operation = {
        "parameters": [
            {"in": "path", "name": "item-id", "schema": {"type": "integer"}},
            {"in": "query", "name": "a b", "required": True, "schema": {"type": "integer"}},
            {"in": "query", "name": "page", "schema": {"type": "integer"}},
            {"in": "header", "name": "X-Tenant", "required": True, "schema": {"type": "string"}},
        ]
    }
    found = only_operation(operation, "/items/{item-id}/{file:path}").request
    assert found is not None
    assert found["path"] == "/items/{item_id}/{file}?a%20b={a_b}"
    assert found["headers"] == {"X-Tenant": "{X_Tenant}"}
    assert sorted(found["values"]) == ["X_Tenant", "a_b", "file", "item_id"]


def test_a_simple_body_is_made_up() -> None:
    schema = {
        "type": "object",
        "required": ["email", "age", "tags", "owner"],
        "properties": {
            "email": {"type": "string", "format": "email"},
            "age": {"type": "integer", "minimum": 18},
            "tags": {"type": "array", "items": {"enum": ["new"]}},
            "owner": {"properties": {"name": {"type": "string"}}},
            "nick": {"type": "string"},
        },
    }
    body = {"requestBody": {"content": {"application/json": {"schema": schema}}}}
    found = only_operation(body, method="post")
    assert found.writes
    assert found.request is not None
    assert found.request["body"] == {
        "json": {
            "email": "{email}@example.com", "age": 18, "tags": ["new"],
            "owner": {"name": "{owner_name}"},
        }
    }  # fmt: skip
    assert sorted(found.request["values"]) == ["email", "owner_name"]


@pytest.mark.parametrize(
    ("operation", "note"),
    [
        ({"requestBody": {"content": {"multipart/form-data": {}}}}, "of the type multipart/form"),
        (parameter({}, "cookie"), "needs a cookie"),
        ({"security": [{"key": []}]}, "asks who you are"),
    ],
)
def test_what_cannot_be_made_up_is_said(operation: Any, note: str) -> None:
    found = only_operation(operation, method="post")
    assert found.request is not None
    assert note in found.note


def circle(levels: int = 1) -> Any:
    return {f"N{at}": {"$ref": f"#/d/N{(at + 1) % levels}"} for at in range(levels)}


WIDE = {"type": "object", "properties": {f"p{at}": {"$ref": "#/d/W"} for at in range(100)}}
LIST = {"type": "array", "items": {"$ref": "#/d/L"}}
HOSTILE: dict[str, Any] = {
    "circle": {"a": {"$ref": "#/d/N0"}, "d": circle()},
    "long circle": {"a": {"$ref": "#/d/N0"}, "d": circle(40)},
    "grows in each turn": {"a": {"$ref": "#/d/W"}, "d": {"W": WIDE}},
    "parts of itself": {"a": {"$ref": "#/d/A"}, "d": {"A": {"allOf": [{"$ref": "#/d/A"}] * 50}}},
    "alternatives of itself": {"a": {"$ref": "#/d/A"}, "d": {"A": {"anyOf": [{"$ref": "#/d/A"}]}}},
    "list of itself": {"a": {"$ref": "#/d/L"}, "d": {"L": LIST}},
    "elsewhere": {"a": {"$ref": "http://127.0.0.1:1/x.json"}},
    "no text": {"a": {"$ref": 7}},
    "types": {"a": {"type": [[], {}], "enum": {}, "minimum": "1", "maxLength": -5, "items": 3}},
    "numbers": {"a": {"type": "integer", "minimum": 10**40, "maximum": -(10**40)}},
    "names": {"a": {"properties": {"": {}, "a" * 5_000: {}, "\u202e\0": {}, "__proto__": {}}}},
    "texts": {"a": {"const": "x" * 3_000_000}},
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_is_read_as_far_as_it_goes(name: str) -> None:
    rest = dict(HOSTILE[name])
    schema = rest.pop("a")
    content = {"requestBody": {"content": {"application/json": {"schema": schema}}}}
    found = only_operation(parameter(schema) | content, "/x/{n}", "post", **rest)
    assert found.request is not None or found.note


@pytest.mark.parametrize(
    "paths",
    [
        {"/a": None, "/b": [], "/c": {"get": 3, "post": "x", "put": []}},
        {"/a": {"parameters": {"in": "path"}, "get": {"parameters": [3, None, {"in": 1}]}}},
        {"/a": {"get": {"parameters": [{"in": "path", "name": "\ud800"}] * 5_000}}},
        {"no slash": {"get": {}}, "//host/x": {"get": {}}, "/a b\r\nX: y": {"get": {}}},
        {"/{": {"get": {}}, "/{}": {"get": {}}, "/{{a}}": {"get": {}}},
        {"/" + "a" * 9_000: {"get": {}}},
        {"/a": {"post": {"requestBody": {"content": {"": 3, "application/json": []}}}}},
        {"/a": {"get": {"summary": ["x"], "operationId": {"a": 1}, "security": "all"}}},
    ],
)  # fmt: skip
def test_wrong_types_anywhere_are_as_if_they_were_not_there(paths: Any) -> None:
    text = json.dumps({"paths": paths}).replace("\\ud800", "x")
    for found in operations_of(text.encode(), Limits())[0]:
        assert found.request is not None or found.note


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not readable JSON"),
        (b"<html>", "not readable JSON"),
        (b"\xff\xfe", "not readable JSON"),
        (b"[" * 100_000, "not readable JSON"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "not readable JSON"),
        (b'{"paths": NaN}', "not readable JSON"),
        (b"[]", "not an OpenAPI document"),
        (b'{"paths": []}', "not an OpenAPI document"),
        (b"null", "not an OpenAPI document"),
    ],
    ids=range(9),
)
def test_what_is_no_document_is_refused_readably(body: bytes, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refused:
        operations_of(body, Limits())
    assert len(str(refused.value)) < 300


def test_the_list_is_bounded() -> None:
    paths: dict[str, Any] = {f"/{at}": {"get": {}} for at in range(MAX_OPERATIONS + 20)}
    found, left = operations_of(json.dumps({"paths": paths}).encode(), Limits())
    assert (len(found), left) == (MAX_OPERATIONS, 20)


def test_a_huge_document_is_soon_read() -> None:
    """What 4 MB can ask for is bounded by operation, reference, part and property."""
    many = {f"p{at}": {"$ref": "#/d/W"} for at in range(5_000)}
    wide = {"allOf": [{"$ref": "#/d/W"}] * 50, "properties": many, "required": list(many)}
    body = {"content": {"application/json": {"schema": {"$ref": "#/d/W"}}}}
    document: dict[str, Any] = {
        "paths": {f"/{at}": {"post": {"requestBody": {"$ref": "#/b"}}} for at in range(500)},
        "b": body,
        "d": {"W": wide},
    }
    began = time.process_time()
    found, left = operations_of(json.dumps(document).encode(), Limits())
    assert (len(found), left) == (MAX_OPERATIONS, 500 - MAX_OPERATIONS)
    assert time.process_time() - began < 5


def _media(kind: str, **media):
    return {"requestBody": {"content": {kind: media}}}


LOGIN = {
    "type": "object",
    "required": ["username", "password"],
    "properties": {
        "username": {"type": "string"},
        "password": {"type": "string"},
        "scope": {"type": "string"},
    },
}
UPLOAD = {
    "type": "object",
    "required": ["avatar", "title", "public"],
    "properties": {
        "avatar": {"type": "string", "format": "binary"},
        "title": {"type": "string"},
        "public": {"type": "boolean"},
    },
}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        (
            _media("application/x-www-form-urlencoded", schema=LOGIN),
            {"form": {"username": "{username}", "password": "{password}"}},
        ),
        (
            _media("application/x-www-form-urlencoded", example={"a": ["x", 1], "b": {"c": "{d}"}}),
            {"form": {"a": ["x", 1], "b": '{"c":"{{d}}"}'}},
        ),
        (
            _media("multipart/form-data; boundary=x", schema=UPLOAD),
            {
                "multipart": {
                    "fields": {"title": "{title}", "public": "true"},
                    "file": {"name": "avatar", "size_bytes": 1_000},
                }
            },
        ),
        (_media("application/json", example={"q": "{ id }{id}"}), {"json": {"q": "{ id }{{id}}"}}),
    ],
)
def test_bodies_of_forms_and_named_examples(operation, body):
    found = only_operation(operation, method="post")
    assert found.note == ""
    assert found.request is not None
    assert found.request["body"] == body


@pytest.mark.parametrize(
    ("status", "kind", "streams"),
    [
        ("200", "text/event-stream", True),
        ("default", "Text/Event-Stream; charset=utf-8", True),
        ("500", "text/event-stream", False),
        ("200", "application/json", False),
    ],
)
def test_a_stream_of_events_is_marked_and_read_until_its_first_one(
    status: str, kind: str, streams: bool
) -> None:
    found = only_operation({"responses": {status: {"content": {kind: {}}}}})
    assert found.request is not None
    assert found.request.get("until") == ({"event": 1} if streams else None)
    assert ("stream of events" in found.note) is streams
