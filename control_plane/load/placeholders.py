"""Fills placeholders `{name}` in texts, each value encoded for its place."""

import json
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote

from control_plane.domain.request_rules import PLACEHOLDER

Escape = Callable[[str], str]


class Template:
    """A text whose placeholders are known.

    `names` maps what stands between braces to the name of a value; other braces stand for
    themselves. `escape` encodes a value for its place, `literal` the text around it.
    """

    def __init__(
        self, text: str, names: Mapping[str, str], escape: Escape, literal: Escape = str
    ) -> None:
        self._parts: list[str] = []
        self._escape = escape
        self._fields: list[tuple[int, str]] = []
        # PLACEHOLDER has one group, so texts and names take turns.
        for place, part in enumerate(PLACEHOLDER.split(text)):
            named = place % 2 == 1
            if named and part in names:
                self._fields.append((len(self._parts), names[part]))
            self._parts.append(literal(f"{{{part}}}" if named else part))

    @property
    def names(self) -> frozenset[str]:
        """The placeholders that are filled."""
        return frozenset(name for _, name in self._fields)

    def render(self, values: Mapping[str, str]) -> str:
        """Return the text with its placeholders filled."""
        parts = self._parts.copy()
        for place, name in self._fields:
            parts[place] = self._escape(values[name])
        return "".join(parts)


def path_template(text: str, names: Collection[str]) -> Template:
    """Return the template of a path with its query.

    Values are percent-encoded, so that none can end its segment; the rest stays as it is.
    """
    return Template(text, {name: name for name in names}, _quoted)


def header_template(text: str, names: Collection[str]) -> Template:
    """Return the template of a header; values that no header may hold are percent-encoded."""
    return Template(text, {name: name for name in names}, _printable)


def json_template(document: Any, names: Collection[str]) -> Template:
    """Return the template of a JSON value; placeholders in keys are not filled."""
    mark = secrets.token_hex(8)
    marked = {f"{mark}{name}": name for name in names}
    text = json.dumps(_marked(document, names, mark), ensure_ascii=False, separators=(",", ":"))
    return Template(text, marked, _inside_quotes)


def _marked(node: Any, names: Collection[str], mark: str) -> Any:
    """The value with `mark` before the names of placeholders that are filled."""
    if isinstance(node, str):
        return PLACEHOLDER.sub(
            lambda found: f"{{{mark if found[1] in names else ''}{found[1]}}}", node
        )
    if isinstance(node, dict):
        return {key: _marked(value, names, mark) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_marked(value, names, mark) for value in node]
    return node


def _quoted(value: str) -> str:
    return value if value.isalnum() and value.isascii() else quote(value, safe="")


def _printable(value: str) -> str:
    plain = value.isascii() and value.isprintable() and value == value.strip()
    return value if plain else quote(value)


def _inside_quotes(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]
