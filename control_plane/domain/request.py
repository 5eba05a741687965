"""What a request is made of: its method, texts with placeholders, the values that fill them, its
body, and what is expected of the response.

In a text `{name}` stands for a value and `{{name}}` for itself. A run of braces around a name is
read from inside: `{{{name}}}` is the value in braces. Other braces (JSON, code) stand for
themselves.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from control_plane.domain.limits import (
    Checked,
    ReadAs,
    kind_told_by,
    kind_told_by_keys,
    kind_told_by_shape,
)
from control_plane.domain.row_files import RowFile
from control_plane.domain.units import count, number_of

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
"""They change nothing (RFC 9110, 9.2.1), and carry no body here."""

Serialize = Callable[[Any], Any]
Json = Any
"""A JSON value: null, boolean, number, string, array or object."""
Document = dict[str, Any]
"""A JSON object."""


def as_object(found: Any) -> Document:
    """Return it if it is a JSON object, else an empty one."""
    return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class BaseValue(Checked):
    """What every value has. `repeat`: it depends on the seed alone, so that each trial, run and
    strategy sends the same ones again.
    """

    repeat: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class IntegerValue(BaseValue):
    """Uniform integers from `low` to `high`, both included."""

    kind: Literal["integer"]
    low: int
    high: int


@dataclass(frozen=True)
class SequenceValue(BaseValue):
    """`start`, `start + step`, `start + 2 step` and so on, in the order of sending.

    It goes on where the last run of the application ended.
    """

    kind: Literal["sequence"]
    start: int = 0
    step: int = 1


@dataclass(frozen=True)
class ChoiceValue(BaseValue):
    """One of the given values, each with the same probability. `secret`: they are never shown."""

    kind: Literal["choice"]
    of: tuple[str | int | float, ...]
    secret: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class StringValue(BaseValue):
    """Random lowercase letters, which do not come twice while there are others of that length."""

    kind: Literal["string"]
    length: int


@dataclass(frozen=True)
class UuidValue(BaseValue):
    """Random version 4 UUIDs, which never come twice."""

    kind: Literal["uuid"]


def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(names))


def _columns() -> Any:
    from pydantic import AfterValidator

    return Annotated[tuple[str, ...], AfterValidator(_in_order)]


_Columns = Annotated[tuple[str, ...], ReadAs(_columns)]
"""Names whose order says nothing, so that the same ones are written the same way."""


@dataclass(frozen=True)
class RowValue(BaseValue):
    """Some columns of one row, which are placeholders by their names and are used together.

    `each_once`: no row comes twice in a run. `secret` are columns that are never shown.
    """

    kind: Literal["row"]
    file: RowFile
    columns: _Columns
    order: Literal["in_order", "shuffled", "each_once"] = "in_order"
    secret: _Columns = field(default=(), kw_only=True)

    @property
    def label(self) -> str:
        """`{password}, {user} from 10 rows of users.csv, in order`."""
        names = ", ".join(f"{{{column}}}" for column in self.columns)
        rows = "rows" if self.file.rows is None else number_of(self.file.rows, "row")
        return f"{names} from {rows} of {self.file.name}, {self.order.replace('_', ' ')}"


SingleValue = IntegerValue | SequenceValue | ChoiceValue | StringValue | UuidValue
"""A value that fills the one placeholder of its name."""


def _without_usual(value: BaseValue, write: Serialize) -> dict[str, Any]:
    """Return a value as JSON, without the marks that are not set."""
    document: dict[str, Any] = write(value)
    return {name: part for name, part in document.items() if part is not False}


def _value() -> Any:
    from pydantic import WrapSerializer

    told = kind_told_by("kind", SingleValue | RowValue)
    return Annotated[SingleValue | RowValue, told, WrapSerializer(_without_usual)]


Value = Annotated[SingleValue | RowValue, ReadAs(_value)]


def filled_names(values: Mapping[str, Value]) -> tuple[str, ...]:
    """Return the placeholders that values fill: their own names, of a row those of its columns."""
    return tuple(
        name
        for own, value in values.items()
        for name in (value.columns if isinstance(value, RowValue) else (own,))
    )


Scalar = str | int | float
FormFields = dict[str, Scalar | tuple[Scalar, ...]]
"""The fields of a form by name: one value each, or several; all may hold placeholders."""


@dataclass(frozen=True)
class JsonBody(Checked):
    """A JSON value, whose keys and strings may hold placeholders.

    A string that is nothing but a placeholder becomes the value itself: an integer is a number.
    """

    json: Json


@dataclass(frozen=True)
class TextBody(Checked):
    """A text that may hold placeholders; what it is, its `Content-Type` tells."""

    text: str


@dataclass(frozen=True)
class FormBody(Checked):
    """The fields of a form, sent as `application/x-www-form-urlencoded`."""

    form: FormFields


@dataclass(frozen=True)
class UploadedFile(Checked):
    """A file of `size_bytes` random bytes in the field `name` of a form."""

    size_bytes: int
    name: str = "file"
    filename: str = "file.bin"
    content_type: str = "application/octet-stream"


@dataclass(frozen=True)
class Multipart(Checked):
    """The fields of a form, and a file after them."""

    fields: FormFields = field(default_factory=dict)
    file: UploadedFile | None = None


@dataclass(frozen=True)
class MultipartBody(Checked):
    """The fields of a form and a file, sent as `multipart/form-data`."""

    multipart: Multipart


@dataclass(frozen=True)
class Generated(Checked):
    """`name-data`: a JSON object `{"name", "data"}` of about `size_bytes`."""

    shape: Literal["name-data"]
    size_bytes: int


@dataclass(frozen=True)
class GeneratedBody(Checked):
    """A body that is made before the window."""

    generated: Generated


@dataclass(frozen=True)
class JsonCapture(Checked):
    """The value of a JSON answer that a dotted path leads to: `access_token`, `items.0.id`."""

    json: str


@dataclass(frozen=True)
class HeaderCapture(Checked):
    """The value of a header of the answer."""

    header: str


@dataclass(frozen=True)
class CookieCapture(Checked):
    """The value of a cookie that the answer sets."""

    cookie: str


Capture = Annotated[
    JsonCapture | HeaderCapture | CookieCapture,
    kind_told_by_keys({"json": JsonCapture, "header": HeaderCapture, "cookie": CookieCapture}),
]
"""Where an answer has a value that later requests are filled with."""

_BODIES = {
    "json": JsonBody, "text": TextBody, "form": FormBody, "multipart": MultipartBody,
    "generated": GeneratedBody,
}  # fmt: skip
Body = Annotated[
    JsonBody | TextBody | FormBody | MultipartBody | GeneratedBody, kind_told_by_keys(_BODIES)
]


@dataclass(frozen=True)
class SizeRange(Checked):
    """How many bytes a body may have, both ends included; `at_most` None: no more than
    `max_body_bytes`.
    """

    at_least: int = 0
    at_most: int | None = None

    @property
    def label(self) -> str:
        """`1 to 5,000 bytes`, `at least 1 byte`, `0 bytes`."""
        if self.at_most is None:
            return f"at least {_bytes(self.at_least)}"
        if self.at_most == self.at_least:
            return _bytes(self.at_most)
        return f"{count(self.at_least)} to {_bytes(self.at_most)}"

    def holds(self, size: int) -> bool:
        """Return whether a body of that size is within it."""
        return size >= self.at_least and (self.at_most is None or size <= self.at_most)


def _bytes(number: int) -> str:
    return number_of(number, "byte")


@dataclass(frozen=True)
class Expectation(Checked):
    """What a response must be to count as completed. None: nothing is asked of it.

    `statuses` None stands for 200 to 299. `text` and `json_key` may hold placeholders; a dotted
    `json_key` leads to nested ones: `items.0.id`.
    """

    statuses: tuple[int, ...] | None = None
    size_bytes: SizeRange | None = None
    text: str | None = None
    json_key: str | None = None

    @property
    def of_content(self) -> dict[str, Any]:
        """What is expected of the body, by the name of the field; empty where nothing is."""
        fields = ("size_bytes", "text", "json_key")
        return {name: value for name in fields if (value := getattr(self, name)) is not None}


def _expectation_kind(value: Any) -> str | None:
    if isinstance(value, list | tuple):
        return "list"
    return "object" if isinstance(value, dict | Expectation) else None


def _expectation(value: tuple[int, ...] | Expectation) -> Expectation:
    return Expectation(statuses=value) if isinstance(value, tuple) else value


def _as_given(expectation: Expectation, write: Serialize) -> dict[str, Any] | list[int]:
    """Return an expectation as JSON: statuses alone as a list, nothing that is not expected."""
    document = {name: part for name, part in write(expectation).items() if part is not None}
    return list(document["statuses"]) if document.keys() == {"statuses"} else document


def _expect() -> Any:
    from pydantic import AfterValidator, WrapSerializer

    kinds = {"list": tuple[int, ...], "object": Expectation}
    error = "expectation", "Give a list of statuses, or an object."
    return Annotated[
        Expectation | tuple[int, ...],
        kind_told_by_shape(kinds, _expectation_kind, *error),
        AfterValidator(_expectation),
        WrapSerializer(_as_given),
    ]


Expect = Annotated[Expectation, ReadAs(_expect)]
"""An expectation; a list is one of statuses alone."""


NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_BRACED = re.compile(r"(\{+)([^\s{}\"',:;=()\[\]\\]{1,60})(\}+)")
_SPACED = re.compile(r"\{(?:\s+([A-Za-z_]\w*)\s*|([A-Za-z_]\w*)\s+)\}", re.ASCII)


@dataclass(frozen=True)
class Placeholder:
    """What stands between braces; whether a value has that name is another matter."""

    name: str


def template_parts(text: str) -> Iterator[str | Placeholder]:
    """Yield the text in its order: literal parts, with `{{` and `}}` undone, and placeholders."""
    end = 0
    for found in _BRACED.finditer(text):
        opening, name, closing = found.groups()
        both = min(len(opening), len(closing))
        yield text[end : found.start()] + opening[both:] + opening[: both // 2]
        yield Placeholder(name) if both % 2 else name
        yield closing[: both // 2] + closing[both:]
        end = found.end()
    yield text[end:]


def placeholder_names(text: str) -> tuple[str, ...]:
    """Return what stands between braces as a placeholder, each once, in the order of the text."""
    found = (part.name for part in template_parts(text) if isinstance(part, Placeholder))
    return tuple(dict.fromkeys(found))


def spaced_names(text: str) -> tuple[str, ...]:
    """Return the names that have braces around them, but blanks between: `{ name }`."""
    return tuple(found[1] or found[2] for found in _SPACED.finditer(text))


def escaped(text: str) -> str:
    """Return a text that stands for `text` as it is."""

    def doubled(found: re.Match[str]) -> str:
        both = min(len(found[1]), len(found[3]))
        return "{" * both + found[0] + "}" * both

    return _BRACED.sub(doubled, text)
