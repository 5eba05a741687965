"""Values and example bodies from the JSON schemas of an OpenAPI document, which is not trusted.

A document may have any type anywhere and references that turn in circles: what cannot be read is
as if it were not there, and the work for one operation is bounded.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import ceil, floor, isfinite
from typing import Any

from control_plane.domain.request import escaped

Node = dict[str, Any]

MAX_HOPS = 20
MAX_DEPTH = 8
MAX_NODES = 200
MAX_PROPERTIES = 50
MAX_CHOICES = 100
LARGEST = 2**53
USUAL_LOW, USUAL_HIGH, USUAL_LENGTH = 1, 1000, 10

_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "12:00:00Z",
    "email": "user@example.com",
    "uri": "http://example.com/",
    "ipv4": "127.0.0.1",
}
"""One valid text for each format that random letters do not have."""


def node_of(value: object) -> Node:
    """Return the value where it is an object, else {}."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:
    """Return the value where it is an array, else []."""
    return value if isinstance(value, list) else []


def literal(value: Any) -> Any:
    """Return a JSON value as a body has it that is sent as it stands: braces are doubled."""
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, dict):
        return {escaped(key): literal(item) for key, item in value.items()}
    return [literal(item) for item in value] if isinstance(value, list) else value


@dataclass
class Schemas:
    """The schemas of a whole OpenAPI `document`, for one of its operations.

    `values`: generators of placeholders, by name. `too_large`: an example was given up.
    """

    document: Mapping[str, Any]
    values: dict[str, Node] = field(default_factory=dict)
    too_large: bool = False
    _left: int = MAX_NODES

    def resolved(self, value: object) -> Node:
        """Return a schema, its references followed, and the first alternative that is not null."""
        node = node_of(value)
        for _ in range(MAX_HOPS):
            if not self._spend():
                return {}
            if "$ref" in node:
                node = self._at(node["$ref"])
            elif options := listed(node.get("anyOf")) or listed(node.get("oneOf")):
                alternatives = map(node_of, options[:50])
                node = next((node for node in alternatives if node.get("type") != "null"), {})
            elif parts := listed(node.get("allOf")):
                node = self._merged(node, parts)
            else:
                return node
        return {}

    def _at(self, reference: object) -> Node:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return {}
        found: object = self.document
        for part in reference[2:].split("/")[:10]:
            found = node_of(found).get(part.replace("~1", "/").replace("~0", "~"))
        return node_of(found)

    def _merged(self, node: Node, parts: list[Any]) -> Node:
        merged = _known_keys(node)
        merged.pop("allOf", None)
        for part in map(node_of, parts[:10]):
            if not self._spend():
                break
            other = _known_keys(self._at(part["$ref"]) if "$ref" in part else part)
            properties = {**_first(merged.get("properties")), **_first(other.get("properties"))}
            required = _names(merged) | _names(other)
            merged = other | merged | {"properties": properties, "required": [*required]}
        return merged

    def generator(self, schema: object) -> Node:
        """Return the generator of a placeholder: integers, UUIDs, letters, or named choices."""
        node = self.resolved(schema)
        if choices := _choices(node):
            return {"kind": "choice", "of": choices}
        kind = _type(node)
        if kind in {"integer", "number"}:
            return _integers(node)
        if kind == "boolean":
            return {"kind": "choice", "of": ["true", "false"]}
        if kind == "array":
            return self.generator(node.get("items")) if self._spend() else _letters({})
        return _texts(node)

    def example(self, schema: object, name: str, depth: int = 0) -> Any:
        """Return an example body; its texts are placeholders, whose generators go to `values`."""
        if depth > MAX_DEPTH or not self._spend():
            self.too_large = True
            return None
        node = self.resolved(schema)
        if (known := _given_value(node)) is not None:
            return literal(known)
        kind = _type(node)
        if kind == "object" or "properties" in node:
            return dict(self._properties(node, name, depth))
        if kind == "array":
            return [self.example(node.get("items"), name, depth + 1)]
        return _SIMPLE[kind] if kind in _SIMPLE else self._text(node, name)

    def _properties(self, node: Node, name: str, depth: int) -> Iterator[tuple[str, Any]]:
        """Yield the required properties; all of them where none is required."""
        properties, required = _first(node.get("properties")), _names(node)
        for key in (key for key in properties if key in required or not required):
            below = f"{name}_{key[:40]}"[-80:] if name else key[:40]
            yield escaped(key), self.example(properties[key], below, depth + 1)

    def _text(self, node: Node, name: str) -> str:
        placeholder = self.named(name or "text", _texts(node))
        if node.get("format") == "email":
            self.values[placeholder] = _letters({})
            return f"{{{placeholder}}}@example.com"
        return f"{{{placeholder}}}"

    def named(self, name: str, generator: Node) -> str:
        """Add a generator under a name that a placeholder can have; return that name."""
        plain = re.sub(r"\W", "_", name, flags=re.ASCII)
        base = plain[:34] if re.match(r"[A-Za-z_]", plain) else f"_{plain[:33]}"
        numbered = (f"{base}_{number}" for number in range(2, MAX_NODES))
        free = (name for name in (base, *numbered) if name not in self.values)
        placeholder = next(free, base)
        self.values[placeholder] = generator
        return placeholder

    def _spend(self) -> bool:
        """Count one more node; return whether there may be so many."""
        self._left -= 1
        return self._left >= 0


_SIMPLE = {"integer": 1, "number": 1.5, "boolean": True, "null": None}


def _given_value(node: Node) -> str | int | float | None:
    """Return the value that the document itself gives, of an integer its smallest; else None."""
    named = [node.get(key) for key in ("const", "default", "example")]
    for value in [*named, *_choices(node)[:1]]:
        if isinstance(value, (str, int)) or (isinstance(value, float) and isfinite(value)):
            return value
    return _integers(node)["low"] if _type(node) == "integer" else None


_KEYS = (
    "$ref", "allOf", "anyOf", "const", "default", "enum", "example", "examples", "exclusiveMaximum",
    "exclusiveMinimum", "format", "items", "maxLength", "maximum", "minLength", "minimum", "oneOf",
    "properties", "required", "type",
)  # fmt: skip


def _known_keys(node: Node) -> Node:
    """Return the keys that are read here; there may be very many others."""
    return {key: node[key] for key in _KEYS if key in node}


def _first(properties: object) -> Node:
    return dict(islice(node_of(properties).items(), MAX_PROPERTIES))


def _names(node: Node) -> set[str]:
    required = listed(node.get("required"))[:MAX_PROPERTIES]
    return {name for name in required if isinstance(name, str)}


def _type(node: Node) -> str:
    """Return the first type that is not null; `string` where there is none."""
    kinds = node.get("type")
    named = (
        [kinds] if isinstance(kinds, str) else [kind for kind in listed(kinds) if kind != "null"]
    )
    return named[0] if named and isinstance(named[0], str) else "string"


def _choices(node: Node) -> list[str | int | float]:
    """Return the named values: an enumeration, a constant, or examples of a text."""
    found = listed(node.get("enum")) or ([node["const"]] if "const" in node else [])
    if not found and _type(node) == "string":
        found = listed(node.get("examples")) or [node.get("example")]
    return [value for value in found[:MAX_CHOICES] if _is_choice(value)]


def _is_choice(value: object) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, float):
        return isfinite(value)
    return isinstance(value, int) or (isinstance(value, str) and 0 < len(value) <= 1_000)


def _integers(node: Node) -> Node:
    low = _bound(node, "minimum", "exclusiveMinimum", 1)
    high = _bound(node, "maximum", "exclusiveMaximum", -1)
    if low is None:
        low = USUAL_LOW if high is None or high >= USUAL_LOW else high
    if high is None or high < low:
        high = max(low, USUAL_HIGH)
    return {"kind": "integer", "low": low, "high": high}


def _bound(node: Node, inclusive: str, exclusive: str, step: int) -> int | None:
    """Return a whole number within the bound; None where there is no bound."""
    for key, by in ((inclusive, 0), (exclusive, step)):
        value = node.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            continue
        if isfinite(value) and abs(value) < LARGEST:
            return (ceil(value) if step > 0 else floor(value)) + by
    return None


def _texts(node: Node) -> Node:
    if node.get("format") == "uuid":
        return {"kind": "uuid"}
    name = node.get("format")
    if isinstance(name, str) and name in _FORMATS:
        return {"kind": "choice", "of": [_FORMATS[name]]}
    return _letters(node)


def _letters(node: Node) -> Node:
    low, high = _length(node, "minLength", 1), _length(node, "maxLength", 10_000)
    return {"kind": "string", "length": min(max(USUAL_LENGTH, low), max(high, low))}


def _length(node: Node, key: str, otherwise: int) -> int:
    value = node.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        return otherwise
    return max(1, min(value, 10_000))
