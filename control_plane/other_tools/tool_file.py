"""Files that other tools wrote, and that anybody may have changed: bounded, told by line."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import orjson

from control_plane.domain.errors import InvalidInput
from control_plane.domain.histogram import HIGHEST_NS
from control_plane.domain.tool_result import MOST

MAX_LINE_BYTES = 1_000_000
MAX_REPORT_BYTES = 16_000_000
"""The most of what is read as a whole; samples are read line by line."""

MAX_KINDS, OTHER_ERRORS = 100, "other errors"
LONGEST_S = HIGHEST_NS / 1e9
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?")


ANOTHER_RESULT = "another result begins here; import each from a file of its own."


def damaged(line: int, what: str) -> InvalidInput:
    """Return the error for a line of the file, counted from 1; 0: the file as a whole."""
    return InvalidInput(f"Line {line:,}: {what}" if line else f"In the file {what}")


def text_lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield each line from here on with its number. Raises InvalidInput for one that is no text."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise damaged(number, f"it is longer than {MAX_LINE_BYTES:,} bytes.")
        try:
            yield number, line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise damaged(number, "it is no text in UTF-8.") from None


def report_lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield the lines of a report, which is kept whole. Raises InvalidInput for a long one."""
    left = MAX_REPORT_BYTES
    for line, text in text_lines(file):
        left -= len(text)
        if left < 0:
            raise InvalidInput(f"A report of more than {MAX_REPORT_BYTES:,} bytes is none.")
        yield line, text


def whole_text(file: BinaryIO) -> str:
    """Return the rest of the file. Raises InvalidInput where it is no text, or too long."""
    content = file.read(MAX_REPORT_BYTES + 1)
    if len(content) > MAX_REPORT_BYTES:
        raise InvalidInput(f"A report of more than {MAX_REPORT_BYTES:,} bytes is none.")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise damaged(line, "it is no text in UTF-8.") from None


def json_object(text: str, line: int = 1) -> dict[str, Any]:
    """Return a JSON object that begins in that line. Raises InvalidInput."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise damaged(line + error.lineno - 1, f"it is no JSON: {error.msg}.") from None
    if not isinstance(found, dict):
        raise damaged(line, "it holds no JSON object.")
    return found


def part(document: Mapping[str, Any], name: str, line: int = 0) -> dict[str, Any]:
    """Return an object inside a document; empty where there is none. Raises InvalidInput."""
    found = document.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise damaged(line, f"{name} is no JSON object.")
    return found


def error_counts(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    """Return how many errors there are of each kind; what is above `MAX_KINDS` as one more."""
    found: dict[str, int] = {}
    for kind, many in pairs:
        kept = kind if kind in found or len(found) < MAX_KINDS else OTHER_ERRORS
        found[kept] = found.get(kept, 0) + many
    return found


def number(value: object, name: str, line: int = 0) -> float:
    """Return a number from 0 to 10^15. Raises InvalidInput for anything else."""
    found = float("nan")
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value) if abs(value) <= MOST else found
    elif isinstance(value, str) and _PLAIN_NUMBER.fullmatch(value.strip()):
        found = _read(value)
    if not 0 <= found <= MOST:
        raise damaged(line, f"{name} is {printable(value, 40)}, and no number from 0 to 10^15.")
    return found


def _read(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def counted(value: object, name: str, line: int = 0) -> int:
    """Return a whole number from 0 to 10^15. Raises InvalidInput for anything else."""
    found = number(value, name, line)
    if found != int(found):
        raise damaged(line, f"{name} is {printable(value, 40)}, and no whole number.")
    return int(found)


def time_s(value: object, name: str, line: int = 0, unit_s: float = 1.0) -> float:
    """Return a time in seconds that was told in units of `unit_s`. Raises InvalidInput."""
    found = number(value, name, line) * unit_s
    if found > LONGEST_S:
        raise damaged(line, f"{name} is {found:,.0f} s, above the limit of {LONGEST_S:,.0f} s.")
    return found


def moment_ns(value: object, name: str, line: int) -> int:
    """Return nanoseconds since 1970 of a time with its zone, as RFC 3339 has it.

    Raises InvalidInput, also outside of 1970 to 2200.
    """
    found = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    try:
        whole = _epoch_s(f"{found[1]}{found[3]}") if found else -1
    except ValueError:
        whole = -1
    if found is None or not 0 <= whole < LAST_MOMENT_S:
        raise damaged(line, f"{name} is {printable(value, 40)}, and no time.")
    return whole * 10**9 + int((found[2] or "").ljust(9, "0"))


_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)", re.ASCII
)
LAST_MOMENT_S = 7_258_118_400


@lru_cache(maxsize=64)
def _epoch_s(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp())


def csv_rows(file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file that are not empty, each with the line that it ends in."""
    # Of the process. Bodies of responses are longer than what it allows by itself.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    reader = csv.reader((f"{line}\n" for _, line in text_lines(file)), strict=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise damaged(reader.line_num, f"it is no CSV: {error}.") from None
        if row is None:
            return
        if row:
            yield reader.line_num, row


def cells(row: list[str], columns: Sequence[str], line: int) -> dict[str, str]:
    """Return a row by its columns. Raises InvalidInput where they are not as many."""
    if len(row) != len(columns):
        raise damaged(line, f"it has {len(row)} columns, and the first line {len(columns)}.")
    return dict(zip(columns, row, strict=True))


def printable(value: object, most: int = 200) -> str:
    """Return a text of the file as it may be shown: one line, and no longer than `most`."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(value)[: 4 * most])
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def request_name(method: str, url: str) -> str:
    """Return `GET /items`: without host, query and user, which may be secret."""
    try:
        path = urlsplit(url).path or "/"
    except ValueError:
        path = "/"
    return printable(f"{method or 'GET'} {path}", 100)


def plain_address(url: str) -> str:
    """Return `http://127.0.0.1:8000/items`: without user and query, which may be secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return printable(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def percent_name(share: float) -> str:
    """Return the name of a percentile by its per cent: `50`, `99.9`."""
    return f"{share:.6f}".rstrip("0").rstrip(".")
