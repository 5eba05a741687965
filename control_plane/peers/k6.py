"""k6: the summary that it exports, and the points that `--out json` writes.

Times are `http_req_duration`: from the first byte sent to the last byte received, in milliseconds.
"""

from datetime import UTC, datetime
from typing import Any, BinaryIO

from control_plane.domain.errors import InvalidInput
from control_plane.domain.peer_result import PeerReading, PeerReport, PeerStream, PeerTimes
from control_plane.peers.peer_file import (
    counted,
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
from control_plane.peers.request_log import ALL_REQUESTS, LoggedRequest, RequestLog

K6_MS = 1e-3
DURATION = "http_req_duration"
EXPECTED = f"{DURATION}{{expected_response:true}}"
K6_NOTE = (
    "k6 counts a time from the first byte that it sends: what a request waits for its user, for an "
    "arrival or for a connection is in none of them."
)
TIMED_NOTE = "k6 counts failed requests among its times and in its throughput."
SUMMARY_NOTE = "k6 exports percentiles alone: nothing between them is known."


def read_summary(file: BinaryIO) -> PeerReading:
    """Read what `--summary-export` or `handleSummary` writes."""
    document = json_object(whole_text(file))
    metrics = part(document, "metrics")
    requests = _values(metrics, "http_reqs")
    if not requests or DURATION not in metrics:
        raise InvalidInput("The summary of k6 has no HTTP request.")
    failed = _failed(_values(metrics, "http_req_failed"))
    run_ms = part(document, "state").get("testRunDurationMs")
    received = _values(metrics, "data_received").get("count")
    whole = PeerStream(
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
        streams.append(PeerStream("expected responses", requests_expected, 0, times))
    report = PeerReport(
        tool="k6",
        clock="service",
        streams=tuple(streams),
        facts=_facts(metrics),
        notes=(K6_NOTE, TIMED_NOTE, SUMMARY_NOTE),
    )
    return PeerReading(report, (None,) * len(streams))


def _values(metrics: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the values of a metric: `handleSummary` has them one level deeper."""
    metric = part(metrics, name)
    return part(metric, "values") or metric


def _failed(values: dict[str, Any]) -> int | None:
    """Return how many requests failed: of a rate k6 calls passes what it counts."""
    found = values.get("passes")
    return None if found is None else counted(found, "http_req_failed.passes")


def _times(values: dict[str, Any], name: str) -> PeerTimes:
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
    return PeerTimes(percentiles=dict(sorted(percentiles.items(), key=_by_percent)), **known)


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


def read_points(file: BinaryIO) -> PeerReading:
    """Read what `--out json` writes: a JSON object a line, a request each."""
    log = RequestLog()
    for line, text in text_lines(file):
        if not text or _is_other(text):
            continue
        point = json_object(text, line)
        if point.get("type") == "Point" and point.get("metric") == DURATION:
            log.add(_request(part(point, "data", line), line), line)
    streams, samples = log.streams()
    report = PeerReport(
        tool="k6",
        clock="service",
        streams=streams,
        measured_at=datetime.fromtimestamp(log.first_ns / 1e9, UTC),
        notes=(K6_NOTE, "The times are those of the responses that k6 expected."),
    )
    return PeerReading(report, samples)


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
