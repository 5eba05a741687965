"""Reads the rows of a table: CSV with a line of names, or JSON lines. Pure."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO

from control_plane.domain.limits import Checked
from control_plane.domain.units import number_of

STANDS_FOR_SECRET = re.compile(r"\(secret ([0-9a-f]{16})((?: \{[^\s{}]+\})*)\)")
"""What stands in a spec in the place of a value that is kept apart, with its digest."""

MAX_FILE_BYTES = 5_000_000
_DELIMITERS = (",", ";", "\t")
_QUOTED = re.compile('"[^"]*"')
_HEAD = re.compile(rf'(?:{_QUOTED.pattern}|[^"\r\n]++)*+')
"""The line of names, which goes on where one of them holds the end of a line.

Possessive: what it could go back to would be kept for each character.
"""
_SHOWN = 40

Row = Mapping[str, str | int | float]
"""The values of one row by column."""


@dataclass(frozen=True)
class RowFile(Checked):
    """A table as text: CSV with a line of names, or JSON lines. `name` is what its file was called.

    `rows` is how many it has, where it is kept and its content is not shown.
    """

    content: str = field(repr=False)
    name: str = "rows.csv"
    rows: int | None = None

    @property
    def mark(self) -> str:
        """The beginning of the digest of its content, where that is kept apart; else empty."""
        found = STANDS_FOR_SECRET.fullmatch(self.content)
        return found[1][:8] if found else ""


class UnreadableRows(Exception):
    """Raised where a table cannot be read; its text says where and why."""


def decoded(content: bytes) -> str:
    """Return the text of a file. Raises UnreadableRows where it is not UTF-8 or too large."""
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableRows(_too_large(len(content)))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableRows(f"Line {line:,} is not UTF-8: save the file as UTF-8.") from None


def read_rows(file: RowFile) -> tuple[Row, ...]:
    """Return the rows; those of CSV hold texts, those of JSON lines also numbers.

    All have the same columns; there is one row at least. Raises UnreadableRows.
    """
    if len(file.content) * 4 > MAX_FILE_BYTES and (size := len(file.content.encode())) > (
        MAX_FILE_BYTES
    ):
        raise UnreadableRows(_too_large(size))
    text = file.content.removeprefix("\ufeff")
    if not text.strip():
        raise UnreadableRows(f"{file.name[:_SHOWN]} is empty: give a line of names and rows.")
    rows = tuple(_json_rows(text) if text.lstrip().startswith("{") else _csv_rows(text))
    if not rows:
        raise UnreadableRows(f"{file.name[:_SHOWN]} has names of columns and no row below them.")
    return rows


def row_count(file: RowFile) -> int | None:
    """Return how many rows it has; None where it cannot be read, or is kept and nobody counted."""
    if STANDS_FOR_SECRET.fullmatch(file.content):
        return file.rows
    try:
        return len(read_rows(file))
    except UnreadableRows:
        return None


def _too_large(size: int) -> str:
    return f"{size:,} bytes are above the limit of {MAX_FILE_BYTES:,} for a file of rows."


def _csv_rows(text: str) -> Iterator[Row]:
    head = _HEAD.match(text.lstrip("\r\n"))
    delimiter = max(_DELIMITERS, key=_QUOTED.sub("", head[0] if head else "").count)
    # Of the process: cells are as long as the file allows.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FILE_BYTES))
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if names is None:
                names = _checked_names(cells)
            elif len(cells) == len(names):
                yield dict(zip(names, cells, strict=True))
            else:
                message = f"{_cells(len(cells))} for {number_of(len(names), 'column')}."
                raise UnreadableRows(f"Line {reader.line_num:,} has {message}")
    except csv.Error as error:
        raise UnreadableRows(f"Line {reader.line_num:,} is no CSV: {error}.") from None


def _cells(number: int) -> str:
    return number_of(number, "cell")


def _checked_names(cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    known: set[str] = set()
    for name in names:
        if name in known:
            raise UnreadableRows(f"Two columns are called {name[:_SHOWN]!r}.")
        known.add(name)
    return names


def _json_rows(text: str) -> Iterator[Row]:
    columns: set[str] | None = None
    # Other signs that end lines may stand in JSON texts.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        row = _json_row(number, line)
        columns = columns or {*row}
        if {*row} != columns:
            odd = sorted({*row} ^ columns)[0]
            raise UnreadableRows(f"Line {number:,} and the first differ in {odd[:_SHOWN]!r}.")
        yield row


def _json_row(number: int, line: str) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise UnreadableRows(f"Line {number:,} is no JSON.") from None
    if not isinstance(row, dict):
        raise UnreadableRows(f"Line {number:,} is no JSON object.")
    for name, cell in row.items():
        if isinstance(cell, bool) or not isinstance(cell, str | int | float):
            message = f"{name[:_SHOWN]!r} is neither a text nor a number."
            raise UnreadableRows(f"Line {number:,}: {message}")
    return row
