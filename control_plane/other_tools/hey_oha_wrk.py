"""hey, oha, wrk and wrk2: what they print, the CSV of hey, the JSON and the CSV of oha."""

import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from control_plane.domain.errors import InvalidInput
from control_plane.domain.tool_result import (
    ToolClock,
    ToolReading,
    ToolReport,
    ToolStream,
    ToolTimes,
)
from control_plane.other_tools.request_histograms import ALL_REQUESTS, LoggedRequest, RequestLog
from control_plane.other_tools.tool_file import (
    ANOTHER_RESULT,
    cells,
    counted,
    csv_rows,
    damaged,
    error_counts,
    json_object,
    number,
    part,
    percent_name,
    plain_address,
    printable,
    report_lines,
    time_s,
    whole_text,
)

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0}
_SIZES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_TIME = r"([0-9.]+)(us|ms|s|m|h)"
_ADDRESS = re.compile(r"Running \S+ test @ (\S+)")
_LOAD = re.compile(r"\s+(\d+) threads? and (\d+) connections?")
_LATENCY = re.compile(rf"\s+Latency\s+{_TIME}\s+\S+\s+{_TIME}\s.*")
_PERCENTILE = re.compile(rf"\s+([0-9.]+)%\s+{_TIME}\s*")
"""Behind a unit of one letter wrk writes a space."""
_SPECTRUM = re.compile(r"\s+([0-9.]+)\s+([01]\.[0-9]+)\s+(\d+)\s+(?:[0-9.]+|inf)")
_REQUESTS = re.compile(rf"\s+(\d+) requests in {_TIME}, ([0-9.]+)([KMGT]?B) read")
_ERRORS = re.compile(r"\s+Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")
_STATUS = re.compile(r"\s+Non-2xx or 3xx responses: (\d+)")
_RATE = re.compile(r"Requests/sec:\s+(\S+)")
UNCORRECTED = "Uncorrected Latency"

WRK_NOTES = (
    "wrk counts a time from when it sends a request. Each connection waits for its response before "
    "it sends the next, so a stall hides the requests that would have met it (coordinated "
    "omission).",
    "wrk prints rounded percentiles alone: nothing between them is known.",
)
WRK2_NOTES = (
    "wrk2 counts a time from when a request was meant to be sent.",
    "wrk2 prints points of its spectrum: a histogram cannot be made of them.",
)
OTHER_STATUS = "other than 2xx and 3xx"
ERROR_NOTES = {
    OTHER_STATUS: "Responses other than 2xx and 3xx are among the times and in the throughput.",
    "timeout": "Responses after the time-out are counted as errors and left out of the times.",
}


class _WrkValues:
    """What was read so far."""

    def __init__(self) -> None:
        self.facts: list[tuple[str, str]] = []
        self.mean_s: float | None = None
        self.max_s: float | None = None
        self.percentiles: dict[str, float] = {}
        self.errors: dict[str, int] = {}
        self.answered: int | None = None
        self.duration_s: float | None = None
        self.received: int | None = None
        self.rate: float | None = None


def read_wrk(file: BinaryIO) -> ToolReading:
    """Read what wrk prints."""
    return _reading(file, "wrk", "service", WRK_NOTES)


def read_wrk2(file: BinaryIO) -> ToolReading:
    """Read what wrk2 prints."""
    return _reading(file, "wrk2", "response", WRK2_NOTES)


def _reading(file: BinaryIO, tool: str, clock: ToolClock, notes: tuple[str, ...]) -> ToolReading:
    found = _WrkValues()
    for line, text in _corrected(file):
        _read_line(found, line, text)
    if found.answered is None or found.rate is None:
        raise InvalidInput(f"The output of {tool} has no end: it ends with Requests/sec.")
    requests = found.answered + _unanswered(found.errors)
    stream = ToolStream(
        name=ALL_REQUESTS,
        requests=requests,
        # A late response with an error status counts twice.
        failed=min(sum(found.errors.values()), requests),
        times=ToolTimes(None, found.mean_s, found.max_s, found.percentiles)
        if found.answered
        else ToolTimes(),
        errors=found.errors,
        duration_s=found.duration_s,
        throughput_per_s=found.rate,
        bytes_received=found.received,
        failed_are_timed=True,
    )
    shown = (*notes, *(note for kind, note in ERROR_NOTES.items() if kind in found.errors))
    report = ToolReport(tool, clock, (stream,), facts=tuple(found.facts), notes=shown)
    return ToolReading(report, (None,))


def _corrected(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Yield the lines without those of the times that wrk2 prints beside its own."""
    is_other = False
    for line, text in report_lines(file):
        is_other = UNCORRECTED in text or (is_other and not text.startswith("-"))
        if not is_other:
            yield line, text


def _unanswered(errors: dict[str, int]) -> int:
    """Return how many errors are none of the counted responses; those that time out are late."""
    return sum(errors.get(kind, 0) for kind in ("connect", "read", "write"))


def _read_line(found: _WrkValues, line: int, text: str) -> None:
    if match := _PERCENTILE.fullmatch(text):
        name = percent_name(number(match[1], "percentile", line))
        if name != "100":
            found.percentiles[name] = _time(match[2], match[3], line)
    elif match := _SPECTRUM.fullmatch(text):
        _read_spectrum(found, line, match)
    elif match := _LATENCY.fullmatch(text):
        found.mean_s = _time(match[1], match[2], line)
        found.max_s = _time(match[3], match[4], line)
    elif match := _REQUESTS.fullmatch(text):
        found.answered = counted(match[1], "requests", line)
        found.duration_s = _time(match[2], match[3], line)
        found.received = round(number(match[4], "bytes read", line) * _SIZES[match[5]])
    else:
        _read_rest(found, line, text)


def _read_rest(found: _WrkValues, line: int, text: str) -> None:
    if match := _ERRORS.fullmatch(text):
        kinds = zip(("connect", "read", "write", "timeout"), match.groups(), strict=True)
        counts = {kind: counted(many, kind, line) for kind, many in kinds}
        found.errors.update({kind: many for kind, many in counts.items() if many})
    elif match := _STATUS.fullmatch(text):
        found.errors[OTHER_STATUS] = counted(match[1], "responses", line)
    elif match := _RATE.fullmatch(text):
        found.rate = number(match[1], "Requests/sec", line)
    elif match := _ADDRESS.fullmatch(text):
        if found.rate is not None:
            raise damaged(line, ANOTHER_RESULT)
        found.facts.append(("address", plain_address(match[1])))
    elif match := _LOAD.fullmatch(text):
        found.facts += [("threads", match[1]), ("connections", match[2])]
    elif text.lstrip().startswith("Latency ") and "%" in text:
        raise damaged(line, "the row Latency is not as wrk prints it.")


def _read_spectrum(found: _WrkValues, line: int, match: re.Match[str]) -> None:
    """Take a point of the spectrum, in milliseconds, where the percentile is not known yet."""
    share = number(match[2], "percentile", line)
    if 0 < share < 1:
        name = percent_name(100 * share)
        found.percentiles.setdefault(name, time_s(match[1], "value", line, 1e-3))


def _time(text: str, unit: str, line: int) -> float:
    return time_s(text, "time", line, _UNITS[unit])


HEY_NOTE = "hey counts a time from when it begins a request, connecting included."
ROUNDED_NOTE = "hey rounds times to a tenth of a millisecond."
OHA_NOTE = (
    "oha counts a time from when it sends a request, or with --latency-correction from when it "
    "meant to: its file does not say which."
)
ALONE_NOTE = "The file has percentiles alone: nothing between them is known."
FAILED_NOTE = "Responses with an error status are among the times and in the throughput."
NO_RESPONSE_NOTE = "Requests without a response are in the throughput."
LEFT_OUT_NOTE = "Requests without a response are not in the file, so they are not counted here."
HEY_COLUMNS = ("response-time", "DNS+dialup", "DNS")
OHA_COLUMNS = ("request-start", "DNS", "DNS+dialup")
FAILED_FROM = 400
"""From this status on a response is an error."""

_HEY_PERCENTILE = re.compile(r"\s+([0-9.]+)%%? in ([0-9.]+) secs")
_HEY_STATUS = re.compile(r"\s+\[(\d{3})\]\s+(\d+) responses")
_HEY_ERROR = re.compile(r"\s+\[(\d+)\]\s+(.+)")
_HEY_VALUE = re.compile(r"\s+([A-Z][A-Za-z/ ]+):\s+([0-9.]+)(?: (?:secs|bytes))?")


def read_hey_text(file: BinaryIO) -> ToolReading:
    """Read what hey prints."""
    values: dict[str, tuple[int, str]] = {}
    percentiles: dict[str, float] = {}
    statuses: dict[str, int] = {}
    errors: list[tuple[str, int]] = []
    section = ""
    for line, text in report_lines(file):
        section = text.strip() if text and not text[0].isspace() else section
        if match := _HEY_PERCENTILE.fullmatch(text):
            name = percent_name(number(match[1], "percentile", line))
            percentiles[name] = time_s(match[2], "time", line)
        elif match := _HEY_STATUS.fullmatch(text):
            statuses[match[1]] = counted(match[2], "responses", line)
        elif section == "Error distribution:" and (match := _HEY_ERROR.fullmatch(text)):
            errors.append((printable(match[2], 100), counted(match[1], "errors", line)))
        elif match := _HEY_VALUE.fullmatch(text):
            values.setdefault(match[1], (line, match[2]))
        elif text.strip() == "Summary:" and statuses:
            raise damaged(line, ANOTHER_RESULT)
    stream = _hey_stream(values, percentiles, statuses, error_counts(errors))
    shown = (HEY_NOTE, ROUNDED_NOTE, ALONE_NOTE, *((NO_RESPONSE_NOTE,) if errors else ()))
    report = ToolReport("hey", "service", (stream,), notes=_with_failed(shown, statuses))
    return ToolReading(report, (None,))


def _hey_stream(
    values: dict[str, tuple[int, str]],
    percentiles: dict[str, float],
    statuses: dict[str, int],
    errors: dict[str, int],
) -> ToolStream:
    if not (statuses or errors) or "Requests/sec" not in values:
        raise InvalidInput("The output of hey has no status codes: they stand at its end.")

    def value(name: str, read: Callable[..., float] = time_s) -> float | None:
        found = values.get(name)
        return read(found[1], name, found[0]) if found else None

    received = value("Total data", counted)
    # Without a response hey writes 0 and NaN.
    times = ToolTimes(value("Fastest"), value("Average"), value("Slowest"), percentiles)
    return ToolStream(
        name=ALL_REQUESTS,
        requests=sum(statuses.values()) + sum(errors.values()),
        failed=sum(errors.values()) + _bad(statuses),
        times=times if statuses else ToolTimes(),
        errors=error_counts((_bad_statuses(statuses) | errors).items()),
        statuses=statuses,
        duration_s=value("Total", number),
        throughput_per_s=value("Requests/sec", number),
        bytes_received=None if received is None else int(received),
        failed_are_timed=True,
    )


def _bad_statuses(statuses: dict[str, int]) -> dict[str, int]:
    return {
        f"status {status}": many for status, many in statuses.items() if int(status) >= FAILED_FROM
    }


def _bad(statuses: dict[str, int]) -> int:
    return sum(_bad_statuses(statuses).values())


def _with_failed(notes: tuple[str, ...], statuses: dict[str, int]) -> tuple[str, ...]:
    return (*notes, FAILED_NOTE) if _bad(statuses) else notes


def read_hey_csv(file: BinaryIO) -> ToolReading:
    """Read what hey prints with `-o csv`: a request a row."""
    log = RequestLog()
    for line, row in _table(file, HEY_COLUMNS):
        log.add(
            _request(row, line, row.get("offset", "0"), row["response-time"], "status-code"), line
        )
    return _logged(log, "hey", (HEY_NOTE, ROUNDED_NOTE, LEFT_OUT_NOTE))


def read_oha_csv(file: BinaryIO) -> ToolReading:
    """Read what oha writes with `--output-format csv`: a request a row."""
    log = RequestLog()
    for line, row in _table(file, OHA_COLUMNS):
        took = row.get("request-duration")
        log.add(_request(row, line, row["request-start"], took, "status"), line)
    return _logged(log, "oha", (OHA_NOTE, LEFT_OUT_NOTE))


def _table(file: BinaryIO, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    rows = csv_rows(file)
    line, heads = next(rows, (1, []))
    if tuple(heads[: len(columns)]) != columns:
        raise damaged(line, f"its columns do not begin with {', '.join(columns)}.")
    for line, row in rows:
        yield line, cells(row, heads, line)


def _request(
    row: dict[str, str], line: int, begun: str, took: str | None, status: str
) -> LoggedRequest:
    code = counted(row.get(status, "0"), status, line)
    return LoggedRequest(
        name=ALL_REQUESTS,
        begun_ns=round(time_s(begun, "start", line) * 1e9),
        took_ns=round(time_s(took, "response time", line) * 1e9),
        failed=f"status {code}" if code >= FAILED_FROM else "",
        status=code,
        received=counted(row.get("bytes", "0"), "bytes", line),
    )


def _logged(log: RequestLog, tool: str, notes: tuple[str, ...]) -> ToolReading:
    streams, samples = log.streams()
    return ToolReading(ToolReport(tool, "service", streams, notes=notes), samples)


def read_oha_json(file: BinaryIO) -> ToolReading:
    """Read what oha writes with `--output-format json`."""
    document = json_object(whole_text(file))
    summary, percentiles = part(document, "summary"), part(document, "latencyPercentiles")
    if not summary or "statusCodeDistribution" not in document:
        raise InvalidInput("The JSON of oha has no summary.")
    statuses, errors = (
        {printable(name, 100): counted(many, name) for name, many in part(document, kind).items()}
        for kind in ("statusCodeDistribution", "errorDistribution")
    )
    if not all(status.isascii() and status.isdigit() for status in statuses):
        raise InvalidInput("The JSON of oha has a status that is no number.")
    low, mean, high = (_known(summary, name, time_s) for name in ("fastest", "average", "slowest"))
    received = _known(summary, "totalData", counted)
    stream = ToolStream(
        name=ALL_REQUESTS,
        requests=sum(statuses.values()) + sum(errors.values()),
        failed=sum(errors.values()) + _bad(statuses),
        times=ToolTimes(low, mean, high, _oha_percentiles(percentiles)),
        errors=error_counts((_bad_statuses(statuses) | errors).items()),
        statuses=statuses,
        duration_s=_known(summary, "total", number),
        throughput_per_s=_known(summary, "requestsPerSec", number),
        bytes_received=None if received is None else int(received),
        failed_are_timed=True,
    )
    notes = _with_failed((OHA_NOTE, ALONE_NOTE), statuses)
    return ToolReading(ToolReport("oha", "service", (stream,), notes=notes), (None,))


def _oha_percentiles(told: dict[str, Any]) -> dict[str, float]:
    """Return the percentiles by number; oha writes null where there was no response."""
    found = {
        number(name.removeprefix("p"), "percentile"): time_s(value, printable(name, 20))
        for name, value in told.items()
        if value is not None
    }
    return {percent_name(share): found[share] for share in sorted(found)}


def _known(values: dict[str, Any], name: str, read: Callable[..., float]) -> float | None:
    """Return a number of the summary; None where it is null."""
    return None if values.get(name) is None else read(values[name], name)
