"""Requests that somebody has already, curl commands and HAR files, as request classes. Pure."""

import json
import re
import shlex
import tomllib
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from pydantic import AliasPath, BaseModel, Field, ValidationError
from pydantic_core import from_json, to_json

from control_plane.domain.errors import FieldError, InvalidInput, refused
from control_plane.domain.request_bodies_and_values import NAME, escaped
from control_plane.domain.request_rules import SET_BY_CLIENT
from control_plane.domain.secrets import is_secret_column
from control_plane.domain.spec import Method
from control_plane.domain.spec_json import Document

MAX_CLASSES = 100
_PASTE = "paste"
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_SAFE = "%/:?[]@!$&'()*+,;=~"
_CONTINUED = re.compile(r"\\\r?\n")
_ANSI_C = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)


@dataclass(frozen=True)
class Pasted:
    """Request classes of one origin (`http://127.0.0.1:8000`). `notes` say what was left out."""

    origin: str
    requests: tuple[Document, ...]
    notes: tuple[str, ...]


@dataclass
class _Found:
    """One request as it was written."""

    method: str = ""
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    data: list[str] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)
    media_type: str = _FORM
    in_query: bool = False


def read_pasted(text: str) -> Pasted:
    """Return the requests of curl commands or of a HAR file. Raises InvalidInput."""
    notes: list[str] = []
    text = _whole(text.removeprefix("\ufeff"))
    found = list(_of_har(text, notes) if text.lstrip().startswith("{") else _of_curl(text, notes))
    if not found:
        raise _wrong("There is no request in it.")
    origins = Counter(_origin(request.url) for request in found)
    first = _origin(found[0].url)
    if others := [origin for origin in origins if origin != first]:
        left = sum(origins[origin] for origin in others)
        what = "request" if left == 1 else "requests"
        notes.append(f"{left} {what} to other addresses left out: {', '.join(others[:5])}.")
    own = [request for request in found if _origin(request.url) == first]
    methods = {request.method for request in own}.difference(get_args(Method))
    notes += (f"{name[:20]} is no method that can be sent: left out." for name in sorted(methods))
    made = Counter(json.dumps(_request(sent, notes)) for sent in own if sent.method not in methods)
    classes = [json.loads(written) | {"weight": times} for written, times in made.items()]
    if not classes:
        raise _wrong(" ".join(notes))
    if len(classes) > MAX_CLASSES:
        notes.append(f"{len(classes) - MAX_CLASSES} above the limit of {MAX_CLASSES} left out.")
    return Pasted(first, tuple(classes[:MAX_CLASSES]), tuple(dict.fromkeys(notes)))


def _wrong(message: str) -> InvalidInput:
    return refused((FieldError(_PASTE, message),))


def _whole(text: str) -> str:
    """Return the text with pairs of surrogates as what they stand for. Refuses half a pair."""
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise _wrong("There is half of a character in it (a lone surrogate).") from None


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise _wrong(f"{url[:60]!r} is no URL.") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _wrong(f"{url[:60]!r} is no URL of HTTP.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"


# curl

_FLAGS = tomllib.loads(Path(__file__).with_name("curl_flags.toml").read_text(encoding="utf-8"))
_LONG: dict[str, str] = _FLAGS["long"]
_LEFT_OUT = {*_FLAGS["left_out_with_value"]}
_VALUED = {*_FLAGS["taken_with_value"], *_FLAGS["without_effect_with_value"], *_LEFT_OUT}
_ALONE = {*_FLAGS["taken_alone"], *_FLAGS["without_effect_alone"]}
_WITHOUT_EFFECT = {*_FLAGS["without_effect_with_value"], *_FLAGS["without_effect_alone"]}
_PERHAPS_URL = "?"


def _of_curl(text: str, notes: list[str]) -> Iterator[_Found]:
    try:
        words = shlex.split(_ANSI_C.sub(_plainly_quoted, _CONTINUED.sub(" ", text)))
    except ValueError as error:
        raise _wrong(f"This cannot be read as a command: {error}.") from None
    if not words or words[0] != "curl":
        raise _wrong("Paste a command that begins with curl, or the JSON of a HAR file.")
    commands: list[list[str]] = []
    for word in words:
        if word == "curl":
            commands.append([])
        elif word not in {"&&", ";", "&", "|"}:
            commands[-1].append(word)
    for command in commands:
        yield from _of_command(command, notes)


def _plainly_quoted(found: re.Match[str]) -> str:
    """Return what `$'…'` stands for, quoted as shlex reads it."""
    text = found[1].encode("latin-1", "backslashreplace").decode("unicode_escape")
    return shlex.quote(_whole(text))


def _of_command(words: Sequence[str], notes: list[str]) -> Iterator[_Found]:
    request, found = _Found(), dict[str, list[str]]()
    for flag, value in _flags(words, notes):
        if flag in {"", "--url", _PERHAPS_URL}:
            found.setdefault(flag, []).append(value.rstrip(";"))
        elif flag in _LEFT_OUT:
            notes.append(f"{flag} is left out.")
        else:
            _take(request, flag, value, notes)
    urls = [*found.get("", ()), *found.get("--url", ())] or found.get(_PERHAPS_URL, [])[-1:]
    if not urls:
        raise _wrong("A command without a URL: write the whole command.")
    if not request.method:
        sends = (request.data and not request.in_query) or request.parts
        request.method = "POST" if sends else "GET"
    for url in urls:
        yield _Found(**{**vars(request), "url": url})


def _flags(words: Sequence[str], notes: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each flag by its long name with its value; a URL has the name "".

    What stands behind an unknown flag is either its value or a URL.
    """
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-") or word == "-":
            yield "", word
            continue
        name, equals, value = word.partition("=") if word.startswith("--") else (word[:2], "", "")
        name = _LONG.get(name, name)
        if name in _VALUED:
            inside = value if word.startswith("--") else word[2:]
            yield name, inside if inside or equals else (left.pop(0) if left else "")
            continue
        if not word.startswith("--") and len(word) > 2:
            left.insert(0, f"-{word[2:]}")
        if name in _ALONE:
            yield name, ""
            continue
        notes.append(f"{name[:40]} is no flag that is known here: left out.")
        if left and not left[0].startswith("-") and "://" not in left[0]:
            yield _PERHAPS_URL, left.pop(0)


def _take(request: _Found, flag: str, value: str, notes: list[str]) -> None:
    """Take a flag into the request; what cannot be taken becomes a note."""
    if flag in {"--request", "--head"}:
        request.method = value.upper() or "HEAD"
    elif flag == "--get":
        request.in_query = True
    elif flag == "--header":
        key, _, text = value.partition(":")
        request.headers[key.strip()] = text.strip()
    elif flag in _HEADER_FLAGS:
        header, written = _HEADER_FLAGS[flag]
        request.headers[header] = written(value)
    elif flag.startswith("--form"):
        name, _, text = value.partition("=")
        request.parts[name] = text
    elif flag == "--location":
        notes.append("-L follows redirects, which a run does not: name the last path.")
    elif flag not in _WITHOUT_EFFECT:
        _take_data(request, flag, value, notes)


_HEADER_FLAGS: dict[str, tuple[str, Callable[[str], str]]] = {
    "--cookie": ("Cookie", str),
    "--user-agent": ("User-Agent", str),
    "--referer": ("Referer", str),
    "--oauth2-bearer": ("Authorization", lambda value: f"Bearer {value}"),
    "--user": ("Authorization", lambda value: f"Basic {b64encode(value.encode()).decode()}"),
}


def _take_data(request: _Found, flag: str, value: str, notes: list[str]) -> None:
    if flag == "--json":
        request.media_type = _JSON
        request.headers.setdefault("Accept", _JSON)
    if value.startswith("@") and flag != "--data-raw":
        notes.append(f"{value[:60]} is a file, which is not read here: put its text into the body.")
    elif flag == "--data-urlencode":
        name, equals, text = value.partition("=")
        request.data.append(f"{name}={quote(text, safe='')}" if equals else quote(name, safe=""))
    else:
        request.data.append(value)


# HAR


class _HarPair(BaseModel):
    name: str
    value: str = ""


class _HarBody(BaseModel):
    media_type: str | None = Field(default=None, validation_alias="mimeType")
    text: str | None = None
    params: list[_HarPair] | None = None


class _HarRequest(BaseModel):
    method: str
    url: str
    headers: list[_HarPair] = []
    body: _HarBody | None = Field(default=None, validation_alias="postData")


class _HarEntry(BaseModel):
    request: _HarRequest


class _Har(BaseModel):
    """What is read of a HAR file, as version 1.2 has it."""

    entries: list[_HarEntry] = Field(validation_alias=AliasPath("log", "entries"))


def _of_har(text: str, notes: list[str]) -> Iterator[_Found]:
    try:
        har = _Har.model_validate_json(text)
    except ValidationError as wrong:
        error = wrong.errors(include_input=False)[0]
        where = "".join(f"{part}." for part in error["loc"]).rstrip(".")
        what = error["msg"].partition(" or instance of ")[0]
        raise _wrong(f"This is no HAR file: {where}{where and ': '}{what}.") from None
    for sent in (entry.request for entry in har.entries):
        if sent.url.startswith(("http://", "https://")):
            yield _of_entry(sent)
        else:
            notes.append(f"{sent.url.partition(':')[0][:20]}: is not HTTP: left out.")


def _of_entry(sent: _HarRequest) -> _Found:
    body = sent.body or _HarBody()
    text = body.text or urlencode([(pair.name, pair.value) for pair in body.params or ()])
    return _Found(
        method=sent.method.upper(),
        url=sent.url,
        headers={pair.name: pair.value for pair in sent.headers if not pair.name.startswith(":")},
        data=[text] if text else [],
        media_type=body.media_type or _FORM,
    )


# Request classes


class _Class:
    """A request class in the making; `values` are the secrets that were found in its texts."""

    def __init__(self) -> None:
        self.values: dict[str, Document] = {}

    def text(self, name: str, value: Any) -> Any:
        """Return the value of a field as it is sent; of a secret one a placeholder."""
        if isinstance(value, dict):
            return {escaped(key): self.text(key, inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.text(name, inner) for inner in value]
        if not isinstance(value, str) or not value:
            return value
        return self.secret(name, value) or escaped(value)

    def secret(self, name: str, value: str) -> str:
        """Return the placeholder of a secret; empty for what is none."""
        if not is_secret_column(name) or not NAME.fullmatch(name):
            return ""
        kept = {"kind": "choice", "of": [value], "secret": True}
        while self.values.setdefault(name, kept) != kept:
            name = f"{name}_"
        return f"{{{name}}}"


def _request(found: _Found, notes: list[str]) -> Document:
    made, parts = _Class(), urlsplit(found.url if "://" in found.url else f"http://{found.url}")
    query = "&".join(filter(None, (parts.query, *(found.data if found.in_query else ()))))
    headers = {
        name: text
        for name, text in found.headers.items()
        if name.lower() not in SET_BY_CLIENT and text
    }
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    body = _body(found, headers, made)
    if body and found.method in {"GET", "HEAD", "OPTIONS"}:
        notes.append(f"{found.method} carries no body here: that of {parts.path[:60]} is left out.")
        body = None
    document: Document = {"method": found.method, "path": _path(parts.path, query, made)}
    document |= {"values": made.values} if made.values else {}
    sent = {name: escaped(quote(text, safe=_PRINTABLE)) for name, text in headers.items()}
    return document | ({"headers": sent} if sent else {}) | ({"body": body} if body else {})


_PRINTABLE = "".join(map(chr, range(32, 127)))


def _path(path: str, query: str, made: _Class) -> str:
    pairs = []
    for pair in filter(None, query.split("&")):
        name, equals, value = pair.partition("=")
        secret = made.secret(unquote(name), unquote(value)) if value else ""
        own = secret or escaped(quote(value, safe=_SAFE))
        pairs.append(f"{escaped(quote(name, safe=_SAFE))}{equals}{own}")
    whole = escaped(quote("/" + path.lstrip("/"), safe=_SAFE))
    return f"{whole}?{'&'.join(pairs)}" if pairs else whole


def _body(found: _Found, headers: dict[str, str], made: _Class) -> Document | None:
    """Return the body; a Content-Type that the body brings itself is taken out of the headers."""
    if found.parts:
        _drop(headers, "content-type")
        fields = {name: made.text(name, text) for name, text in found.parts.items()}
        files = [name for name, text in found.parts.items() if text.startswith("@")]
        kept = {escaped(name): text for name, text in fields.items() if name not in files}
        file = {"file": {"name": files[0], "size_bytes": 1_000}} if files else {}
        return {"multipart": {"fields": kept, **file}}
    if not found.data or found.in_query:
        return None
    named = next((text for name, text in headers.items() if name.lower() == "content-type"), "")
    kind = (named or found.media_type).partition(";")[0].strip().lower()
    data = ("" if kind == _JSON else "&").join(found.data)
    structured = _structured(kind, data, made)
    if structured is not None:
        _drop(headers, "content-type")
        return structured
    if not named:
        headers["Content-Type"] = found.media_type
    return {"text": escaped(data)}


def _drop(headers: dict[str, str], name: str) -> None:
    for known in [known for known in headers if known.lower() == name]:
        del headers[known]


def _structured(kind: str, data: str, made: _Class) -> Document | None:
    """Return JSON and forms as such; None for what is neither, or would be sent otherwise."""
    if kind == _JSON:
        try:
            value = made.text("", json.loads(data))
            # NaN, half of a surrogate pair and very deep lists could not be stored as they are.
            same = from_json(to_json(value, inf_nan_mode="null")) == value
        except (ValueError, RecursionError):
            return None
        return {"json": value} if same else None
    if kind != _FORM:
        return None
    try:
        pairs = parse_qsl(data, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        return None
    fields: dict[str, Any] = {}
    for name, value in pairs:
        text = made.text(name, value)
        before = fields.get(escaped(name))
        kept = before if isinstance(before, list) else [before]
        fields[escaped(name)] = text if before is None else [*kept, text]
    return {"form": fields}
