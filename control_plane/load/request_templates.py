"""Fills placeholders `{name}` in texts, each value encoded for its place.

Templates are made before the window. A placeholder that names no value stands for itself: those of
runs that were stored before they were refused.
"""

import html
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from json.encoder import encode_basestring
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

from control_plane.domain.request import FormFields, Multipart, Placeholder, Scalar, template_parts

Escape = Callable[[Scalar], str]


class Field(NamedTuple):
    """A place for a value, which `escape` encodes."""

    name: str
    escape: Escape


class Template:
    """A text with places for values."""

    def __init__(self, pieces: Iterable[str | Field]) -> None:
        self._parts: list[str] = []
        self._fields: list[tuple[int, str, Escape]] = []
        literal: list[str] = []
        for piece in pieces:
            if isinstance(piece, str):
                literal.append(piece)
                continue
            self._parts += ["".join(literal), ""]
            self._fields.append((len(self._parts) - 1, *piece))
            literal = []
        self._parts.append("".join(literal))

    @property
    def names(self) -> frozenset[str]:
        """The placeholders that are filled."""
        return frozenset(name for _, name, _ in self._fields)

    def render(self, values: Mapping[str, Scalar]) -> str:
        """Return the text with its placeholders filled."""
        parts = self._parts.copy()
        for place, name, escape in self._fields:
            parts[place] = escape(values[name])
        return "".join(parts)


def path_template(text: str, names: Collection[str]) -> Template:
    """Return the template of a path with its query.

    Values are percent-encoded, so that none can end its segment; the rest stays as it is.
    """
    return Template(_pieces(text, names, _quoted))


def header_template(text: str, names: Collection[str]) -> Template:
    """Return the template of a header; values that no header may hold are percent-encoded."""
    return Template(_pieces(text, names, _printable))


def text_template(text: str, names: Collection[str], media_type: str) -> Template:
    """Return the template of a text body; values are encoded as its media type wants it."""
    kind = media_type.partition(";")[0].strip().lower()
    return Template(_pieces(text, names, _TEXT_ESCAPES.get(kind.rpartition("+")[2], str)))


def expected_template(text: str, names: Collection[str]) -> Template:
    """Return the template of a text that a response is to hold; values stand in it as they are."""
    return Template(_pieces(text, names, str))


def form_template(fields: FormFields, names: Collection[str]) -> Template:
    """Return the template of a form, as `application/x-www-form-urlencoded`."""
    return Template(_form_pieces(fields, names))


def json_template(document: Any, names: Collection[str]) -> Template:
    """Return the template of a JSON value.

    A string that is nothing but a placeholder becomes the value itself, a number or a string.
    """
    return Template(_json_pieces(document, names))


def multipart_template(body: Multipart, names: Collection[str], boundary: str) -> Template:
    """Return the template of a form with a file, up to the content of that file."""
    return Template(_part_pieces(body, names, boundary))


def _pieces(
    text: str, names: Collection[str], escape: Escape, literal: Callable[[str], str] = str
) -> Iterator[str | Field]:
    """Yield the text with a field for each of `names`; `literal` encodes what stands around."""
    for part in template_parts(text):
        if isinstance(part, str):
            yield literal(part)
        elif part.name in names:
            yield Field(part.name, escape)
        else:
            yield literal(f"{{{part.name}}}")


def _form_pieces(fields: FormFields, names: Collection[str]) -> Iterator[str | Field]:
    separator = ""
    for name, item in _items(fields):
        yield separator
        yield from _pieces(name, names, _form_quoted, quote_plus)
        yield "="
        yield from _pieces(str(item), names, _form_quoted, quote_plus)
        separator = "&"


def _part_pieces(body: Multipart, names: Collection[str], boundary: str) -> Iterator[str | Field]:
    for name, item in _items(body.fields):
        yield f'--{boundary}\r\nContent-Disposition: form-data; name="'
        yield from _pieces(name, names, _part_name, _part_name)
        yield '"\r\n\r\n'
        yield from _pieces(str(item), names, str)
        yield "\r\n"
    if (file := body.file) is not None:
        yield f'--{boundary}\r\nContent-Disposition: form-data; name="'
        yield from _pieces(file.name, names, _part_name, _part_name)
        yield '"; filename="'
        yield from _pieces(file.filename, names, _part_name, _part_name)
        yield f'"\r\nContent-Type: {file.content_type}\r\n\r\n'


def _items(fields: FormFields) -> Iterator[tuple[str, Scalar]]:
    """Yield each field of a form with its value, once for each where it has several."""
    for name, content in fields.items():
        for item in content if isinstance(content, tuple) else (content,):
            yield name, item


def _json_pieces(node: Any, names: Collection[str]) -> Iterator[str | Field]:
    if isinstance(node, str):
        found = [part for part in template_parts(node) if part]
        if len(found) == 1 and isinstance(found[0], Placeholder) and found[0].name in names:
            yield Field(found[0].name, _json_value)
        else:
            yield from _json_string(node, names)
    elif isinstance(node, dict):
        yield from _json_members(node, names)
    elif isinstance(node, list | tuple):
        separator = "["
        for item in node:
            yield separator
            yield from _json_pieces(item, names)
            separator = ","
        yield "]" if node else "[]"
    else:
        yield json.dumps(node)


def _json_members(node: Mapping[str, Any], names: Collection[str]) -> Iterator[str | Field]:
    separator = "{"
    for key, value in node.items():
        yield separator
        yield from _json_string(key, names)
        yield ":"
        yield from _json_pieces(value, names)
        separator = ","
    yield "}" if node else "{}"


def _json_string(text: str, names: Collection[str]) -> Iterator[str | Field]:
    yield '"'
    yield from _pieces(text, names, _inside_quotes, _inside_quotes)
    yield '"'


def _quoted(value: Scalar) -> str:
    text = str(value)
    return text if text.isalnum() and text.isascii() else quote(text, safe="")


def _form_quoted(value: Scalar) -> str:
    text = str(value)
    return text if text.isalnum() and text.isascii() else quote_plus(text)


def _printable(value: Scalar) -> str:
    text = str(value)
    plain = text.isascii() and text.isprintable() and text == text.strip()
    return text if plain else quote(text)


def _inside_quotes(value: Scalar) -> str:
    return encode_basestring(str(value))[1:-1]


def _json_value(value: Scalar) -> str:
    return encode_basestring(value) if isinstance(value, str) else str(value)


def _part_name(value: Scalar) -> str:
    """Encode as browsers do in the head of a part (WHATWG, multipart/form-data)."""
    return str(value).replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _xml_text(value: Scalar) -> str:
    return html.escape(str(value))


_TEXT_ESCAPES: Mapping[str, Escape] = {
    "application/x-www-form-urlencoded": _form_quoted,
    "application/json": _inside_quotes,
    "json": _inside_quotes,
    "application/xml": _xml_text,
    "text/xml": _xml_text,
    "text/html": _xml_text,
    "xml": _xml_text,
}
"""By media type, or by what follows a plus in it; the values of any other stand as they are."""
