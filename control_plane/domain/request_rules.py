"""The rules of one request class. Pure: a request class in, wrong fields out."""

import re
from math import isfinite

from control_plane.domain.errors import FieldError
from control_plane.domain.limits import Limits, Wrong, bounded, bounded_text, counted
from control_plane.domain.spec import (
    ChoiceValue,
    GeneratedBody,
    IntegerValue,
    Json,
    JsonBody,
    RequestClass,
    SequenceValue,
    StringValue,
    TextBody,
    Value,
)

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_SET_BY_CLIENT = {
    "host", "content-length", "transfer-encoding", "connection", "expect", "accept-encoding",
}  # fmt: skip


def wrong_request(field: str, request: RequestClass, limits: Limits) -> Wrong:
    """Find what is wrong with a request class; `field` is its path in the spec."""
    yield from _path(f"{field}.path", request)
    yield from counted(f"{field}.values", len(request.values), 0, 20, "values")
    for name, value in request.values.items():
        yield from _value(f"{field}.values.{name[:40]}", name, value)
    yield from counted(f"{field}.headers", len(request.headers), 0, 50, "headers")
    yield from _headers(f"{field}.headers", request.headers)
    yield from _body(f"{field}.body", request, limits)
    for status in request.expect or ():
        yield from bounded(f"{field}.expect", status, 200, 599)
    if request.expect == ():
        yield FieldError(
            f"{field}.expect",
            "Name at least one status, or leave it null for 200 to 299.",
        )
    yield from bounded(f"{field}.weight", request.weight, 0.001, 1_000_000)


def _path(field: str, request: RequestClass) -> Wrong:
    path = request.path
    if not path.startswith("/") or path.startswith("//"):
        yield FieldError(field, "A path starts with one slash: /items/{item_id}.")
    elif (
        not path.isascii()
        or any(char <= " " or char == "\x7f" for char in path)
        or "#" in path
        or "\\" in path
    ):
        yield FieldError(field, "Write spaces and special signs percent-encoded, such as %20.")
    elif len(path) > 2_000:
        yield FieldError(field, f"{len(path):,} characters are above the limit of 2,000.", 2_000)
    else:
        unknown = [name for name in PLACEHOLDER.findall(path) if name not in request.values]
        if unknown:
            yield _valueless(field, unknown[0][:40])


def _valueless(field: str, name: str) -> FieldError:
    example = f'"values": {{"{name}": {{"kind": "integer", "low": 1, "high": 5}}}}'
    message = f"{{{name}}} has no value: say where it comes from, such as {example}."
    if _NAME.fullmatch(name):
        return FieldError(field, message, at_field=f"{{{name}}} has no value: choose it below.")
    named = "a name begins with a letter, then come letters, digits and _, up to 40"
    return FieldError(field, message, at_field=f"{{{name}}} is no placeholder: {named}.")


def _value(field: str, name: str, value: Value) -> Wrong:
    if not _NAME.fullmatch(name):
        yield FieldError(field, "A name is made of letters, digits and _, up to 40.")
    if isinstance(value, IntegerValue):
        yield from bounded(f"{field}.low", value.low, -(2**53), 2**53)
        yield from bounded(f"{field}.high", value.high, -(2**53), 2**53)
        if value.low > value.high:
            yield FieldError(
                f"{field}.high",
                f"{value.high:,} is below low, {value.low:,}.",
                value.low,
            )
    elif isinstance(value, SequenceValue):
        yield from bounded(f"{field}.start", value.start, -(2**53), 2**53)
        yield from bounded(f"{field}.step", value.step, -(2**31), 2**31)
    elif isinstance(value, StringValue):
        yield from bounded(f"{field}.length", value.length, 1, 10_000)
    elif isinstance(value, ChoiceValue):
        yield from counted(f"{field}.of", len(value.of), 1, 1_000, "choices")
        for choice in value.of:
            yield from bounded_text(f"{field}.of", str(choice), 1_000)


def _headers(field: str, headers: dict[str, str]) -> Wrong:
    seen: dict[str, str] = {}
    for name, content in headers.items():
        yield from _header(f"{field}.{name[:40]}", name, content)
        same = seen.setdefault(name.lower(), name)
        if same != name:
            message = f"This is the same header as {same[:40]}: give it once."
            yield FieldError(f"{field}.{name[:40]}", message)


def _header(field: str, name: str, content: str) -> Wrong:
    if not _HEADER.fullmatch(name):
        yield FieldError(field, "This is not the name of a header.")
    elif name.lower() in _SET_BY_CLIENT:
        yield FieldError(field, f"{name} is set by the client itself.")
    if len(content) > 4_000:
        yield FieldError(field, f"{len(content):,} characters are above the limit of 4,000.", 4_000)
    elif not content.isascii() or not content.isprintable():
        yield FieldError(field, "Use printable ASCII in header values.")
    elif content != content.strip():
        yield FieldError(field, "A header value neither begins nor ends with a space.")


def _body(field: str, request: RequestClass, limits: Limits) -> Wrong:
    if request.body is not None and request.method in {"GET", "HEAD", "OPTIONS"}:
        yield FieldError(
            field,
            f"{request.method} carries no body: choose POST, PUT, PATCH or DELETE.",
        )
    if isinstance(request.body, GeneratedBody):
        size = request.body.generated.size_bytes
        yield from bounded(
            f"{field}.generated.size_bytes",
            size,
            32,
            limits.max_body_bytes,
            "max_body_bytes",
        )
    elif isinstance(request.body, JsonBody) and not _finite(request.body.json):
        yield FieldError(f"{field}.json", "A number is too large for JSON.")
    elif isinstance(request.body, TextBody) and len(request.body.text) > 1_000_000:
        yield FieldError(
            f"{field}.text",
            "The text is above the limit of 1,000,000 characters.",
            1_000_000,
        )


def _finite(value: Json) -> bool:
    """Return whether all numbers in it are finite: 1e400 is JSON, and no number can hold it."""
    if isinstance(value, dict):
        return all(_finite(item) for item in value.values())
    if isinstance(value, list):
        return all(_finite(item) for item in value)
    return not isinstance(value, float) or isfinite(value)
