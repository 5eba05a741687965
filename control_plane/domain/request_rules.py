"""The rules of one request class. Pure: a request class in, wrong fields out."""

import re
from collections.abc import Collection, Iterator, Sequence
from math import isfinite

from control_plane.domain.errors import FieldError
from control_plane.domain.limits import Limits, Wrong, bounded, bounded_text, counted
from control_plane.domain.request import (
    NAME,
    SAFE_METHODS,
    ChoiceValue,
    Expectation,
    FormBody,
    FormFields,
    GeneratedBody,
    IntegerValue,
    Json,
    JsonBody,
    Multipart,
    MultipartBody,
    RowValue,
    SequenceValue,
    SingleValue,
    SizeRange,
    StringValue,
    TextBody,
    UploadedFile,
    filled_names,
    placeholder_names,
    spaced_names,
)
from control_plane.domain.row_files import STANDS_FOR_SECRET, UnreadableRows, read_rows
from control_plane.domain.spec import BaseRequest

MAX_TEXT = 1_000_000
MAX_EXPECTED = 10_000
MAX_JSON_KEY = 1_000
MAX_ANSWER_BYTES = 1_000_000_000
"""The largest body of a response that a client may be told to take."""

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}(; ?[\w.=\"+-]{1,80})?", re.ASCII)
SET_BY_CLIENT = {
    "host", "content-length", "transfer-encoding", "connection", "expect", "accept-encoding",
}  # fmt: skip


def wrong_request(
    field: str, request: BaseRequest, limits: Limits, captured: Collection[str] = ()
) -> Wrong:
    """Find what is wrong with a request; `field` is its path in the spec.

    `captured` are names that requests before it fill.

    A value without a place is told where nothing else is wrong: that may be why it has none.
    """
    wrong = [*_wrong_parts(field, request, limits, (*filled_names(request.values), *captured))]
    yield from wrong or _placeless(field, request)


def _wrong_parts(field: str, request: BaseRequest, limits: Limits, names: Sequence[str]) -> Wrong:
    yield from _path(f"{field}.path", request)
    yield from counted(f"{field}.values", len(request.values), 0, 20, "values")
    for name, value in request.values.items():
        place = f"{field}.values.{name[:40]}"
        if isinstance(value, RowValue):
            yield from _row_value(place, name, value)
        else:
            yield from _value(place, name, value)
    yield from _same_names(f"{field}.values", names)
    yield from counted(f"{field}.headers", len(request.headers), 0, 50, "headers")
    yield from _headers(f"{field}.headers", request.headers)
    yield from _body(f"{field}.body", request, limits)
    yield from _placeholders(field, request, names)
    if request.expect is not None:
        yield from _expectation(f"{field}.expect", request, request.expect)
        yield from _expected_texts(field, request, names)


def _path(field: str, request: BaseRequest) -> Wrong:
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
    elif "{}" in path:
        yield FieldError(field, "{} names no value: write its name between the braces.")


def template_texts(request: BaseRequest) -> Iterator[tuple[str, str]]:
    """Yield every text that may hold placeholders, with its field below the request class."""
    yield "path", request.path
    yield from ((f"headers.{name[:40]}", text) for name, text in request.headers.items())
    body = request.body
    if isinstance(body, TextBody):
        yield "body.text", body.text
    elif isinstance(body, JsonBody):
        yield from (("body.json", text) for text in _json_texts(body.json))
    elif isinstance(body, FormBody):
        yield from _form_texts("body.form", body.form)
    elif isinstance(body, MultipartBody):
        yield from _form_texts("body.multipart.fields", body.multipart.fields)
        if (file := body.multipart.file) is not None:
            yield "body.multipart.file.name", file.name
            yield "body.multipart.file.filename", file.filename


def expected_texts(request: BaseRequest) -> Iterator[tuple[str, str]]:
    """Yield every text that a response is expected to hold, with its field."""
    if (expect := request.expect) is not None:
        yield from (
            (f"expect.{name}", text)
            for name, text in (("text", expect.text), ("json_key", expect.json_key))
            if text is not None
        )


def _json_texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _json_texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _json_texts(item)


def _form_texts(field: str, fields: FormFields) -> Iterator[tuple[str, str]]:
    for name, content in fields.items():
        place = f"{field}.{name[:40]}"
        yield place, name
        items = content if isinstance(content, tuple) else (content,)
        yield from ((place, item) for item in items if isinstance(item, str))


def _placeholders(field: str, request: BaseRequest, names: Collection[str]) -> Wrong:
    """Find braces that name no value, and names that blanks part from their braces."""
    for place, text in template_texts(request):
        if "{" not in text:
            continue
        unknown = [name for name in placeholder_names(text) if name not in names]
        spaced = [name for name in spaced_names(text) if name in names]
        if unknown:
            yield _valueless(f"{field}.{place}", unknown[0][:40])
        elif spaced:
            message = f"Write {{{spaced[0]}}} without blanks: with them it is no placeholder."
            yield FieldError(f"{field}.{place}", message)


def _placeless(field: str, request: BaseRequest) -> Wrong:
    """Find values that no text of the request has a place for."""
    texts = (text for _, text in template_texts(request) if "{" in text)
    placed = {name for text in texts for name in placeholder_names(text)}
    for name in filled_names(request.values):
        if name not in placed:
            message = f"No place of this request holds {{{name}}}: write it there, with one brace "
            yield FieldError(
                f"{field}.values.{name}", f"{message}on each side, or leave the value out."
            )


def _valueless(field: str, name: str) -> FieldError:
    example = f'"values": {{"{name}": {{"kind": "integer", "low": 1, "high": 5}}}}'
    message = (
        f"{{{name}}} has no value: say where it comes from, such as {example}. "
        f"Braces that are meant as they stand are doubled: {{{{{name}}}}}."
    )
    if NAME.fullmatch(name):
        return FieldError(field, message, at_field=f"{{{name}}} has no value: choose it below.")
    named = "a name begins with a letter, then come letters, digits and _, up to 40"
    told = f"{{{name}}} is no placeholder: {named}. To send it so, double its braces."
    return FieldError(field, message, at_field=told)


def _value(field: str, name: str, value: SingleValue) -> Wrong:
    if not NAME.fullmatch(name):
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


def _row_value(field: str, name: str, value: RowValue) -> Wrong:
    yield from bounded_text(field, name, 40, empty=False)
    yield from counted(f"{field}.columns", len(value.columns), 1, 50, "columns")
    yield from bounded_text(f"{field}.file.name", value.file.name, 200, empty=False)
    if odd := [column for column in value.columns if not NAME.fullmatch(column)]:
        message = f"{odd[0][:40]!r} is no placeholder: rename the column, to letters, digits, _."
        yield FieldError(f"{field}.columns", message)
        return
    for column in value.secret:
        if column not in value.columns:
            yield FieldError(f"{field}.secret", f"{column[:40]!r} is none of the columns.")
    if STANDS_FOR_SECRET.fullmatch(value.file.content):
        return
    try:
        rows = read_rows(value.file)
    except UnreadableRows as unreadable:
        yield FieldError(f"{field}.file", str(unreadable))
        return
    if absent := [column for column in value.columns if column not in rows[0]]:
        has = ", ".join(map(repr, rows[0]))[:200]
        message = f"{value.file.name[:40]} has no column {absent[0][:40]!r}: it has {has}."
        yield FieldError(f"{field}.columns", message)


def _same_names(field: str, names: Sequence[str]) -> Wrong:
    """Find placeholders that two values fill."""
    if twice := [name for name in names if names.count(name) > 1]:
        message = f"Two values fill {{{twice[0][:40]}}}: rename one of them."
        yield FieldError(field, message)


def _headers(field: str, headers: dict[str, str]) -> Wrong:
    seen: dict[str, str] = {}
    for name, content in headers.items():
        yield from _header(f"{field}.{name[:40]}", name, content)
        same = seen.setdefault(name.lower(), name)
        if same != name:
            message = f"This is the same header as {same[:40]}: give it once."
            yield FieldError(f"{field}.{name[:40]}", message)


def _header(field: str, name: str, content: str) -> Wrong:
    if not HEADER_NAME.fullmatch(name):
        yield FieldError(field, "This is not the name of a header.")
    elif name.lower() in SET_BY_CLIENT:
        yield FieldError(field, f"{name} is set by the client itself.")
    if len(content) > 4_000:
        yield FieldError(field, f"{len(content):,} characters are above the limit of 4,000.", 4_000)
    elif not content.isascii() or not content.isprintable():
        yield FieldError(field, "Use printable ASCII in header values.")
    elif content != content.strip():
        yield FieldError(field, "A header value neither begins nor ends with a space.")


def _body(field: str, request: BaseRequest, limits: Limits) -> Wrong:
    if request.body is not None and request.method in SAFE_METHODS:
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
    elif isinstance(request.body, TextBody):
        yield from _long(f"{field}.text", request.body.text)
    elif isinstance(request.body, FormBody):
        yield from _form_fields(f"{field}.form", request.body.form, 1)
    elif isinstance(request.body, MultipartBody):
        yield from _multipart(f"{field}.multipart", request.body.multipart, limits)
        if given := [name for name in request.headers if name.lower() == "content-type"]:
            message = "The client sets this for multipart, with the boundary: leave it out."
            yield FieldError(f"{field.removesuffix('body')}headers.{given[0]}", message)


def _expectation(field: str, request: BaseRequest, expect: Expectation) -> Wrong:
    """Find what no response can be. `field.statuses` is named also where a list stands for it."""
    for status in expect.statuses or ():
        yield from bounded(f"{field}.statuses", status, 200, 599)
    if expect.statuses == () or expect == Expectation():
        message = "Name at least one status, or leave it null for 200 to 299."
        yield FieldError(f"{field}.statuses", message)
    for name in expect.of_content:
        if request.method == "HEAD":
            message = "An answer to HEAD has no body: expect only statuses of it."
            yield FieldError(f"{field}.{name}", message)
    if (size := expect.size_bytes) is not None:
        yield from _size_range(f"{field}.size_bytes", size)
    if expect.text is not None:
        yield from _long(f"{field}.text", expect.text, MAX_EXPECTED)
    if expect.json_key is not None:
        yield from _json_key(f"{field}.json_key", expect.json_key)


def _size_range(field: str, size: SizeRange) -> Wrong:
    yield from bounded(f"{field}.at_least", size.at_least, 0, MAX_ANSWER_BYTES)
    if size.at_most is None:
        return
    yield from bounded(f"{field}.at_most", size.at_most, 0, MAX_ANSWER_BYTES)
    if 0 <= size.at_most < size.at_least:
        message = f"{size.at_most:,} is below the smallest size, {size.at_least:,}."
        yield FieldError(f"{field}.at_most", message, size.at_least)


def _expected_texts(field: str, request: BaseRequest, names: Collection[str]) -> Wrong:
    for below, text in expected_texts(request):
        place = f"{field}.{below}"
        if not text.strip():
            yield FieldError(place, "This must not be empty.")
        unknown = [part for part in placeholder_names(text) if part not in names]
        if unknown:
            name = unknown[0][:40]
            yield FieldError(
                place,
                f"{{{name}}} is no value of this request. Braces that are meant as they stand are "
                f"doubled: {{{{{name}}}}}.",
            )


def _json_key(field: str, json_key: str) -> Wrong:
    yield from _long(field, json_key, MAX_JSON_KEY)
    if "" in json_key.split("."):
        message = "A key is missing beside a dot: write items, or items.0.id for a nested one."
        yield FieldError(field, message)


def _long(field: str, text: str, longest: int = MAX_TEXT) -> Wrong:
    if len(text) > longest:
        message = f"The text is above the limit of {longest:,} characters."
        yield FieldError(field, message, longest)


def _form_fields(field: str, fields: FormFields, least: int) -> Wrong:
    yield from counted(field, len(fields), least, 200, "fields")
    for name, content in fields.items():
        place = f"{field}.{name[:40]}"
        yield from bounded_text(place, name, 200, empty=False)
        items = content if isinstance(content, tuple) else (content,)
        yield from counted(place, len(items), 1, 200, "values of a field")
        for item in items:
            yield from _long(place, str(item))
            if not _finite(item):
                yield FieldError(place, "This number is too large.")


def _multipart(field: str, multipart: Multipart, limits: Limits) -> Wrong:
    file = multipart.file
    yield from _form_fields(f"{field}.fields", multipart.fields, 1 if file is None else 0)
    if file is not None:
        yield from _file(f"{field}.file", file, limits)


def _file(field: str, file: UploadedFile, limits: Limits) -> Wrong:
    most = limits.max_body_bytes
    yield from bounded(f"{field}.size_bytes", file.size_bytes, 0, most, "max_body_bytes")
    yield from bounded_text(f"{field}.name", file.name, 200, empty=False)
    yield from bounded_text(f"{field}.filename", file.filename, 200, empty=False)
    if not _MEDIA_TYPE.fullmatch(file.content_type):
        yield FieldError(f"{field}.content_type", "Give a media type, such as image/png.")


def _finite(value: Json) -> bool:
    """Return whether all numbers in it are finite: 1e400 is JSON, and no number can hold it."""
    if isinstance(value, dict):
        return all(_finite(item) for item in value.values())
    if isinstance(value, list):
        return all(_finite(item) for item in value)
    return not isinstance(value, float) or isfinite(value)
