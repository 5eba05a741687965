"""What must not be shown: values that are secret, wherever they come back.

A secret value is kept apart from the spec that it belongs to. In the spec stands a placeholder,
which tells by a keyed digest whether two are the same, and which run knows the value.
"""

import html
import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from control_plane.domain.request_bodies_and_values import (
    ChoiceValue,
    Placeholder,
    Value,
    placeholder_names,
    template_parts,
)
from control_plane.domain.request_rules import expected_texts, template_texts
from control_plane.domain.spec import RequestClass, Stream
from control_plane.domain.spec_json import Document
from control_plane.domain.stream_record import FailedResponse

SHORTEST_SECRET = 6
"""A shorter value, such as `1` or `debug`, would blank out half of what is shown."""

HIDDEN = "[hidden]"
_SECRET_HEADER = re.compile(
    r"(^|[-_])(auth|authorization|authentication|cookie|secret|password|passwd|credentials?"
    r"|(auth|access)?token|(api|access|private|subscription|functions)[-_]?key|session[-_]?id|signature)"
    r"($|[-_\d])",
    re.IGNORECASE,
)
_SECRET_VARIABLE = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|CREDENTIAL|WEBHOOK|TOKEN(?!IZ)|(API|ACCESS|PRIVATE)_?KEY"
    r"|(^|_)(PASS|JWT|COOKIE|SALT)(_|\d*$)|_PWD$|(^|_)(KEYS?|AUTH)\d*$",
    re.IGNORECASE,
)
_ABOUT_A_SECRET = re.compile(
    r"(?<!WEBHOOK)_(URL|URI|PATH|FILE|DIR|HOST|PORT|NAME|USER|MODEL|MODULE|CLASS|BACKEND|PROVIDER|SERVICE"
    r"|HASHERS?|VALIDATORS|ALGORITHM|TYPE|HEADER|PREFIX|LENGTH|TTL|TIMEOUT|LIFETIME|AGE|EXPIRY"
    r"|EXPIRES?|SECONDS|MINUTES|DAYS|ENABLED|ISSUER|AUDIENCE|DOMAIN|SAMESITE)$",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)@")
_URL_PASSWORD = re.compile(r"://(?:[^\s/:@]*:([^\s/]+)|([^\s/:@]{16,}))@")
"""As programs read it, up to the last `@`; a long user without a password is a token."""
_PARAMETER = re.compile(
    r"(?:password|passwd|pwd|secret|token|api_?key|accesskey)[\"']?\s*[=:]\s*[\"']?([^\s\"'&;,}]+)",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"\s*(bearer|token|jwt|api-?key|key)?\s*", re.IGNORECASE)
_STANDS_FOR = re.compile(r"\(secret ([0-9a-f]{16})((?: \{[^\s{}]+\})*)\)")
_PERCENT = re.compile(r"%[0-9A-F]{2}")


def is_secret_header(name: str) -> bool:
    """Return whether the value of a header is never shown: Authorization, Cookie, X-Api-Key …"""
    return _SECRET_HEADER.search(name) is not None


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
    """
    hidden = deepcopy(dict(document))
    hiding = _Hiding(key)
    for place, request in _request_classes(hidden):
        hiding.hide_request(place, request)
    return HiddenSpec(hidden, hiding.values, tuple(hiding.digests))


def _request_classes(document: Document) -> Iterator[tuple[str, Document]]:
    """Yield each request class with its field, as far as the document has such a shape."""
    for place, stream in _items(_object(document.get("workload")).get("streams"), "streams"):
        yield from (
            (f"workload.{place}.{inside}", request)
            for inside, request in _items(stream.get("requests"), "requests")
        )


def _items(found: Any, name: str) -> Iterator[tuple[str, Document]]:
    for index, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, dict):
            yield f"{name}.{index}", item


def _object(found: Any) -> Document:
    return found if isinstance(found, dict) else {}


class _Hiding:
    """Puts placeholders into request classes, and keeps what they stand for."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.values: dict[str, str] = {}
        self.digests: list[tuple[str, str]] = []

    def hide_request(self, place: str, request: Document) -> None:
        headers, names = _object(request.get("headers")), set[str]()
        for name, text in headers.items():
            if not isinstance(text, str) or not text:
                continue
            secret = is_secret_header(name) or _IN_URL.search(text) is not None
            if secret:
                names.update(placeholder_names(text))
            if (secret and not _only_placeholders(text)) or _STANDS_FOR.search(text):
                headers[name] = self._hidden(f"{place}.headers.{name[:40]}", text)
        for name, value in _object(request.get("values")).items():
            choices = _object(value).get("of")
            if not isinstance(choices, list) or value.get("kind") != "choice":
                continue
            known = any(_STANDS_FOR.search(str(choice)) for choice in choices)
            if known or name in names or value.get("secret") is True:
                field = f"{place}.values.{name[:40]}.of"
                value["of"] = [self._hidden(field, choice) for choice in choices]
                value["secret"] = True

    def _hidden(self, field: str, value: Any) -> Any:
        """Return what stands for the value, and its placeholders, which are filled as before."""
        text = value if isinstance(value, str) else ""
        if _STANDS_FOR.search(text):
            found = _STANDS_FOR.fullmatch(text)
            self.digests.append((field, found[1] if found else ""))
            return value
        written = json.dumps(value)
        digest = blake2b(written.encode(), key=self._key, digest_size=8).hexdigest()
        self.values[digest] = written
        self.digests.append((field, digest))
        names = "".join(f" {{{name}}}" for name in placeholder_names(text))
        return f"(secret {digest}{names})"


def is_secret_variable(name: str) -> bool:
    """Return whether the whole value of an environment variable is never shown: SECRET_KEY …

    Not that of one which tells about a secret, such as PASSWORD_FILE or TOKEN_URL.
    """
    return bool(_SECRET_VARIABLE.search(name)) and not _ABOUT_A_SECRET.search(name)


def variable_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the texts of environment variables that are secret, by what they are called.

    The values of those whose names say so; of others the passwords in URLs and in parameters,
    such as `password=…` of a connection string.
    """
    found: dict[str, str] = {}
    for name, value in variables.items():
        if is_secret_variable(name):
            found[name] = value
        for number, text in enumerate(dict.fromkeys(_passwords_in(value)), start=1):
            found[f"password {number} of {name}" if number > 1 else f"password of {name}"] = text
    return found


def _passwords_in(value: str) -> Iterator[str]:
    """Yield them as they are written, and as they are meant where URLs encode them."""
    for pattern in (_URL_PASSWORD, _PARAMETER):
        for match in pattern.finditer(value):
            written = next(filter(None, match.groups()))
            yield from (written, unquote(written))


def digests_in(text: str) -> tuple[str, ...]:
    """Return the digests of the placeholders of secrets in a text."""
    return tuple(found[1] for found in _STANDS_FOR.finditer(text))


def misplaced(streams: Iterable[Stream]) -> Iterator[str]:
    """Yield the fields of texts with placeholders of secrets that nothing would take the place of.

    They would be sent as they stand: only headers and choices are replaced.
    """
    for index, stream in enumerate(streams):
        for number, request in enumerate(stream.requests):
            field = f"workload.streams.{index}.requests.{number}"
            texts = (*template_texts(request), *expected_texts(request))
            yield from (
                f"{field}.{place}"
                for place, text in texts
                if not place.startswith("headers.") and digests_in(unquote(text))
            )


def _only_placeholders(text: str) -> bool:
    """Return whether nothing stands around placeholders but the name of a scheme: `Bearer {t}`."""
    literal = "".join(part for part in template_parts(text) if isinstance(part, str))
    return bool(placeholder_names(text)) and _SCHEME.fullmatch(literal) is not None


def revealed(stream: Stream, values: Mapping[str, str]) -> Stream:
    """Return the stream as it is sent; `values` are JSON by digest."""

    def shown(text: Any) -> Any:
        found = _STANDS_FOR.fullmatch(text) if isinstance(text, str) else None
        return json.loads(values[found[1]]) if found else text

    def in_value(value: Value) -> Value:
        if isinstance(value, ChoiceValue) and value.secret:
            return replace(value, of=tuple(shown(choice) for choice in value.of))
        return value

    requests = (
        replace(
            request,
            headers={name: shown(text) for name, text in request.headers.items()},
            values={name: in_value(value) for name, value in request.values.items()},
        )
        for request in stream.requests
    )
    return replace(stream, requests=tuple(requests))


def secret_texts(streams: Iterable[Stream], values: Mapping[str, str]) -> dict[str, str]:
    """Return what may come back of the secrets of hidden streams: texts by what they are called.

    `values` are JSON by digest.
    """
    found: dict[str, str] = {}
    for stream in streams:
        for hidden, request in zip(stream.requests, revealed(stream, values).requests, strict=True):
            for name, text in _secrets_of(hidden, request):
                called = name if found.get(name, text) == text else f"{name} {len(found) + 1}"
                found[called] = text
    return found


def _secrets_of(hidden: RequestClass, request: RequestClass) -> Iterator[tuple[str, str]]:
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


def hide(text: str, secrets: Mapping[str, str]) -> str:
    """Return the text with each secret replaced by its name, and passwords in URLs hidden.

    A value is found as it is, and as URLs, JSON, HTML and Python write it.
    """
    for name, form in _forms(secrets):
        text = text.replace(form, f"[{name}]")
    return _IN_URL.sub(rf"\1:{HIDDEN}@", text)


def hide_cut(text: str, secrets: Mapping[str, str]) -> str:
    """Return a text that may end in the middle of a secret as `hide` does, without that piece."""
    text = hide(text, secrets)
    for name, form in _forms(secrets):
        for length in range(min(len(form) - 1, len(text)), SHORTEST_SECRET - 1, -1):
            if text.endswith(form[:length]):
                return f"{text[:-length]}[{name}]"
    return text


def _forms(secrets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield how each secret may be written, with its name; the longest first."""
    forms: dict[str, str] = {}
    for name, value in secrets.items():
        for form in (value, *(write(value) for write in _WAYS)):
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


def without_secrets(failed: FailedResponse, secrets: Mapping[str, str]) -> FailedResponse:
    """Return a failed response with the secrets hidden in all of its texts."""
    return replace(
        failed,
        request=hide_cut(failed.request, secrets),
        location=hide(failed.location, secrets) if failed.location else failed.location,
        head=hide_cut(failed.head, secrets),
        body=hide_cut(failed.body, secrets),
        detail=hide_cut(failed.detail, secrets),
    )
