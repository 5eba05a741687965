"""What must not be shown: values that are secret, wherever they come back.

A secret value is kept apart from the spec that it belongs to. In the spec stands a placeholder,
which tells by a keyed digest whether two are the same, and which run knows the value.
"""

import html
import json
import re
from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus, unquote

from control_plane.domain.request import (
    ChoiceValue,
    Document,
    Placeholder,
    RowValue,
    Value,
    as_object,
    placeholder_names,
    template_parts,
)
from control_plane.domain.request_rules import expected_texts, template_texts
from control_plane.domain.row_files import STANDS_FOR_SECRET, RowFile, UnreadableRows, read_rows
from control_plane.domain.spec import BaseRequest, Stream

SHORTEST_SECRET = 6
"""A shorter value, such as `1` or `debug`, would blank out half of what is shown."""

HIDDEN = "[hidden]"
_SECRET_HEADER = re.compile(
    r"(^|[-_])(auth|authorization|authentication|cookie|secret|password|passwd|credentials?"
    r"|(auth|access)?token|(api|access|private|subscription|functions)[-_]?key|session[-_]?id|signature)"
    r"($|[-_\d])",
    re.IGNORECASE,
)
_SECRET_COLUMN = re.compile(r"(^|[_\d])(pass|pwd|pin|jwt|otp)($|[_\d])", re.IGNORECASE)
_IN_URL = re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)@")
_SCHEME = re.compile(r"\s*(bearer|token|jwt|api-?key|key)?\s*", re.IGNORECASE)
_PERCENT = re.compile(r"%[0-9A-F]{2}")


def is_secret_header(name: str) -> bool:
    """Return whether the value of a header is never shown: Authorization, Cookie, X-Api-Key …"""
    return _SECRET_HEADER.search(name) is not None


def is_secret_column(name: str) -> bool:
    """Return whether the values of a column are never shown: password, api_key, pin …"""
    return is_secret_header(name) or _SECRET_COLUMN.search(name) is not None


@dataclass(frozen=True)
class HiddenSpec:
    """A document of a spec with a placeholder in the place of each secret.

    `values` were taken out: JSON by digest. `digests` are those of all placeholders, each with its
    field; empty where a placeholder does not stand alone, so that nothing can take its place.
    """

    document: Document
    values: Mapping[str, str] = field(repr=False)
    digests: tuple[tuple[str, str], ...]

    @property
    def kept(self) -> dict[str, str | None]:
        """Every digest with its value; None for one that was a placeholder before."""
        return {digest: self.values.get(digest) for _, digest in self.digests}


def hide_spec(document: Mapping[str, Any], key: bytes) -> HiddenSpec:
    """Take the secrets out of a document, which may be wrong anywhere; digests are made with `key`.

    Secret are the values of headers whose names say so, of headers with a password in a URL, of
    what is marked `"secret": true`, and of every `choice` that a secret header has a place for.
    Files of rows are taken out whole; their columns are secret by name, by mark or by their place.
    """
    # Load workers hide texts alone, and need not wait for what reads documents.
    from control_plane.domain.spec_json import request_classes

    hidden = deepcopy(dict(document))
    hiding = _Hiding(key)
    for place, request in request_classes(hidden):
        hiding.hide_request(place, request)
    return HiddenSpec(hidden, hiding.values, tuple(hiding.digests))


class _Hiding:
    """Puts placeholders into request classes, and keeps what they stand for."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.values: dict[str, str] = {}
        self.digests: list[tuple[str, str]] = []

    def hide_request(self, place: str, request: Document) -> None:
        headers, names = as_object(request.get("headers")), set[str]()
        for name, text in headers.items():
            if not isinstance(text, str) or not text:
                continue
            secret = is_secret_header(name) or _IN_URL.search(text) is not None
            if secret:
                names.update(placeholder_names(text))
            if (secret and not _only_placeholders(text)) or STANDS_FOR_SECRET.search(text):
                headers[name] = self._hidden(f"{place}.headers.{name[:40]}", text)
        for name, value in as_object(request.get("values")).items():
            field = f"{place}.values.{name[:40]}"
            if as_object(value).get("kind") == "choice":
                self._hide_choice(f"{field}.of", value, in_header=name in names)
            elif as_object(value).get("kind") == "row":
                self._hide_rows(f"{field}.file", value, names)

    def _hide_choice(self, field: str, value: Document, *, in_header: bool) -> None:
        choices = value.get("of")
        if isinstance(choices, list) and (
            in_header
            or value.get("secret") is True
            or any(STANDS_FOR_SECRET.search(str(choice)) for choice in choices)
        ):
            value["of"] = [self._hidden(field, choice) for choice in choices]
            value["secret"] = True

    def _hide_rows(self, field: str, value: Document, in_headers: Collection[str]) -> None:
        """Put a placeholder in the place of a table, with the number of its rows."""
        file, columns, marked = (value.get(name) for name in ("file", "columns", "secret"))
        if not isinstance(file, dict) or not isinstance(content := file.get("content"), str):
            return
        if isinstance(columns, list) and isinstance(marked, list | None):
            value["secret"] = [
                name
                for name in columns
                if isinstance(name, str)
                and (name in (marked or ()) or name in in_headers or is_secret_column(name))
            ]
        if found := STANDS_FOR_SECRET.fullmatch(content):
            self.digests.append((field, found[1]))
            return
        name = file.get("name", RowFile.name)
        with suppress(UnreadableRows):
            file["rows"] = len(read_rows(RowFile(content, str(name))))
        file["content"] = f"(secret {self._kept(field, json.dumps(content))})"

    def _hidden(self, field: str, value: Any) -> Any:
        """Return what stands for the value, and its placeholders, which are filled as before."""
        text = value if isinstance(value, str) else ""
        if STANDS_FOR_SECRET.search(text):
            found = STANDS_FOR_SECRET.fullmatch(text)
            self.digests.append((field, found[1] if found else ""))
            return value
        digest = self._kept(field, json.dumps(value))
        names = "".join(f" {{{name}}}" for name in placeholder_names(text))
        return f"(secret {digest}{names})"

    def _kept(self, field: str, written: str) -> str:
        """Keep a value, which is JSON, and return its digest."""
        digest = blake2b(written.encode(), key=self._key, digest_size=8).hexdigest()
        self.values[digest] = written
        self.digests.append((field, digest))
        return digest


def digests_in(text: str) -> tuple[str, ...]:
    """Return the digests of the placeholders of secrets in a text."""
    return tuple(found[1] for found in STANDS_FOR_SECRET.finditer(text))


def misplaced(requests: Iterable[tuple[str, BaseRequest]]) -> Iterator[str]:
    """Yield the fields of texts with placeholders of secrets that nothing would take the place of.

    They would be sent as they stand: only headers and choices are replaced.
    """
    for place, request in requests:
        texts = (*template_texts(request), *expected_texts(request))
        yield from (
            f"{place}.{below}"
            for below, text in texts
            if not below.startswith("headers.") and digests_in(unquote(text))
        )


def _only_placeholders(text: str) -> bool:
    """Return whether nothing stands around placeholders but the name of a scheme: `Bearer {t}`."""
    literal = "".join(part for part in template_parts(text) if isinstance(part, str))
    return bool(placeholder_names(text)) and _SCHEME.fullmatch(literal) is not None


AnyRequest = TypeVar("AnyRequest", bound=BaseRequest)


def revealed(stream: Stream, values: Mapping[str, str]) -> Stream:
    """Return the stream as it is sent; `values` are JSON by digest."""
    requests = (revealed_request(request, values) for request in stream.requests)
    return replace(stream, requests=tuple(requests))


def revealed_request(request: AnyRequest, values: Mapping[str, str]) -> AnyRequest:
    """Return the request as it is sent; `values` are JSON by digest."""

    def shown(text: Any) -> Any:
        found = STANDS_FOR_SECRET.fullmatch(text) if isinstance(text, str) else None
        return json.loads(values[found[1]]) if found else text

    def in_value(value: Value) -> Value:
        if isinstance(value, ChoiceValue) and value.secret:
            return replace(value, of=tuple(shown(choice) for choice in value.of))
        if isinstance(value, RowValue):
            return replace(value, file=replace(value.file, content=shown(value.file.content)))
        return value

    return replace(
        request,
        headers={name: shown(text) for name, text in request.headers.items()},
        values={name: in_value(value) for name, value in request.values.items()},
    )


def secret_texts(requests: Iterable[BaseRequest], values: Mapping[str, str]) -> dict[str, str]:
    """Return what may come back of the secrets of hidden requests: texts by what they are called.

    `values` are JSON by digest.
    """
    found: dict[str, str] = {}
    for hidden in requests:
        for name, text in _secrets_of(hidden, revealed_request(hidden, values)):
            called = name if found.get(name, text) == text else f"{name} {len(found) + 1}"
            found[called] = text
    return found


def _secrets_of(hidden: BaseRequest, request: BaseRequest) -> Iterator[tuple[str, str]]:
    for name, text in request.headers.items():
        if text != hidden.headers[name]:
            literals = [part for part in template_parts(text) if not isinstance(part, Placeholder)]
            whole = "".join(literals) if len(literals) == 1 else ""
            yield from (
                header_secrets(name, whole).items()
                if whole
                else ((name, part.strip()) for part in literals if not _SCHEME.fullmatch(part))
            )
    for name, value in request.values.items():
        if isinstance(value, ChoiceValue) and value.secret:
            yield from ((name, str(choice)) for choice in value.of)
            yield from _in_headers(name, value, request.headers)
        elif isinstance(value, RowValue) and value.secret:
            rows = read_rows(value.file)
            yield from ((column, str(row[column])) for row in rows for column in value.secret)


def _in_headers(
    name: str, value: ChoiceValue, headers: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield what may come back of the secret headers that a value is put into."""
    for header, text in headers.items():
        if is_secret_header(header) and name in placeholder_names(text):
            for choice in value.of:
                filled = text.replace(f"{{{name}}}", str(choice))
                yield from ((name, part) for part in header_secrets(header, filled).values())


def header_secrets(name: str, text: str) -> dict[str, str]:
    """Return the value of a secret header, and the parts of it that may come back, each called."""
    parts = [*_parts(name, text), *_basic(text)]
    return {name: text} | {
        f"part {place} of {name}": part for place, part in enumerate(parts, start=1)
    }


def _parts(name: str, text: str) -> Iterator[str]:
    """Yield what stands behind the name of the scheme, of a parameter or of a cookie."""
    pieces = text.replace(";", " ").replace(",", " ").split()
    for place, piece in enumerate(pieces):
        before, equals, after = piece.partition("=")
        if equals and after.strip("="):
            yield after.strip('"')
        elif place or len(pieces) == 1 or "cookie" in name.lower():
            yield before


def _basic(text: str) -> tuple[str, ...]:
    """Return what is encoded in a value such as `Basic dXNlcjpwYXNz`, and the password of it."""
    scheme, _, encoded = text.partition(" ")
    if scheme.lower() != "basic":
        return ()
    try:
        decoded = b64decode(encoded).decode()
    except ValueError:
        return ()
    return decoded, decoded.partition(":")[2]


class SecretFinder:
    """Finds secrets in texts: as they are, and as URLs, JSON, HTML and Python write them.

    Where it looks once, it takes a moment for each of the secrets, and none after.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._by_start: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for name, form in _forms(secrets):
            self._by_start[form[:SHORTEST_SECRET]].append((name, form))

    def hide(self, text: str) -> str:
        """Return the text as the function `hide` does."""
        pieces, end = list[str](), 0
        for first, last, name in self._found(text) if self._by_start else ():
            pieces += [text[end:first], f"[{name}]"]
            end = last
        return _IN_URL.sub(rf"\1:{HIDDEN}@", "".join([*pieces, text[end:]]))

    def hide_cut(self, text: str) -> str:
        """Return the text as the function `hide_cut` does."""
        text = self.hide(text)
        for place in range(len(text) - SHORTEST_SECRET + 1) if self._by_start else ():
            for name, form in self._by_start.get(text[place : place + SHORTEST_SECRET], ()):
                if form.startswith(text[place:]):
                    return f"{text[:place]}[{name}]"
        return text

    def _found(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield where secrets begin and end, with the name of the first of those that overlap."""
        first = last = 0
        called = ""
        for place in range(len(text) - SHORTEST_SECRET + 1):
            name, end = self._at(text, place)
            if end and place < last:
                last = max(last, end)
            elif end:
                if last:
                    yield first, last, called
                first, last, called = place, end, name
        if last:
            yield first, last, called

    def _at(self, text: str, place: int) -> tuple[str, int]:
        """Return the longest secret that begins there, and where it ends: 0 where there is none."""
        for name, form in self._by_start.get(text[place : place + SHORTEST_SECRET], ()):
            if text.startswith(form, place):
                return name, place + len(form)
        return "", 0


def hide(text: str, secrets: Mapping[str, str]) -> str:
    """Return the text with each secret replaced by its name, and passwords in URLs hidden.

    A value is found as it is, and as URLs, JSON, HTML and Python write it.
    """
    return SecretFinder(secrets).hide(text)


def hide_cut(text: str, secrets: Mapping[str, str]) -> str:
    """Return a text that may end in the middle of a secret as `hide` does, without that piece."""
    return SecretFinder(secrets).hide_cut(text)


def _forms(secrets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield how each secret may be written, with its name; the longest first."""
    forms: dict[str, str] = {}
    for name, value in secrets.items():
        plain = value.isascii() and value.isalnum()
        for form in (value,) if plain else (value, *(write(value) for write in _WAYS)):
            lower = _PERCENT.sub(lambda found: found[0].lower(), form)
            forms |= {text: name for text in (form, lower) if text not in forms}
    for form in sorted(forms, key=len, reverse=True):
        if len(form) >= SHORTEST_SECRET:
            yield forms[form], form


_WAYS: tuple[Callable[[str], str], ...] = (
    lambda value: quote(value, safe=""),
    quote,
    quote_plus,
    lambda value: json.dumps(value)[1:-1],
    html.escape,
    lambda value: repr(value)[1:-1],
    lambda value: repr(f"'{value}\"")[3:-2],
)
