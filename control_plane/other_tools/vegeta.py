"""vegeta: its JSON report, and its results as JSON, as CSV or as it writes them itself (gob)."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO

from control_plane.domain.errors import InvalidInput
from control_plane.domain.tool_result import ToolReading, ToolReport, ToolStream, ToolTimes
from control_plane.other_tools.go_gob import GobDecoder
from control_plane.other_tools.request_histograms import ALL_REQUESTS, LoggedRequest, RequestLog
from control_plane.other_tools.tool_file import (
    LAST_MOMENT_S,
    counted,
    csv_rows,
    damaged,
    error_counts,
    json_object,
    moment_ns,
    number,
    part,
    printable,
    request_name,
    text_lines,
    time_s,
    whole_text,
)

NS = 1e-9
VEGETA_NOTE = (
    "vegeta counts a time from when it sends a request: one that it sends late does not count its "
    "wait."
)
REPORT_NOTES = (
    "vegeta counts failed requests among its times.",
    "The report has estimated percentiles alone: nothing between them is known. vegeta's results "
    "have every request.",
)
RESULTS_NOTE = "The times are those of the requests with a status from 200 to 399."
CSV_COLUMNS = (
    *("timestamp", "code", "latency", "bytes_out", "bytes_in", "error", "body", "attack", "seq"),
    *("method", "url", "headers"),
)
FEWEST_COLUMNS = 9
"""Older versions write no more."""

GOOD_STATUSES = range(200, 400)


def read_report(file: BinaryIO) -> ToolReading:
    """Read what `vegeta report -type=json` writes."""
    document = json_object(whole_text(file))
    times, received = part(document, "latencies"), part(document, "bytes_in")
    statuses = {
        printable(status, 20): counted(many, "status_codes")
        for status, many in part(document, "status_codes").items()
    }
    requests = counted(document.get("requests"), "requests")
    good = sum(many for status, many in statuses.items() if _is_good(status))
    if good > requests:
        raise InvalidInput("The report counts more status codes than requests.")
    wait_s = number(document.get("wait", 0), "wait") * NS
    stream = ToolStream(
        name=ALL_REQUESTS,
        requests=requests,
        failed=requests - good,
        times=_times(times),
        errors=error_counts(
            (_error_name(key), many) for key, many in statuses.items() if not _is_good(key)
        ),
        statuses={status: many for status, many in statuses.items() if status != "0"},
        duration_s=number(document.get("duration"), "duration") * NS + wait_s,
        throughput_per_s=_throughput(document),
        bytes_received=counted(received["total"], "bytes_in") if "total" in received else None,
        failed_are_timed=True,
    )
    begun_ns = moment_ns(document.get("earliest"), "earliest", 0)
    report = ToolReport(
        tool="vegeta",
        clock="service",
        streams=(stream,),
        measured_at=datetime.fromtimestamp(begun_ns / 1e9, UTC),
        notes=(VEGETA_NOTE, *REPORT_NOTES),
    )
    return ToolReading(report, (None,))


def _is_good(status: str) -> bool:
    return status.isascii() and status.isdigit() and int(status) in GOOD_STATUSES


def _error_name(status: str) -> str:
    return "no response" if status == "0" else f"status {status}"


def _throughput(document: dict[str, Any]) -> float | None:
    """Return successes per second; older versions do not tell them."""
    found = document.get("throughput")
    return None if found is None else number(found, "throughput")


def _times(told: dict[str, Any]) -> ToolTimes:
    names = {key[:-2]: key for key in told if key.endswith(("th", "st", "nd", "rd"))}
    percentiles = {
        name: time_s(told[key], key, 0, NS)
        for name, key in names.items()
        if name.isascii() and name.isdigit()
    }
    low, mean, high = (
        time_s(told[name], name, 0, NS) if told.get(name) is not None else None
        for name in ("min", "mean", "max")
    )
    return ToolTimes(low, mean, high, percentiles)


def read_json_results(file: BinaryIO) -> ToolReading:
    """Read what `vegeta encode -to json` writes: a request a line."""
    return _logged(_json_requests(file))


def _json_requests(file: BinaryIO) -> Iterator[tuple[int, LoggedRequest]]:
    for line, text in text_lines(file):
        if text.strip():
            found = json_object(text, line)
            begun_ns = moment_ns(found.get("timestamp"), "timestamp", line)
            yield line, _request(found, begun_ns, line)


def read_csv_results(file: BinaryIO) -> ToolReading:
    """Read what `vegeta encode -to csv` writes: a request a row, without a header."""
    return _logged(_csv_requests(file))


def _csv_requests(file: BinaryIO) -> Iterator[tuple[int, LoggedRequest]]:
    for line, row in csv_rows(file):
        if len(row) < FEWEST_COLUMNS:
            raise damaged(line, f"it has {len(row)} columns, and results have nine or twelve.")
        _refuse_broken_body(row[6], line)
        found = dict(zip(CSV_COLUMNS, row, strict=False))
        if not row[0].isascii() or not row[0].isdigit() or int(row[0]) >= LAST_MOMENT_S * 10**9:
            raise damaged(line, f"its time is {printable(row[0], 40)}, and no nanoseconds.")
        yield line, _request(found, int(row[0]), line)


def _refuse_broken_body(text: str, line: int) -> None:
    """Raise InvalidInput for a body that is not base64: then the columns are others."""
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        raise damaged(line, "the body of its response is not in base64.") from None


def read_gob_results(file: BinaryIO) -> ToolReading:
    """Read what `vegeta attack` writes: messages of Go's gob, a request each."""
    return _logged(_gob_requests(file))


def _gob_requests(file: BinaryIO) -> Iterator[tuple[int, LoggedRequest]]:
    for place, value in enumerate(GobDecoder(file).values(), start=1):
        found = {name.lower().replace("bytes", "bytes_"): part for name, part in value.items()}
        begun_ns = found.get("timestamp") or 0
        if not isinstance(begun_ns, int):
            raise InvalidInput(f"Message {place:,} of the results has no time.")
        yield place, _request(found, begun_ns, place)


def _request(found: dict[str, Any], begun_ns: int, line: int) -> LoggedRequest:
    status = counted(found.get("code", 0), "code", line)
    error = printable(found.get("error") or "", 100)
    return LoggedRequest(
        name=request_name(str(found.get("method") or ""), str(found.get("url") or "")),
        begun_ns=begun_ns,
        took_ns=round(time_s(found.get("latency", 0), "latency", line, NS) * 1e9),
        failed="" if status in GOOD_STATUSES else _failure(status, error),
        status=status,
        received=counted(found.get("bytes_in", 0), "bytes_in", line),
    )


def _failure(status: int, error: str) -> str:
    return f"status {status}" if status else error or "no response"


def _logged(requests: Iterator[tuple[int, LoggedRequest]]) -> ToolReading:
    log = RequestLog()
    for line, request in requests:
        log.add(request, line)
    streams, samples = log.streams()
    report = ToolReport(
        tool="vegeta",
        clock="service",
        streams=streams,
        measured_at=datetime.fromtimestamp(log.first_ns / 1e9, UTC),
        notes=(VEGETA_NOTE, RESULTS_NOTE),
    )
    return ToolReading(report, samples)
