"""k6: its summary, and the points of `--out json`. Locust: statistics and history of `--csv`.

Times of k6 are `http_req_duration`: from the first byte sent to the last byte received, in
milliseconds. Those of Locust are whole milliseconds, and longer ones have two or three figures: it
counts rounded ones.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, BinaryIO

from control_plane.domain.errors import InvalidInput
from control_plane.domain.limits import MAX_TOOL_STREAMS
from control_plane.domain.tool_result import (
    ToolReading,
    ToolReport,
    ToolSeconds,
    ToolStream,
    ToolTimes,
)
from control_plane.other_tools.request_histograms import (
    ALL_REQUESTS,
    MOST_SECONDS,
    LoggedRequest,
    RequestLog,
)
from control_plane.other_tools.tool_file import (
    LAST_MOMENT_S,
    cells,
    counted,
    csv_rows,
    damaged,
    json_object,
    moment_ns,
    number,
    part,
    percent_name,
    printable,
    request_name,
    text_lines,
    time_s,
    whole_text,
)

LOCUST_MS = 1e-3
AGGREGATED = "Aggregated"
NOT_TOLD = {"", "N/A", "None"}
LOCUST_NOTES = (
    "Locust counts a time from when it sends a request. Failed requests are among its times and in "
    "its throughput.",
    "Locust rounds times before it counts them: from 100 ms on to two figures, from 1 s on to "
    "hundreds of milliseconds.",
    "The CSV of Locust has percentiles alone: nothing between them is known.",
)
HISTORY_NOTE = "Rates and percentiles of a moment are those of the ten seconds before it."

CsvRow = dict[str, str]


def read_statistics(file: BinaryIO) -> ToolReading:
    """Read PREFIX_stats.csv: a row for each name, and one for all."""
    rows = [*islice(_rows(file), MAX_TOOL_STREAMS + 1)]
    if len(rows) > MAX_TOOL_STREAMS:
        raise InvalidInput(f"The file has more than {MAX_TOOL_STREAMS} names of requests.")
    if not rows:
        raise InvalidInput("The statistics of Locust hold no request.")
    streams = [_stream(row, line, "") for line, row in rows]
    whole = [stream for stream in streams if stream.name == ALL_REQUESTS]
    named = [stream for stream in streams if stream.name != ALL_REQUESTS]
    ordered = (*whole, *(named if len(named) > 1 or not whole else ()))
    report = ToolReport("Locust", "service", ordered, notes=LOCUST_NOTES)
    return ToolReading(report, (None,) * len(ordered))


def read_history(file: BinaryIO) -> ToolReading:
    """Read PREFIX_stats_history.csv: a row for each second, of all requests."""
    of_all = ((line, row) for line, row in _rows(file) if row.get("Name") == AGGREGATED)
    rows = [*islice(of_all, MOST_SECONDS + 1)]
    if not rows:
        raise InvalidInput("The history of Locust has no row for all requests.")
    if len(rows) > MOST_SECONDS:
        raise damaged(rows[MOST_SECONDS][0], f"there are more than {MOST_SECONDS:,} moments.")
    stamps = [_stamp(row, line) for line, row in rows]
    line, last = rows[-1]
    found = _stream(last, line, "Total ")
    whole = ToolStream(
        name=ALL_REQUESTS,
        requests=found.requests,
        failed=found.failed,
        times=ToolTimes(found.times.min, found.times.mean, found.times.max, _median(last, line)),
        failed_are_timed=True,
        seconds=_seconds([stamp - stamps[0] for stamp in stamps], rows),
    )
    report = ToolReport(
        tool="Locust",
        clock="service",
        streams=(whole,),
        measured_at=datetime.fromtimestamp(stamps[0], UTC),
        facts=(("most users", f"{max(_of(row, 'User Count', at) or 0 for at, row in rows):,.0f}"),),
        notes=(*LOCUST_NOTES, HISTORY_NOTE),
    )
    return ToolReading(report, (None,))


def _rows(file: BinaryIO) -> Iterator[tuple[int, CsvRow]]:
    found = csv_rows(file)
    _, columns = next(found, (0, []))
    return ((line, cells(row, columns, line)) for line, row in found)


def _stream(row: CsvRow, line: int, before: str) -> ToolStream:
    total = f"{before}Request Count", f"{before}Failure Count"
    requests, failed = (_whole(row, name, line) for name in total)
    names = ("Min", "Average", "Max")
    low, mean, high = (_time(row, f"{before}{name} Response Time", line) for name in names)
    is_all = row.get("Name") == AGGREGATED
    return ToolStream(
        name=ALL_REQUESTS if is_all else printable(f"{row.get('Type', '')} {row.get('Name', '')}"),
        requests=requests,
        failed=failed,
        times=ToolTimes(low, mean, high, {} if before else _percentiles(row, line))
        if requests
        else ToolTimes(),
        throughput_per_s=None if before else _of(row, "Requests/s", line),
        failed_are_timed=True,
    )


def _percentiles(row: CsvRow, line: int) -> dict[str, float]:
    names = [name for name in row if name.endswith("%") and name != "100%"]
    found = {percent_name(number(name[:-1], name, line)): _time(row, name, line) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _median(row: CsvRow, line: int) -> dict[str, float]:
    found = _time(row, "Total Median Response Time", line)
    return {} if found is None else {"50": found}


def _seconds(at_s: list[float], rows: list[tuple[int, CsvRow]]) -> ToolSeconds:
    rates = [(_of(row, "Requests/s", at), _of(row, "Failures/s", at)) for at, row in rows]
    p50, p95, p99 = (
        tuple(_recent(row, name, line) for line, row in rows) for name in ("50%", "95%", "99%")
    )
    good = [None if rate is None else max(rate - (bad or 0.0), 0.0) for rate, bad in rates]
    return ToolSeconds(tuple(at_s), tuple(good), tuple(bad for _, bad in rates), p50, p95, p99)


def _recent(row: CsvRow, name: str, line: int) -> float | None:
    """Return a percentile of a moment; None for the 0 that Locust writes before it knows one."""
    found, least = _time(row, name, line), _time(row, "Total Min Response Time", line)
    return None if found == 0 and least is not None and least >= LOCUST_MS else found


def _stamp(row: CsvRow, line: int) -> float:
    found = number(row.get("Timestamp"), "Timestamp", line)
    if found >= LAST_MOMENT_S:
        raise damaged(line, f"Timestamp is {printable(row.get('Timestamp'), 40)}, and no time.")
    return found


def _of(row: CsvRow, name: str, line: int) -> float | None:
    return None if row.get(name, "") in NOT_TOLD else number(row[name], name, line)


def _whole(row: CsvRow, name: str, line: int) -> int:
    return counted(row.get(name), name, line)


def _time(row: CsvRow, name: str, line: int) -> float | None:
    return None if row.get(name, "") in NOT_TOLD else time_s(row[name], name, line, LOCUST_MS)


K6_MS = 1e-3
DURATION = "http_req_duration"
EXPECTED = f"{DURATION}{{expected_response:true}}"
K6_NOTE = (
    "k6 counts a time from the first byte that it sends: what a request waits for its user, for an "
    "arrival or for a connection is in none of them."
)
TIMED_NOTE = "k6 counts failed requests among its times and in its throughput."
SUMMARY_NOTE = "k6 exports percentiles alone: nothing between them is known."


def read_summary(file: BinaryIO) -> ToolReading:
    """Read what `--summary-export` or `handleSummary` writes."""
    document = json_object(whole_text(file))
    metrics = part(document, "metrics")
    requests = _values(metrics, "http_reqs")
    if not requests or DURATION not in metrics:
        raise InvalidInput("The summary of k6 has no HTTP request.")
    failed = _failed(_values(metrics, "http_req_failed"))
    run_ms = part(document, "state").get("testRunDurationMs")
    received = _values(metrics, "data_received").get("count")
    whole = ToolStream(
        name=ALL_REQUESTS,
        requests=counted(requests.get("count"), "http_reqs.count"),
        failed=failed,
        times=_times(_values(metrics, DURATION), DURATION),
        duration_s=None if run_ms is None else number(run_ms, "testRunDurationMs") * K6_MS,
        throughput_per_s=number(requests.get("rate"), "http_reqs.rate"),
        bytes_received=None if received is None else counted(received, "data_received.count"),
        failed_are_timed=True,
    )
    streams = [whole]
    if failed and EXPECTED in metrics:
        times = _times(_values(metrics, EXPECTED), EXPECTED)
        requests_expected = (whole.requests or 0) - failed
        streams.append(ToolStream("expected responses", requests_expected, 0, times))
    report = ToolReport(
        tool="k6",
        clock="service",
        streams=tuple(streams),
        facts=_facts(metrics),
        notes=(K6_NOTE, TIMED_NOTE, SUMMARY_NOTE),
    )
    return ToolReading(report, (None,) * len(streams))


def _values(metrics: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the values of a metric: `handleSummary` has them one level deeper."""
    metric = part(metrics, name)
    return part(metric, "values") or metric


def _failed(values: dict[str, Any]) -> int | None:
    """Return how many requests failed: of a rate k6 calls passes what it counts."""
    found = values.get("passes")
    return None if found is None else counted(found, "http_req_failed.passes")


def _times(values: dict[str, Any], name: str) -> ToolTimes:
    percentiles = {}
    for key, value in values.items():
        share = "50" if key == "med" else key[2:-1] if key.startswith("p(") else ""
        if share:
            percent = number(share, f"{name}.{printable(key, 20)}")
            percentiles[percent_name(percent)] = time_s(value, f"{name}.{key}", 0, K6_MS)
    known = {
        ours: time_s(values[theirs], f"{name}.{theirs}", 0, K6_MS)
        for ours, theirs in (("min", "min"), ("mean", "avg"), ("max", "max"))
        if values.get(theirs) is not None
    }
    return ToolTimes(percentiles=dict(sorted(percentiles.items(), key=_by_percent)), **known)


def _by_percent(item: tuple[str, float]) -> float:
    return float(item[0])


def _facts(metrics: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    found = []
    for name, key, label in (
        ("vus_max", "max", "most users"),
        ("iterations", "count", "iterations"),
    ):
        value = _values(metrics, name).get(key)
        if value is not None:
            found.append((label, f"{number(value, name):,.0f}"))
    return tuple(found)


def read_points(file: BinaryIO) -> ToolReading:
    """Read what `--out json` writes: a JSON object a line, a request each."""
    log = RequestLog()
    for line, text in text_lines(file):
        if not text or _is_other(text):
            continue
        point = json_object(text, line)
        if point.get("type") == "Point" and point.get("metric") == DURATION:
            log.add(_request(part(point, "data", line), line), line)
    streams, samples = log.streams()
    report = ToolReport(
        tool="k6",
        clock="service",
        streams=streams,
        measured_at=datetime.fromtimestamp(log.first_ns / 1e9, UTC),
        notes=(K6_NOTE, "The times are those of the responses that k6 expected."),
    )
    return ToolReading(report, samples)


def _is_other(text: str) -> bool:
    """Whether a whole line is of another metric: k6 writes ten of them for each request."""
    return DURATION not in text and text[0] == "{" and text[-1] == "}"


def _request(data: dict[str, Any], line: int) -> LoggedRequest:
    tags = part(data, "tags", line)
    took_ns = round(time_s(data.get("value"), "value", line, K6_MS) * 1e9)
    ended_ns = moment_ns(data.get("time"), "time", line)
    if ended_ns < took_ns:
        raise damaged(line, "the request began before 1970.")
    text = str(tags.get("status") or "0")
    status = counted(text, "status", line)
    expected = tags.get("expected_response")
    is_failed = expected == "false" if expected is not None else not 200 <= status < 400
    how = f"status {status}" if status else str(tags.get("error") or "no response")
    return LoggedRequest(
        name=request_name(str(tags.get("method") or "GET"), str(tags.get("name") or "")),
        begun_ns=ended_ns - took_ns,
        took_ns=took_ns,
        failed=how if is_failed else "",
        status=status,
    )
