"""Files that other load generators wrote, read as reports with the histograms that they hold.

Which format a file has is told by its beginning. It is read once, in bounded memory, and refused
as a whole at the first line that is damaged.
"""

import csv
import logging
import re
import struct
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable
from typing import BinaryIO

import orjson

from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.tool_result import (
    TIME_UNITS,
    TOOL_KINDS,
    TimeUnit,
    ToldOfFile,
    ToolKind,
    ToolReading,
    report_fault,
)
from control_plane.other_tools.hdr_log import read_hdr_log
from control_plane.other_tools.hey_oha_wrk import (
    read_hey_csv,
    read_hey_text,
    read_oha_csv,
    read_oha_json,
    read_wrk,
    read_wrk2,
)
from control_plane.other_tools.k6_locust import (
    read_history,
    read_points,
    read_statistics,
    read_summary,
)
from control_plane.other_tools.tool_file import printable
from control_plane.other_tools.vegeta import (
    read_csv_results,
    read_gob_results,
    read_json_results,
    read_report,
)

HEAD_BYTES = 65_536
"""So many bytes tell the format."""

UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    csv.Error,
    struct.error,
    zlib.error,
)
"""What a reader may raise for bytes that nobody thought of."""

log = logging.getLogger("looplab.peers")

ReportReader = Callable[[BinaryIO], ToolReading]
_READERS: dict[str, tuple[ToolKind, ReportReader]] = {
    "k6 summary": ("k6", read_summary),
    "k6 points": ("k6", read_points),
    "locust statistics": ("locust", read_statistics),
    "locust history": ("locust", read_history),
    "oha json": ("oha", read_oha_json),
    "oha csv": ("oha", read_oha_csv),
    "hey text": ("hey", read_hey_text),
    "hey csv": ("hey", read_hey_csv),
    "wrk": ("wrk", read_wrk),
    "wrk2": ("wrk2", read_wrk2),
    "vegeta report": ("vegeta", read_report),
    "vegeta json": ("vegeta", read_json_results),
    "vegeta csv": ("vegeta", read_csv_results),
    "vegeta gob": ("vegeta", read_gob_results),
    "hlog": ("hlog", read_hdr_log),
}
_STARTS = (
    ('"StartTimestamp"', "hlog"),
    ("#[", "hlog"),
    ("Tag=", "hlog"),
    ("response-time,DNS+dialup", "hey csv"),
    ("request-start,DNS", "oha csv"),
    ("Type,Name,Request Count", "locust statistics"),
    ('"Type","Name"', "locust statistics"),
    ("Timestamp,User Count", "locust history"),
    ('"Timestamp","User Count"', "locust history"),
)
_WRK = re.compile(r"^Running \S+ test @ ", re.MULTILINE)
_OHA_PRINTED = re.compile(rb"^ *Success rate:|^Response time distribution:", re.MULTILINE)
"""hey, which prints much of the same, has neither: its percentiles are a `Latency distribution`."""
_PRINTED = (
    (_OHA_PRINTED, "it is the text of oha, so let it write --output-format json or csv"),
    (
        re.compile(rb"\bhttp_req\w*\.{3,} *:"),
        "it is what k6 prints, so let it write --summary-export FILE or --out json=FILE",
    ),
)
"""Texts of tools that also write files, in which no number is rounded."""
_HLOG_LINE = re.compile(r"[0-9.]+,[0-9.]+,[0-9.]+,HIST")
_VEGETA_LINE = re.compile(r"\d{15,19},\d{1,3},\d+,\d+,\d+,")


def read_tool_file(
    file: BinaryIO, kind: ToolKind | None = None, unit: TimeUnit | None = None
) -> ToolReading:
    """Return what a file tells; `kind` None: what it looks like.

    `unit` is that of the values of an HdrHistogram log. Raises InvalidInput, with the line, for
    what is none of these files, or is damaged.
    """
    found = recognized_format(file, kind, unit)
    try:
        read = read_hdr_log(file, unit) if found == "hlog" else _READERS[found][1](file)
    except UNREADABLE as error:
        log.warning("a file read as %s: %r", found, error)
        raise InvalidInput(f"The file is damaged: it is not as {found} is written.") from None
    if fault := report_fault(read.report):
        raise InvalidInput(f"The file is damaged: {fault}.")
    return read


def recognized_format(
    file: BinaryIO, kind: ToolKind | None = None, unit: TimeUnit | None = None
) -> str:
    """Return the format that the beginning of a file tells, and go back there, behind its mark.

    Raises InvalidInput for an unknown one, or where it is of another tool than `kind`.
    """
    head = file.read(HEAD_BYTES)
    file.seek(len(BOM_UTF8) if head.startswith(BOM_UTF8) else 0)
    head = head.removeprefix(BOM_UTF8)
    found = _format_of(head)
    if kind is not None and (found is None or _READERS[found][0] != kind):
        looks = f"it looks like that of {_READERS[found][0]}" if found else _unknown(head)
        raise InvalidInput(f"This is no file of {kind}: {looks}.")
    if found is None:
        raise InvalidInput(f"This is no bundle, and no file of a known tool: {_unknown(head)}.")
    if unit is not None and found != "hlog":
        raise InvalidInput("A unit is told for HdrHistogram logs alone.")
    return found


def told_of_file(name: str, kind: str, unit: str, title: str = "") -> ToldOfFile:
    """Return what is said of a file, as texts; empty ones say nothing. Raises InvalidInput."""
    return ToldOfFile(printable(name) or "unnamed", checked_kind(kind), checked_unit(unit), title)


def checked_kind(text: str) -> ToolKind | None:
    """Return the kind that somebody named; None for none. Raises InvalidInput for another."""
    if not text:
        return None
    found = next((kind for kind in TOOL_KINDS if kind == text), None)
    if found is None:
        message = f"There is no kind {text[:20]!r}: give {', '.join(TOOL_KINDS)}."
        raise InvalidInput(message, (FieldError("kind", message),))
    return found


def checked_unit(text: str) -> TimeUnit | None:
    """Return the unit that somebody named; None for none. Raises InvalidInput for another."""
    if not text:
        return None
    found = next((unit for unit in TIME_UNITS if unit == text), None)
    if found is None:
        message = f"There is no unit {text[:20]!r}: give {', '.join(TIME_UNITS)}."
        raise InvalidInput(message, (FieldError("unit", message),))
    return found


def _unknown(head: bytes) -> str:
    if not head:
        return "it is empty"
    if head.startswith(b"\x1f\x8b"):
        return "it is compressed, so unpack it first"
    if head.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "it is UTF-16, as PowerShell writes it, so save it as UTF-8"
    if head.startswith((b"Method,Name,Error", b"Count,Message,Traceback")):
        return "it lists what failed for Locust, so take PREFIX_stats.csv"
    told = (words for printed, words in _PRINTED if printed.search(head))
    return next(told, "its beginning is not known")


def _format_of(head: bytes) -> str | None:
    """Return the format of a file that begins like this; None for an unknown one."""
    if b"Timestamp" in head[:400] and b"Latency" in head[:400] and b"\xff" in head[:400]:
        return "vegeta gob"
    text = head.decode("utf-8", "replace").lstrip()
    first = text.partition("\n")[0]
    known = next((name for start, name in _STARTS if text.startswith(start)), None)
    if known is None and text.startswith("{"):
        return _json_format(first, text)
    return known or _text_format(first, text)


def _text_format(first: str, text: str) -> str | None:
    """Return the format of what a tool prints, or of rows without a header."""
    if _WRK.search(text):
        return "wrk2" if "HdrHistogram" in text or "Thread calibration" in text else "wrk"
    hey = "Requests/sec:" in text and "Status code distribution:" in text and "secs" in text
    if hey and not _OHA_PRINTED.search(text.encode()):
        return "hey text"
    lines = ((_HLOG_LINE, "hlog"), (_VEGETA_LINE, "vegeta csv"))
    return next((name for line, name in lines if line.match(first)), None)


def _json_format(first: str, text: str) -> str | None:
    """Return the format of JSON: lines of objects by their first, one object by its keys."""
    try:
        keys = orjson.loads(first).keys()
    except (orjson.JSONDecodeError, AttributeError):
        keys = ()
    if {"type", "data", "metric"} <= set(keys):
        return "k6 points"
    # A line that goes on behind the head is no JSON yet: the body stands last but a few.
    of_result = ("timestamp", "latency", "code")
    if all(key in keys or (not keys and f'"{key}":' in first) for key in of_result):
        return "vegeta json"
    signs = (
        ('"http_req', "k6 summary"),
        ('"latencies"', "vegeta report"),
        ('"latencyPercentiles"', "oha json"),
        ('"statusCodeDistribution"', "oha json"),
    )
    return next((name for sign, name in signs if sign in text), None)
