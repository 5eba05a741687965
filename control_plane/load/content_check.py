"""Checks whether the body of a response is what the spec expects of it."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from control_plane.domain.request_bodies_and_values import Expectation, Scalar, SizeRange
from control_plane.domain.units import count
from control_plane.load.placeholders import Template, expected_template

_GZIP = b"\x1f\x8b"
_SHOWN_KEYS, _MOST_DIGITS = 8, 18


@dataclass(frozen=True, slots=True)
class ContentCheck:
    """What is expected of the body of one response, its placeholders filled."""

    size: SizeRange | None
    text: str | None
    json_key: str | None

    @property
    def reads(self) -> bool:
        """Whether it looks into the body, not only at its size."""
        return self.text is not None or self.json_key is not None

    def unmet(self, body: bytes, received: int) -> str:
        """Return what was expected and what was there; "" where the body is as expected.

        `received`: the size of the whole body, of which `body` may be the beginning if nothing
        `reads` it. What was expected is told whole: shortened, a secret in it would not be found.
        """
        packed = " (it is packed with gzip)" if body.startswith(_GZIP) else ""
        if self.size is not None and not self.size.holds(received):
            return f"expected {self.size.label}, {count(received)} came"
        if self.text is not None and self.text.encode() not in body:
            return f"the body{packed} does not hold the expected text {self.text!r}"
        if self.json_key is not None and (found := _missing(body, self.json_key)):
            return f"expected the JSON key {self.json_key}: {found}{packed}"
        return ""


MakeCheck = Callable[[Mapping[str, Scalar]], ContentCheck]


def content_checks(expect: Expectation | None, names: Collection[str]) -> MakeCheck | None:
    """Return what makes the check of a response from the values of its request.

    None where nothing is expected of the body. `names` are those of the values.
    """
    if expect is None or not expect.of_content:
        return None
    size = expect.size_bytes
    text, key = (
        None if template is None else expected_template(template, names)
        for template in (expect.text, expect.json_key)
    )
    if not any(template is not None and template.names for template in (text, key)):
        fixed = ContentCheck(size, _filled(text, {}), _filled(key, {}))
        return lambda _values: fixed
    return lambda values: ContentCheck(size, _filled(text, values), _filled(key, values))


def _filled(template: Template | None, values: Mapping[str, Scalar]) -> str | None:
    return None if template is None else template.render(values)


def _missing(body: bytes, path: str) -> str:
    """Return why a body has not this key; "" where it has it."""
    try:
        node = from_json(body)
    except ValueError:
        return "the body is no JSON" if body else "the body is empty"
    keys = path.split(".")
    for place, key in enumerate(keys):
        if isinstance(node, dict) and ".".join(keys[place:]) in node:
            return ""
        if not _holds(node, key):
            where = f"{'.'.join(keys[:place])} is" if place else "it is"
            return f"{where} {_described(node)}"
        node = node[int(key) if isinstance(node, list) else key]
    return ""


def _holds(node: Any, key: str) -> bool:
    if isinstance(node, list):
        short = len(key) <= _MOST_DIGITS
        return short and key.isdecimal() and key.isascii() and int(key) < len(node)
    return isinstance(node, dict) and key in node


def _described(node: Any) -> str:
    """Return `an object with id, name`, `a list of 3`, `a number`."""
    if isinstance(node, dict):
        shown = ", ".join([*node][:_SHOWN_KEYS])
        left = len(node) - _SHOWN_KEYS
        more = f" and {left} more" if left > 0 else ""
        return f"an object with {shown}{more}" if node else "an empty object"
    if isinstance(node, list):
        return f"a list of {count(len(node))}"
    if isinstance(node, bool) or node is None:
        return {True: "true", False: "false", None: "null"}[node]
    return "a text" if isinstance(node, str) else "a number"
