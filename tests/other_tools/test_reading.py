"""What the files of other tools tell, in the numbers that the tools print.

Written by wrk 4.1.0, hey 0.1.4, Locust 2.47.0, Go's own gob and the writer of hdrhistogram. No
registry here has k6, oha, wrk2 and vegeta: theirs are made by their documented formats.
"""

import io
from pathlib import Path
from typing import Any

import pytest

from control_plane.domain.tool_result import ToolReading, ToolTimes
from control_plane.other_tools import read_tool_file

FILES = Path(__file__).parent / "files"
BUCKET = 2**-10
"""The width of a bucket of the histogram, as a share."""

TOLD: dict[str, dict[str, Any]] = {
    "wrk.txt": {
        "tool": "wrk", "clock": "service", "requests": 14_298, "failed": 285, "rate": 4613.42,
        "p": {"50": 0.00157, "75": 0.00294, "90": 0.00691, "99": 0.07633},
        "of": (None, 0.0056, 0.14735), "duration": 3.1,
    },
    "wrk-plain.txt": {
        "tool": "wrk", "clock": "service", "requests": 1_064, "failed": 0, "rate": 1040.5,
        "p": {}, "of": (None, 0.01585, 0.12804), "duration": 1.02,
    },
    "wrk2.txt": {
        "tool": "wrk2", "clock": "response", "requests": 20_000, "failed": 0, "rate": 1999.8,
        "p": {"10": 0.000612, "50": 0.00121, "99": 0.00331, "99.999": 0.00902},
        "of": (None, 0.00131, 0.00902), "duration": 10.0,
    },
    "hey.txt": {
        "tool": "hey", "clock": "service", "requests": 600, "failed": 5, "rate": 1233.1212,
        "p": {"10": 0.0013, "50": 0.0017, "95": 0.0079, "99": 0.0242},
        "of": (0.0001, 0.0031, 0.0741), "duration": 0.4866,
    },
    "oha.json": {
        "tool": "oha", "clock": "service", "requests": 2_000, "failed": 50, "rate": 999.25,
        "p": {"50": 0.0011, "99.9": 0.031, "99.99": 0.0425}, "of": (0.00021, 0.00132, 0.0425),
        "duration": 2.0015,
    },
    "locust_stats.csv": {
        "tool": "Locust", "clock": "service", "requests": 2_209, "failed": 14, "rate": 441.559,
        "p": {"50": 0.003, "66": 0.003, "99": 0.01, "99.9": 0.047, "99.99": 0.073},
        "of": (0.00069029, 0.00326041, 0.07263108), "streams": ("GET /flaky", "GET /items"),
    },
    "locust_stats_history.csv": {
        "tool": "Locust", "clock": "service", "requests": 2_209, "failed": 14, "rate": None,
        "p": {"50": 0.003}, "of": (0.00069029, 0.00326041, 0.07263108), "seconds": 6,
    },
    "k6-summary.json": {
        "tool": "k6", "clock": "service", "requests": 10_000, "failed": 25, "rate": 999.9902,
        "p": {"50": 0.0032, "90": 0.00925, "95": 0.01275, "99.9": 0.0555},
        "of": (0.00071, 0.004811, 0.061304), "streams": ("expected responses",),
    },
    "vegeta-report.json": {
        "tool": "vegeta", "clock": "service", "requests": 300, "failed": 7, "rate": 97.93,
        "p": {"50": 0.001687204, "95": 0.006122044, "99": 0.009871203},
        "of": (0.000301223, 0.002041152, 0.012345678), "duration": 2.991543212,
    },
}  # fmt: skip


def read(name: str) -> ToolReading:
    return read_tool_file(io.BytesIO((FILES / name).read_bytes()))


@pytest.mark.parametrize("name", sorted(TOLD))
def test_percentiles_alone_are_told_as_they_were_written(name: str) -> None:
    told, (report, samples) = TOLD[name], read(name)
    stream, *others = report.streams
    assert (report.tool, report.clock) == (told["tool"], told["clock"])
    assert set(samples) == {None}
    assert (stream.requests, stream.failed) == (told["requests"], told["failed"])
    assert stream.throughput_per_s == (told["rate"] and pytest.approx(told["rate"]))
    times = stream.times
    assert (times.min, times.mean, times.max) == tuple(
        value and pytest.approx(value) for value in told["of"]
    )
    percentiles = {percent: times.percentiles[percent] for percent in told["p"]}
    assert percentiles == pytest.approx(told["p"])
    assert stream.duration_s == (told.get("duration") and pytest.approx(told["duration"]))
    assert tuple(other.name for other in others) == told.get("streams", ())
    assert len(stream.seconds.at_s if stream.seconds else ()) == told.get("seconds", 0)


def test_the_zeros_of_a_slow_start_are_no_times() -> None:
    """Locust wrote 0 for all percentiles of its first second, whose least time was 1.7 ms."""
    (stream,) = read("locust_slow_start_stats_history.csv").report.streams
    assert stream.seconds is not None
    assert stream.seconds.p50 == (None, None, 0.023, 0.023)
    assert stream.seconds.p99[:3] == (None, None, 0.057)


def test_single_requests_become_a_histogram_and_a_course() -> None:
    """As the program that wrote them printed: 293 successes, their ends, p50 and p90."""
    report, (samples,) = read("vegeta.gob")
    (stream,) = report.streams
    assert samples is not None
    assert (stream.name, stream.requests, stream.failed) == ("GET /items", 300, 7)
    assert (samples.total, samples.minimum_ns, samples.maximum_ns) == (293, 302_604, 16_037_956)
    found = [samples.quantile_ns(share) for share in (0.5, 0.9)]
    assert found == pytest.approx([1_690_429, 5_779_077], rel=BUCKET)
    assert set(stream.times.percentiles) == {"50", "75", "90", "95"}
    assert stream.statuses == {"200": 293, "503": 6}
    assert sorted(stream.errors.values()) == [1, 6]
    assert report.measured_at is not None
    assert report.measured_at.isoformat().startswith("2026-11-30T08:00:00.12345")
    assert stream.seconds is not None
    assert stream.seconds.completed[0] == 98.0
    assert stream.seconds.errors[0] == 2.0


@pytest.mark.parametrize(("name", "many"), [("vegeta.json", 120), ("vegeta.csv", 60)])
def test_the_other_encodings_of_the_same_requests_say_the_same(name: str, many: int) -> None:
    (stream,), (samples,) = read(name).report.streams, read(name).samples
    assert samples is not None
    assert (stream.name, stream.requests, stream.failed) == ("GET /items", many, many // 50)
    assert samples.minimum_ns >= 302_604
    assert samples.total == many - many // 50


TEXTS = sorted(path.name for path in FILES.iterdir() if path.suffix != ".gob")


@pytest.mark.parametrize("name", TEXTS)
def test_a_byte_order_mark_changes_nothing(name: str) -> None:
    marked = b"\xef\xbb\xbf" + (FILES / name).read_bytes()
    assert read_tool_file(io.BytesIO(marked)).report == read(name).report


@pytest.mark.parametrize(
    "line",
    [
        '{{"attack":"","code":200,"timestamp":"2026-11-30T09:00:00Z","latency":5,"body":"{}"}}\n',
        "1796000000000000000,200,5,0,1,,{},a,0\n",
    ],
)
def test_a_result_of_vegeta_with_a_long_body_is_read(line: str) -> None:
    content = 2 * line.format("eHh4" * 40_000)
    (stream,) = read_tool_file(io.BytesIO(content.encode())).report.streams
    assert (stream.requests, stream.failed) == (2, 0)


WRK = """Running 1m test @ http://127.0.0.1:1/
  2 threads and 10 connections
    Latency     1.21s   500.00ms   1.99s    60.00%
     50%  900.10ms
     75%    1.20s{space}
     99%    1.00m{space}
  {requests} requests in 1.00m, 1.21GB read
  Socket errors: connect 0, read 5, write 0, timeout 0
Requests/sec:   {requests}.00
"""


def test_seconds_of_wrk_have_a_space_behind_their_unit() -> None:
    text = WRK.format(space=" ", requests=100)
    (stream,) = read_tool_file(io.BytesIO(text.encode())).report.streams
    assert stream.times.percentiles == {"50": 0.9001, "75": 1.2, "99": 60}


LOCUST = "Type,Name,Request Count,Failure Count,Min Response Time,Max Response Time,50%\n"


@pytest.mark.parametrize(
    "text", [WRK.format(space="", requests=0), f"{LOCUST},Aggregated,0,0,0,0,N/A\n"]
)
def test_without_any_response_nothing_is_timed(text: str) -> None:
    (stream,) = read_tool_file(io.BytesIO(text.encode())).report.streams
    assert stream.times == ToolTimes()


def test_of_hey_without_any_response_nothing_is_timed() -> None:
    text = (
        "\nSummary:\n  Total:\t0.0085 secs\n  Slowest:\t0.0000 secs\n  Fastest:\t0.0000 secs\n"
        "  Average:\tNaN secs\n  Requests/sec:\t23529.41\n\nStatus code distribution:\n\n"
        'Error distribution:\n  [200]\tGet "http://127.0.0.1:1": connection refused\n'
    )
    report = read_tool_file(io.BytesIO(text.encode())).report
    (stream,) = report.streams
    assert (stream.requests, stream.failed, stream.times) == (200, 200, ToolTimes())
    assert "Requests without a response are in the throughput." in report.notes


def test_responses_of_hey_and_points_of_k6() -> None:
    """hey rounds to 0.1 ms; of k6 the failed request is counted and not timed."""
    (hey,), (samples,) = read("hey.csv").report.streams, read("hey.csv").samples
    assert samples is not None
    assert (hey.requests, hey.failed, hey.statuses) == (600, 0, {"200": 600})
    assert (samples.minimum_ns, samples.maximum_ns) == (200_000, 13_300_000)
    assert samples.mean_ns == pytest.approx(2_268_667, rel=1e-6)
    first, *_ = (FILES / "hey.csv").read_text().splitlines()
    rows = "".join(f"0.0010,0,0,0,0,0,200,{offset}\n" for offset in ("0.0000", "0.0011"))
    (began,) = read_tool_file(io.BytesIO(f"{first}\n{rows}".encode())).report.streams
    assert began.duration_s == pytest.approx(0.0021)
    report, histograms = read("k6-points.json")
    whole, *named = report.streams
    assert [stream.name for stream in named] == ["GET /slow", "GET /items"]
    assert (whole.requests, whole.failed) == (60, 1)
    assert whole.errors == {"dial: connection refused": 1}
    assert [part.total for part in histograms if part] == [59, 19, 40]
    assert whole.times.max == pytest.approx(0.0069)


def test_a_log_holds_what_the_library_that_wrote_it_says() -> None:
    """Of 2,000 values in five intervals, which are nanoseconds by the column of milliseconds."""
    report, (samples,) = read("intervals.hlog")
    assert samples is not None
    assert "taken as ns" in report.notes[1]
    found = [samples.quantile_ns(share) for share in (0.5, 0.9, 0.99)]
    assert found == pytest.approx([1_529_855, 4_812_799, 8_921_087], rel=BUCKET)
    assert (samples.total, samples.maximum_ns) == (2_000, 14_729_215)
    seconds = report.streams[0].seconds
    assert seconds is not None
    assert (seconds.at_s, seconds.completed) == ((0.0, 1.0, 2.0, 3.0, 4.0), (400.0,) * 5)
    told = read_tool_file(io.BytesIO((FILES / "intervals.hlog").read_bytes()), "hlog", "us")
    assert told.report.streams[0].times.max == pytest.approx(14.729215)


@pytest.mark.parametrize("delay", [(), ("Response-delay",)])
def test_responses_of_oha_by_their_columns_of_each_version(delay: tuple[str, ...]) -> None:
    heads = ("request-start", "DNS", "DNS+dialup", *delay, "request-duration", "bytes", "status")
    rows = [heads, *(
        (start, "0.0003", "0.001", *("0.0019" for _ in delay), took, "11", status)
        for start, took, status in (
            ("0.002", "0.0021", "200"), ("0.0045", "0.004", "404"), ("0.0090", "0.001", "204"),
        )
    )]  # fmt: skip
    content = "".join(f"{','.join(row)}\n" for row in rows)
    report, (samples,) = read_tool_file(io.BytesIO(content.encode()))
    (stream,) = report.streams
    assert samples is not None
    assert (report.tool, report.clock) == ("oha", "service")
    assert (stream.requests, stream.failed, stream.errors) == (3, 1, {"status 404": 1})
    assert (stream.statuses, stream.bytes_received) == ({"200": 1, "204": 1, "404": 1}, 33)
    assert (samples.minimum_ns, samples.maximum_ns) == (1_000_000, 2_100_000)
    assert stream.duration_s == pytest.approx(0.0080)


def test_connections_that_failed_for_wrk_are_errors_by_their_kind() -> None:
    printed = (FILES / "wrk-plain.txt").read_text()
    line = "  Socket errors: connect 3, read 2, write 0, timeout 1\n"
    before, last, after = printed.rpartition("Requests/sec:")
    content = f"{before}{line}{last}{after}".encode()
    (stream,) = read_tool_file(io.BytesIO(content)).report.streams
    assert stream.errors == {"connect": 3, "read": 2, "timeout": 1}
    assert stream.failed == 6
