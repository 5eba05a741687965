"""What a request is made of: the values of its placeholders and the kinds of bodies."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, SerializerFunctionWrapHandler, Tag, model_serializer
from pydantic.dataclasses import dataclass

from control_plane.domain.load_models import STRICT

Json = Any
"""A JSON value: null, boolean, number, string, array or object."""


@dataclass(frozen=True, config=STRICT)
class BaseValue:
    """What every value has. `repeat`: it depends on the seed alone, so that each trial, run and
    strategy sends the same ones again.
    """

    repeat: bool = Field(default=False, kw_only=True)

    @model_serializer(mode="wrap")
    def _without_usual(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave `repeat` out where nothing repeats."""
        document: dict[str, Any] = write(self)
        if not document["repeat"]:
            del document["repeat"]
        return document


@dataclass(frozen=True, config=STRICT)
class IntegerValue(BaseValue):
    """Uniform integers from `low` to `high`, both included."""

    kind: Literal["integer"]
    low: int
    high: int


@dataclass(frozen=True, config=STRICT)
class SequenceValue(BaseValue):
    """`start`, `start + step`, `start + 2 step` and so on, in the order of sending.

    It goes on where the last run of the application ended.
    """

    kind: Literal["sequence"]
    start: int = 0
    step: int = 1


@dataclass(frozen=True, config=STRICT)
class ChoiceValue(BaseValue):
    """One of the given values, each with the same probability."""

    kind: Literal["choice"]
    of: tuple[str | int | float, ...]


@dataclass(frozen=True, config=STRICT)
class StringValue(BaseValue):
    """Random lowercase letters, which do not come twice while there are others of that length."""

    kind: Literal["string"]
    length: int


@dataclass(frozen=True, config=STRICT)
class UuidValue(BaseValue):
    """Random version 4 UUIDs, which never come twice."""

    kind: Literal["uuid"]


Value = Annotated[
    IntegerValue | SequenceValue | ChoiceValue | StringValue | UuidValue,
    Discriminator("kind"),
]

Scalar = str | int | float
FormFields = dict[str, Scalar | tuple[Scalar, ...]]
"""The fields of a form by name: one value each, or several; all may hold placeholders."""


@dataclass(frozen=True, config=STRICT)
class JsonBody:
    """A JSON value, whose keys and strings may hold placeholders.

    A string that is nothing but a placeholder becomes the value itself: an integer is a number.
    """

    json: Json


@dataclass(frozen=True, config=STRICT)
class TextBody:
    """A text that may hold placeholders; what it is, its `Content-Type` tells."""

    text: str


@dataclass(frozen=True, config=STRICT)
class FormBody:
    """The fields of a form, sent as `application/x-www-form-urlencoded`."""

    form: FormFields


@dataclass(frozen=True, config=STRICT)
class UploadedFile:
    """A file of `size_bytes` random bytes in the field `name` of a form."""

    size_bytes: int
    name: str = "file"
    filename: str = "file.bin"
    content_type: str = "application/octet-stream"


@dataclass(frozen=True, config=STRICT)
class Multipart:
    """The fields of a form, and a file after them."""

    fields: FormFields = Field(default_factory=dict)
    file: UploadedFile | None = None


@dataclass(frozen=True, config=STRICT)
class MultipartBody:
    """The fields of a form and a file, sent as `multipart/form-data`."""

    multipart: Multipart


@dataclass(frozen=True, config=STRICT)
class Generated:
    """`name-data`: a JSON object `{"name", "data"}` of about `size_bytes`."""

    shape: Literal["name-data"]
    size_bytes: int


@dataclass(frozen=True, config=STRICT)
class GeneratedBody:
    """A body that is made before the window."""

    generated: Generated


ONE_OF = "one_of"
_BODIES = ("json", "text", "form", "multipart", "generated")


def _body_kind(value: Any) -> str | None:
    """Return the one key of `_BODIES` that `value` has; None, which is an error, for any others."""
    present = [
        key for key in _BODIES if (key in value if isinstance(value, dict) else hasattr(value, key))
    ]
    return present[0] if len(present) == 1 else None


Body = Annotated[
    Annotated[JsonBody, Tag("json")]
    | Annotated[TextBody, Tag("text")]
    | Annotated[FormBody, Tag("form")]
    | Annotated[MultipartBody, Tag("multipart")]
    | Annotated[GeneratedBody, Tag("generated")],
    Discriminator(
        _body_kind,
        custom_error_type=ONE_OF,
        custom_error_message=f"Give exactly one of {', '.join(_BODIES)}.",
    ),
]
