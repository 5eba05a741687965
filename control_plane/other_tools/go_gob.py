"""Go's gob, as far as a stream of structs needs it (the package encoding/gob of Go).

A stream is a row of messages: its length, then a type's id. Negative ids define a type, others are
a value of one. Values that this reader does not need are passed over by their length.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from control_plane.domain.errors import InvalidInput
from control_plane.other_tools.tool_file import MAX_LINE_BYTES

_BOOL, _INT, _UINT, _FLOAT, _BYTES, _STRING = 1, 2, 3, 4, 5, 6
_FIRST_OWN = 64
_MOST_TYPES, _MOST_FIELDS, _MOST_ITEMS, _DEEPEST = 100, 100, 100_000, 10


@dataclass
class GobType:
    """A type that the stream defines; `fields` are name and type of those of a struct."""

    kind: str = ""
    fields: list[tuple[str, int]] = field(default_factory=list)
    element: int = 0
    key: int = 0


class GobDecoder:
    """Reads structs as dictionaries by the names of their fields; times as nanoseconds."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._types: dict[int, GobType] = {}
        self._messages = 0

    def values(self) -> Iterator[dict[str, Any]]:
        """Yield each struct. Raises InvalidInput with the message that is damaged."""
        while True:
            self._messages += 1
            try:
                value = self._next()
            except (LookupError, ValueError, TypeError, OverflowError, RecursionError):
                raise InvalidInput(
                    f"Message {self._messages:,} of the results is damaged: nothing was imported."
                ) from None
            if value is None:
                return
            if value:
                yield value

    def _next(self) -> dict[str, Any] | None:
        """Return the struct of the next message; empty for a definition, None at the end."""
        length = self._length()
        if length is None:
            return None
        if length > MAX_LINE_BYTES:
            raise ValueError("too long")
        message = self._file.read(length)
        if len(message) < length:
            raise ValueError("cut off")
        reader = _Message(message)
        type_id = reader.signed()
        if type_id < 0:
            self._define(-type_id, reader)
            return {}
        found = self._value(type_id, reader, 0)
        if not isinstance(found, dict) or not reader.is_over:
            raise ValueError("no struct")
        return found

    def _length(self) -> int | None:
        first = self._file.read(1)
        if not first:
            return None
        if first[0] < 0x80:
            return first[0]
        return int.from_bytes(self._file.read(256 - first[0]), "big")

    def _define(self, type_id: int, reader: "_Message") -> None:
        """Keep a definition: a struct with one field for each kind of type."""
        if len(self._types) >= _MOST_TYPES:
            raise ValueError("too many types")
        kinds = ("array", "slice", "struct", "map", "gob", "binary", "text")
        made, place = GobType(), -1
        while step := reader.unsigned():
            place += step
            made.kind = kinds[place]
            self._define_kind(made, reader)
        self._types[type_id] = made

    def _define_kind(self, made: GobType, reader: "_Message") -> None:
        """Read what is told of a kind: its name and id first, then its fields or elements."""
        place = -1
        while step := reader.unsigned():
            place += step
            if place == 0:
                _skip_common(reader)
            elif made.kind == "struct":
                made.fields = _fields(reader)
            elif made.kind == "map" and place == 1:
                made.key = reader.signed()
            elif made.kind in {"map", "slice"} or place == 1:
                made.element = reader.signed()
            else:
                reader.signed()

    def _value(self, type_id: int, reader: "_Message", depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("too deep")
        if type_id < _FIRST_OWN:
            return reader.basic(type_id)
        made = self._types[type_id]
        if made.kind == "struct":
            return self._struct(made, reader, depth)
        # A value that is no struct has a zero before it where it is a message of its own only.
        if made.kind in {"gob", "binary", "text"}:
            return _moment(reader.raw())
        items = reader.unsigned()
        if items > _MOST_ITEMS:
            raise ValueError("too many items")
        types = (made.key, made.element) if made.kind == "map" else (made.element,)
        return [[self._value(part, reader, depth + 1) for part in types] for _ in range(items)]

    def _struct(self, made: GobType, reader: "_Message", depth: int) -> dict[str, Any]:
        found, place = {}, -1
        while step := reader.unsigned():
            place += step
            name, type_id = made.fields[place]
            found[name] = self._value(type_id, reader, depth + 1)
        return found


class _Message:
    """The bytes of one message, read from the front. Raises IndexError at their end."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    @property
    def is_over(self) -> bool:
        return self._at == len(self._content)

    def unsigned(self) -> int:
        """Return a number: below 128 one byte, else the negated count of its bytes before it."""
        first = self._content[self._at]
        self._at += 1
        if first < 0x80:
            return first
        many = 256 - first
        if many > 8:
            raise ValueError("too large")
        return int.from_bytes(self._taken(many), "big")

    def signed(self) -> int:
        """Return a number whose last bit says that the others are to be inverted."""
        value = self.unsigned()
        return ~(value >> 1) if value & 1 else value >> 1

    def raw(self) -> bytes:
        """Return bytes behind their length."""
        return self._taken(self.unsigned())

    def basic(self, type_id: int) -> Any:
        """Return a value of a type that each stream knows."""
        readers: dict[int, Callable[[], Any]] = {
            _BOOL: self.unsigned,
            _INT: self.signed,
            _UINT: self.unsigned,
            _FLOAT: self.unsigned,
            _BYTES: self.raw,
            _STRING: lambda: self.raw().decode("utf-8", "replace"),
        }
        if type_id not in readers:
            raise ValueError("unknown type")
        return readers[type_id]()

    def _taken(self, many: int) -> bytes:
        found = self._content[self._at : self._at + many]
        if len(found) < many:
            raise IndexError
        self._at += many
        return found


def _skip_common(reader: _Message) -> None:
    """Pass over name and id of a type."""
    place = -1
    while step := reader.unsigned():
        place += step
        if place == 0:
            reader.raw()
        else:
            reader.signed()


def _fields(reader: _Message) -> list[tuple[str, int]]:
    many = reader.unsigned()
    if many > _MOST_FIELDS:
        raise ValueError("too many fields")
    found = []
    for _ in range(many):
        name, type_id, place = "", 0, -1
        while step := reader.unsigned():
            place += step
            if place == 0:
                name = reader.raw().decode("utf-8")
            else:
                type_id = reader.signed()
        found.append((name, type_id))
    return found


_UNIX_S = 62_135_596_800
"""Seconds from the year 1, where Go counts from, to 1970."""


def _moment(raw: bytes) -> int:
    """Return nanoseconds since 1970 of Go's `Time.MarshalBinary`; 0 for another value."""
    if len(raw) < 15 or raw[0] not in {1, 2}:
        return 0
    whole = int.from_bytes(raw[1:9], "big", signed=True) - _UNIX_S
    return max(whole * 10**9 + int.from_bytes(raw[9:13], "big", signed=True), 0)
