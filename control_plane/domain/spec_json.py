"""Reads the spec from JSON, checked, and writes it as JSON."""

import hashlib
import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import MISSING, Field, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from control_plane.domain.client_strategies import STRATEGIES
from control_plane.domain.errors import FieldError, InvalidInput, UnreadableInput, refuse, refused
from control_plane.domain.limits import Limits
from control_plane.domain.load_models import Open
from control_plane.domain.request import Document as Document
from control_plane.domain.request import as_object
from control_plane.domain.server_command_lines import server_defaults
from control_plane.domain.spec import Client, NamedTarget, Spec, SubmittedSpec, Target
from control_plane.domain.spec_rules import wrong_fields

FieldErrors = tuple[FieldError, ...]
_NUMBERS = {"int_type", "int_from_float", "float_type"}
_EXPECTED_STATUSES = re.compile(
    r"(?P<expect>(?:workload\.streams\.\d+\.requests|before)\.\d+\.expect)\.statuses"
)

Adapted = TypeVar("Adapted")


def adapter(kind: type[Adapted]) -> TypeAdapter[Adapted]:
    """Return what checks `kind` where it is read, and writes it.

    It is made when it is first asked for: all of them together would be a tenth of every start.
    """
    made: TypeAdapter[Adapted] = _adapters(kind)
    return made


_adapters: Any = cache(TypeAdapter)


SOME_WORKLOAD: Document = {
    "streams": [
        {
            "requests": [{"path": "/"}],
            "load": {"model": "closed", "concurrency": 1},
            "stop": {"requests": 1},
        }
    ]
}
"""Where only a target is asked about: a document needs a workload."""

TargetOf = Callable[[NamedTarget], Target]
"""Resolves the name of a configuration; raises InvalidInput for one that it does not know."""


def no_configurations(named: NamedTarget) -> Target:
    """Raise InvalidInput for every name."""
    message = f"There is no configuration {named.configuration[:60]!r}."
    raise InvalidInput(message, (FieldError("target.configuration", message),))


def request_classes(document: Mapping[str, Any]) -> Iterator[tuple[str, Document]]:
    """Yield each request with its field, as far as the document has such a shape."""
    yield from _items(document.get("before"), "before")
    for place, stream in _items(as_object(document.get("workload")).get("streams"), "streams"):
        yield from (
            (f"workload.{place}.{inside}", request)
            for inside, request in _items(stream.get("requests"), "requests")
        )


def row_values(document: Mapping[str, Any]) -> Iterator[tuple[str, Document]]:
    """Yield each value of kind row of a document, which may be wrong anywhere, with its field."""
    for place, request in request_classes(document):
        for name, value in as_object(request.get("values")).items():
            if as_object(value).get("kind") == "row":
                yield f"{place}.values.{name[:40]}", value


def _items(found: Any, name: str) -> Iterator[tuple[str, Document]]:
    for index, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, dict):
            yield f"{name}.{index}", item


def read_document(body: bytes | str) -> Document:
    """Parse a JSON object. NaN and infinities are refused.

    Raises UnreadableInput when it is not JSON, InvalidInput when it is not an object.
    """
    try:
        content = body.encode() if isinstance(body, str) else body
        document = from_json(content.removeprefix(BOM_UTF8), allow_inf_nan=False)
    except (ValueError, UnicodeError) as error:
        raise UnreadableInput(f"This is not readable JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidInput("The spec must be a JSON object.")
    return document


def read_spec(
    document: Mapping[str, Any], limits: Limits, target_of: TargetOf = no_configurations
) -> Spec:
    """Return the spec of a JSON object, checked once and trusted after, with its target resolved.

    Raises InvalidInput with one FieldError for each wrong field; what a configuration brings is
    wrong at its name.
    """
    submitted = _read_submitted(document, limits)
    if not isinstance(submitted.target, NamedTarget):
        return Spec.of(submitted, submitted.target)
    spec = Spec.of(submitted, target_of(submitted.target))
    wrong = wrong_fields(spec, limits)
    refuse(replace(error, field="target.configuration") for error in wrong)
    return spec


def _read_submitted(document: Mapping[str, Any], limits: Limits) -> SubmittedSpec:
    filled = {**document}
    cold = _only_bursts(document) or any(
        value.get("order") == "each_once" and not field.startswith("before.")
        for field, value in row_values(document)
    )
    filled.setdefault("warmup_s", 0 if cold else 1.0)
    if "workload" in document:
        filled["workload"] = _with_slots(document["workload"], document.get("client"), limits)
    if "target" in document:
        filled["target"] = _with_defaults(document["target"])
    try:
        spec = adapter(SubmittedSpec).validate_json(to_json(filled))
    except ValidationError as error:
        raise refused(_shapeless(error, filled, limits)) from None
    except ValueError as error:
        raise UnreadableInput(f"This text cannot be stored: {error}") from None
    refuse(_as_written(error, filled) for error in wrong_fields(spec, limits))
    return spec


def _as_written(error: FieldError, document: Document) -> FieldError:
    """Return the error at the field that the document has: a list may stand for its statuses."""
    if (found := _EXPECTED_STATUSES.fullmatch(error.field)) is None:
        return error
    expect: Any = document
    for key in found["expect"].split("."):
        expect = expect[int(key) if key.isdecimal() else key]
    return replace(error, field=found["expect"]) if isinstance(expect, list) else error


def _shapeless(error: ValidationError, document: Document, limits: Limits) -> FieldErrors:
    """Return what has not the right shape, and what is wrong whatever stands in its place."""
    found = tuple(field_error(detail, document) for detail in error.errors())
    rest, others = (_judged(document, which, limits) for which in (0, -1))
    unjudged = [*filter(None, (_unjudged(detail, document) for detail in error.errors()))]
    return (*found, *(wrong for wrong in rest if wrong in others and not _below(wrong, unjudged)))


def _below(wrong: FieldError, fields: Collection[str]) -> bool:
    return any(f"{wrong.field}.".startswith(f"{field}.") for field in fields)


def _unjudged(detail: ErrorDetails, document: Document) -> str:
    """Return the field about which nothing else is said, for a wrong shape.

    A text that cannot be read may hold placeholders: then it is the whole request class. A stream
    that cannot be read may have any name: then it is all of them.
    """
    keys = [*map(str, _keys(detail["loc"], document))]
    if len(keys) == _STREAM and keys[1] == "streams":
        return "workload.streams"
    holds_texts = len(keys) > _IN_REQUEST and keys[_IN_REQUEST] in _WITH_PLACEHOLDERS
    if holds_texts and keys[3] == "requests" and detail["type"] not in _NUMBERS:
        return ".".join(keys[:_IN_REQUEST])
    return ".".join(keys)


def _judged(document: Document, which: int, limits: Limits) -> FieldErrors:
    """Return what the rules find with a readable value in the place of each that is not."""
    readable = from_json(to_json(document))
    for _ in range(_ROUNDS):
        try:
            spec = adapter(SubmittedSpec).validate_json(to_json(readable))
        except ValidationError as error:
            for detail in _first_of_each(error.errors(), readable):
                _make_readable(readable, detail, which)
        else:
            wrong = wrong_fields(spec, limits)
            return tuple(_as_written(error, readable) for error in wrong)
    return ()


def _first_of_each(details: Sequence[ErrorDetails], document: Document) -> list[ErrorDetails]:
    """Return one error for each field: a union tells one for each of its members."""
    return [
        *{tuple(_keys(detail["loc"], document)): detail for detail in reversed(details)}.values()
    ]


_ROUNDS = 12
"""A part that is missing is filled level by level: as many as a spec has, and some more."""

_STREAM, _IN_REQUEST = 3, 5
_WITH_PLACEHOLDERS = {"path", "headers", "body", "values"}
_STAND_INS: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(_NUMBERS, (1, 1_000_000)),
    "finite_number": (1, 1_000_000),
    "missing": (None,),
    "string_type": ("/a", "/b"),
    "bool_type": (False, True),
    "tuple_type": ([],),
    "dict_type": ({},),
    "dataclass_type": ({},),
}
"""By the type of an error what is put in the place of a value that cannot be read."""

_TAGGED = {"model": {"model": "closed"}, "kind": {"kind": "uuid"}}


def _make_readable(document: Any, detail: ErrorDetails, which: int) -> None:
    *before, last = _keys(detail["loc"], document) or [""]
    for key in before:
        document = document[key]
    context = detail.get("ctx") or {}
    quoted = re.findall(r"'([^']+)'", str(context.get("expected", context.get("expected_tags"))))
    if detail["type"] in _STAND_INS:
        document[last] = deepcopy(_STAND_INS[detail["type"]][which])
    elif detail["type"] == "literal_error" and quoted:
        document[last] = quoted[which]
    elif detail["type"].startswith("union_tag"):
        document[last] = dict(_TAGGED.get(str(context["discriminator"]).strip("'"), {}))
    elif last == "stop":
        document[last] = {"requests": _STAND_INS["int_type"][which]}
    elif isinstance(document, dict):
        document.pop(str(last), None)


def _with_defaults(target: Any) -> Any:
    """Return a target with the defaults of the server that it names."""
    if not isinstance(target, dict) or "url" in target or "configuration" in target:
        return target
    if target.get("server") is None:
        return target
    return server_defaults(str(target["server"]), str(target.get("worker"))) | target


def _with_slots(workload: Any, client: Any, limits: Limits) -> Any:
    """Return a workload whose open loads ask for no more in flight than their strategy can have."""
    strategy = (client if isinstance(client, dict) else {}).get("strategy", Client.strategy)
    facts = STRATEGIES.get(strategy) if isinstance(strategy, str) else None
    if facts is None or not isinstance(workload, dict):
        return workload
    most = limits.max_threads if facts.threads else limits.max_concurrency
    streams = workload.get("streams")
    if not isinstance(streams, list) or most >= Open.max_in_flight:
        return workload
    return workload | {"streams": [_with_slot(stream, most) for stream in streams]}


def _with_slot(stream: Any, most: int) -> Any:
    load = stream.get("load") if isinstance(stream, dict) else None
    if not isinstance(load, dict) or load.get("model") != "open":
        return stream
    return stream | {"load": {"max_in_flight": most} | load}


def stored_spec(text: str) -> Spec:
    """Return a spec from its JSON in the database, where it was checked before."""
    return adapter(Spec).validate_json(text)


def write_spec(spec: Spec) -> Document:
    """Return the spec as the JSON object of the API, every default written out."""
    document: Document = adapter(Spec).dump_python(spec, mode="json")
    return document


_OF_NO_ACCOUNT = {"title", "tags", "seed", "trials"}
_TAGS = {"kind", "model"}
_DIGEST_LENGTH = 16


def spec_digest(spec: Spec) -> str:
    """Return what specs of equal work share, in hex, whatever their title, tags, seed and trials.

    A field with its default counts as left out, so that one which a later version adds changes no
    digest.
    """
    told = {name: value for name, value in _told(spec).items() if name not in _OF_NO_ACCOUNT}
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_LENGTH]


def _told(value: Any) -> Any:
    if is_dataclass(value):
        return {
            field.name: _told(part)
            for field in fields(value)
            if (part := getattr(value, field.name)) != _default(field) or field.name in _TAGS
        }
    if isinstance(value, Mapping):
        return {key: _told(part) for key, part in value.items()}
    return [_told(part) for part in value] if isinstance(value, tuple | list) else value


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _only_bursts(document: Mapping[str, Any]) -> bool:
    try:
        models = {stream["load"]["model"] for stream in document["workload"]["streams"]}
    except (KeyError, TypeError):
        return False
    return models == {"burst"}


_MESSAGES = {
    "missing": "This is missing.",
    "unexpected_keyword_argument": "There is no such field.",
    "int_type": "{input} is not a whole number.",
    "int_from_float": "{input} is not a whole number.",
    "float_type": "{input} is not a number.",
    "finite_number": "{input} is not a finite number.",
    "string_type": "{input} is not text.",
    "bool_type": "{input} is neither true nor false.",
    "tuple_type": "{input} is not a list.",
    "dict_type": "{input} is not an object.",
    "dataclass_type": "{input} is not an object.",
    "literal_error": "{input} is none of {expected}.",
    "union_tag_invalid": "{tag} is none of {expected_tags}.",
    "union_tag_not_found": "This needs {discriminator}, which tells its kind.",
}
"""What people read for pydantic's types of errors."""

_SHOWN = 60
_NO_PATH = 'Only `looplab run` reads files: give {"name": "users.csv", "content": "user,…"} here.'


def field_error(error: ErrorDetails, document: Document) -> FieldError:
    """Return what pydantic found wrong in a document, as people read it."""
    facts = {name: str(value)[:300] for name, value in (error.get("ctx") or {}).items()}
    facts["tag"] = json.dumps(facts.get("tag", ""))[:_SHOWN]
    keys = _keys(error["loc"], document)
    if keys[-1:] == ["file"] and isinstance(error["input"], str):
        return FieldError(".".join(map(str, keys)), _NO_PATH)
    facts["input"] = _shown_input(error["input"], keys)
    message = _MESSAGES.get(error["type"], error["msg"][:300].replace("{", "{{").replace("}", "}}"))
    return FieldError(".".join(map(str, keys)), message.format(**facts))


def _shown_input(value: Any, keys: Collection[str | int]) -> str:
    """Return what was given, to be told; `This` where secrets may stand in it."""
    if isinstance(value, dict | list) or {"headers", "of"} & {*keys}:
        return "This"
    return json.dumps(value, default=repr)[:_SHOWN]


def _keys(location: tuple[str | int, ...], document: Document) -> list[str | int]:
    """Return the keys of a field, without the tags of unions that pydantic puts between them."""
    # These tags have the names of keys that stand beside them.
    for place, tagged in ((0, "target"), (_IN_REQUEST, "body")):
        if location[place : place + 1] == (tagged,):
            location = location[: place + 1] + location[place + 2 :]
    keys: list[str | int] = []
    node: Any = document
    for position, part in enumerate(location):
        last = position == len(location) - 1
        known = _holds(node, part)
        named = isinstance(node, dict) and isinstance(part, str) and not part.startswith("literal[")
        if known or (last and named):
            keys.append(part)
            node = node[part] if known else None
    return keys


def _holds(node: Any, part: str | int) -> bool:
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(node)
