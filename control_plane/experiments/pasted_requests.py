"""Requests that somebody has already, curl commands and HAR files, as request classes. Pure."""

import json
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json, to_json

from control_plane.domain.request import NAME, Method, escaped
from control_plane.domain.request_rules import SET_BY_CLIENT
from control_plane.domain.secrets import is_secret_column
from control_plane.domain.spec_json import Document
from control_plane.experiments.curl_commands import (
    FORM_TYPE,
    JSON_TYPE,
    WrittenRequest,
    of_curl,
    whole_text,
    wrong_paste,
)

MAX_CLASSES = 100
_SAFE = "%/:?[]@!$&'()*+,;=~"


@dataclass(frozen=True)
class Pasted:
    """Request classes of one origin (`http://127.0.0.1:8000`). `notes` say what was left out."""

    origin: str
    requests: tuple[Document, ...]
    notes: tuple[str, ...]


def read_pasted(text: str) -> Pasted:
    """Return the requests of curl commands or of a HAR file. Raises InvalidInput."""
    notes: list[str] = []
    text = whole_text(text.removeprefix("\ufeff"))
    found = list(_of_har(text, notes) if text.lstrip().startswith("{") else of_curl(text, notes))
    if not found:
        raise wrong_paste("There is no request in it.")
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
        raise wrong_paste(" ".join(notes))
    if len(classes) > MAX_CLASSES:
        notes.append(f"{len(classes) - MAX_CLASSES} above the limit of {MAX_CLASSES} left out.")
    return Pasted(first, tuple(classes[:MAX_CLASSES]), tuple(dict.fromkeys(notes)))


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise wrong_paste(f"{url[:60]!r} is no URL.") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise wrong_paste(f"{url[:60]!r} is no URL of HTTP.")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{port}"


# HAR


class _HarNode(BaseModel):
    model_config = ConfigDict(defer_build=True)


class _HarPair(_HarNode):
    name: str
    value: str = ""


class _HarPart(_HarPair):
    filename: str | None = Field(default=None, validation_alias="fileName")
    media_type: str | None = Field(default=None, validation_alias="contentType")


class _HarBody(_HarNode):
    media_type: str | None = Field(default=None, validation_alias="mimeType")
    text: str | None = None
    params: list[_HarPart] | None = None


class _HarRequest(_HarNode):
    method: str
    url: str
    headers: list[_HarPair] = []
    body: _HarBody | None = Field(default=None, validation_alias="postData")
    body_size: float = Field(default=-1, validation_alias="bodySize")


class _HarEntry(_HarNode):
    request: _HarRequest


class _Har(_HarNode):
    """What is read of a HAR file, as version 1.2 has it."""

    entries: list[_HarEntry] = Field(validation_alias=AliasPath("log", "entries"))


def _of_har(text: str, notes: list[str]) -> Iterator[WrittenRequest]:
    try:
        har = _Har.model_validate_json(text)
    except ValidationError as wrong:
        error = wrong.errors(include_input=False)[0]
        where = "".join(f"{part}." for part in error["loc"]).rstrip(".")
        what = error["msg"].partition(" or instance of ")[0]
        raise wrong_paste(f"This is no HAR file: {where}{where and ': '}{what}.") from None
    for sent in (entry.request for entry in har.entries):
        if sent.url.startswith(("http://", "https://")):
            yield _of_entry(sent, notes)
        else:
            notes.append(f"{sent.url.partition(':')[0][:20]}: is not HTTP: left out.")


def _of_entry(sent: _HarRequest, notes: list[str]) -> WrittenRequest:
    body = sent.body or _HarBody()
    request = WrittenRequest(
        method=sent.method.upper(),
        url=sent.url,
        headers={pair.name: pair.value for pair in sent.headers if not pair.name.startswith(":")},
        media_type=body.media_type or FORM_TYPE,
    )
    if body.text:
        request.data.append(body.text)
    elif request.media_type.startswith("multipart/"):
        for part in body.params or ():
            if part.filename is None:
                request.parts.append((part.name, part.value))
            else:
                request.add_file(part.name, part.filename, part.media_type or "", notes)
    elif body.params:
        request.data.append(urlencode([(pair.name, pair.value) for pair in body.params]))
    if not (request.data or request.parts or request.file) and _has_body(sent):
        notes.append(
            f"{request.method} {urlsplit(sent.url).path[:60]}: its body is not in the file."
        )
    return request


def _has_body(sent: _HarRequest) -> bool:
    """Whether a request had a body; browsers keep that of an upload out of the file."""
    headers = {pair.name.lower(): pair.value for pair in sent.headers}
    return sent.body_size > 0 or headers.get("content-length", "0") != "0"


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


def _request(found: WrittenRequest, notes: list[str]) -> Document:
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


def _body(found: WrittenRequest, headers: dict[str, str], made: _Class) -> Document | None:
    """Return the body; a Content-Type that the body brings itself is taken out of the headers."""
    if found.parts or found.file:
        _drop(headers, "content-type")
        names = {key: escaped(found.file[key]) for key in ("name", "filename") if found.file}
        file = {"file": found.file | names} if found.file else {}
        return {"multipart": {"fields": _fields(found.parts, made), **file}}
    if not found.data or found.in_query:
        return None
    named = next((text for name, text in headers.items() if name.lower() == "content-type"), "")
    kind = (named or found.media_type).partition(";")[0].strip().lower()
    data = ("" if kind == JSON_TYPE else "&").join(found.data)
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
    if kind == JSON_TYPE:
        try:
            value = made.text("", json.loads(data))
            # NaN, half of a surrogate pair and very deep lists could not be stored as they are.
            same = from_json(to_json(value, inf_nan_mode="null")) == value
        except (ValueError, RecursionError):
            return None
        return {"json": value} if same else None
    if kind != FORM_TYPE:
        return None
    try:
        pairs = parse_qsl(data, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        return None
    return {"form": _fields(pairs, made)}


def _fields(pairs: Sequence[tuple[str, str]], made: _Class) -> Document:
    """Return texts by name, those of one name as a list."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        text = made.text(name, value)
        before = fields.get(escaped(name))
        kept = before if isinstance(before, list) else [before]
        fields[escaped(name)] = text if before is None else [*kept, text]
    return fields
