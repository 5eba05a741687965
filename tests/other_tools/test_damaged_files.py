"""Files that are damaged, or made to do harm: one line that names the place, and nothing kept."""

import base64
import io
import json
import re
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from control_plane.domain.errors import InvalidInput
from control_plane.other_tools import read_tool_file, told_of_file, tool_file

FILES = Path(__file__).parent / "files"
K6_POINT = (
    '{"type":"Point","metric":"http_req_duration","data":{"time":"%s","value":%s,"tags":{}}}\n'
)
A_MOMENT = "2026-11-30T09:00:00.5Z"
VEGETA = '{"code":200,"timestamp":"2026-11-30T09:00:00Z","latency":%s}\n'
HEY = "response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset\n"
LOCUST = "Type,Name,Request Count,Failure Count\n"
VEGETA_REPORT = (
    '{"latencies":{"%sth":5,"50th":3},"duration":1,"requests":1,"status_codes":{"200":1},'
    '"earliest":"2026-11-30T09:00:00Z"}'
)
BACKWARDS = (FILES / "locust_stats_history.csv").read_bytes().replace(b"1796028869", b"0", 1)
GOB = (FILES / "vegeta.gob").read_bytes()
OHA = json.loads((FILES / "oha.json").read_bytes())
WRK = "Running 2s test @ http://127.0.0.1/\n"


def refusal(content: bytes | str) -> str:
    raw = content.encode() if isinstance(content, str) else content
    with pytest.raises(InvalidInput) as refused:
        read_tool_file(io.BytesIO(raw))
    message = str(refused.value)
    assert "\n" not in message
    assert len(message) < 300
    return message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "it is empty"),
        ("hello\n", "its beginning is not known"),
        (b"\x1f\x8b\x08\x00", "unpack it first"),
        ("Summary:".encode("utf-16"), "it is UTF-16, as PowerShell writes it, so save it as UTF-8"),
        ("Summary:\n  Success rate:\t1\nResponse time distribution:\n", "--output-format json"),
        (K6_POINT % (A_MOMENT, "1") + "{half", "Line 2: it is no JSON"),
        (K6_POINT % (A_MOMENT, "1") + "[1]\n", "Line 2: it holds no JSON object"),
        (K6_POINT % (A_MOMENT, "-1"), "Line 1: value is -1, and no number from 0"),
        (K6_POINT % (A_MOMENT, "1e308"), r"Line 1: value is 1e\+308, and no number"),
        (K6_POINT % (A_MOMENT, "1e14"), "Line 1: value is 100,000,000,000 s, above the limit"),
        (K6_POINT % (A_MOMENT, '"NaN"'), "Line 1: value is NaN, and no number"),
        (K6_POINT % (A_MOMENT, "true"), "Line 1: value is True, and no number"),
        (K6_POINT % ("9999-99-99T00:00:00Z", "1"), "Line 1: time is 9999"),
        (K6_POINT % ("2026-11-30", "1"), "Line 1: time is 2026-11-30, and no time"),
        ('{"type":"Metric","metric":"x","data":{}}\n', "The file holds no request"),
        ('{"metrics":{"http_reqs":{"count":1e999}}}', "it is no JSON|no HTTP request"),
        ('{"metrics":{"http_reqs":[1],"http_req_duration":{}}}', "http_reqs is no JSON object"),
        ('{"http_req":' + "[" * 100_000, "it is no JSON"),
        (VEGETA % '"1"' + VEGETA % "-5", "Line 2: latency is -5"),
        (VEGETA % "9007199254740993000", "Line 1: latency is 9007199254740993000"),
        ("1796000000000000000,200,5,0,1,,zz,a,0\n", "Line 1: the body of its response"),
        ("1796000000000000000,200,5,0,1,x\n", "Line 1: it has 6 columns"),
        ("999999999999999999,200,5,0,1,,,a\n", "Line 1: it has 8 columns"),
        (HEY + "0.1,0,0,0,0,0,200,0\n0.1,0\n", "Line 3: it has 2 columns, and the first line 8"),
        (HEY + "nan,0,0,0,0,0,200,0\n", "Line 2: response time is nan"),
        (HEY + '"0.1,0,0\n', "Line 2: it is no CSV"),
        (HEY, "The file holds no request"),
        (VEGETA_REPORT % "500", "'500' is no percentile"),
        (VEGETA_REPORT % "40", "p50 is below p40"),
        ("1796000000000000000,200,5,0,1,,é,a,0\n", "Line 1: the body of its response"),
        (HEY + "0.1,0,0,0,0,0,1000,0\n", "Line 2: 1000 is no status"),
        (BACKWARDS, "its times go backwards"),
        (GOB[:61] + b"\x0c" + GOB[62:], "Message 1 of the results has no time"),
        (GOB[:155] + b"\xff" + GOB[156:], "Message 5 of the results is damaged"),
        (LOCUST + "GET,/,1,1.5\n", "Line 2: Failure Count is 1.5, and no whole number"),
        (LOCUST + "GET,/,1,2,3\n", "Line 2: it has 5 columns"),
        (LOCUST, "hold no request"),
        (WRK, "has no end"),
        (WRK + "  3 requests in 2.00s, 9KB read\n     50%  9999999h\n", "Line 3: time is 35,999"),
        (WRK + "    Latency   -nan  0.0us 0.0us -nan%\n", "Line 2: the row Latency"),
        (WRK + "x" * 1_000_001, "Line 2: it is longer than 1,000,000 bytes"),
        (WRK.encode() + b"\xff\xfe", "Line 2: it is no text in UTF-8"),
        (json.dumps(OHA | {"summary": {}}), "The JSON of oha has no summary"),
        (json.dumps(OHA | {"statusCodeDistribution": {"ok": 1}}), "has a status that is no number"),
        (json.dumps(OHA).encode()[:-1] + b',\n"x": "\xff"}', "Line 2: it is no text in UTF-8"),
        (HEY.replace("DNS,", "Dns,", 1), "Line 1: its columns do not begin with response-time"),
        (K6_POINT % (A_MOMENT, '"1.2.3"'), "Line 1: value is 1.2.3, and no number"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_in_one_line(content: bytes | str, message: str) -> None:
    assert re.search(message, refusal(content))


OHA_PRINTED = """Summary:
  Success rate:\t100.00%
  Total:\t0.5012 secs
  Slowest:\t0.0131 secs
  Fastest:\t0.0003 secs
  Average:\t0.0020 secs
  Requests/sec:\t399.0423

Response time distribution:
  50.00% in 0.0018 secs
  99.00% in 0.0101 secs

Status code distribution:
  [200] 200 responses
"""
DETAILS = (
    "Details (average, fastest, slowest):\n  DNS+dialup:\t0.0003 secs, 0.0002 secs, 0.0004 secs\n"
)
K6_PRINTED = """
  █ TOTAL RESULTS

    checks_total.......: 200     39.9/s
    http_req_duration..............: avg=2.01ms min=301µs med=1.8ms max=13.1ms p(90)=4ms p(95)=6ms
    http_reqs......................: 200    39.9/s
"""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (OHA_PRINTED, "text of oha, so let it write --output-format json or csv"),
        (OHA_PRINTED.replace("Status code", DETAILS + "\nStatus code"), "text of oha"),
        (OHA_PRINTED.replace("  Success rate:\t100.00%\n", ""), "text of oha"),
        (K6_PRINTED, "what k6 prints, so let it write --summary-export FILE or --out json=FILE"),
    ],
)
def test_what_a_tool_prints_is_refused_with_the_file_that_it_writes(
    content: str, message: str
) -> None:
    """oha prints nearly what hey does; read as such its times would be called rounded."""
    assert message in refusal(content)


@pytest.mark.parametrize("name", ["wrk.txt", "oha.json"])
def test_a_report_has_a_most_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (FILES / name).read_bytes()
    monkeypatch.setattr(tool_file, "MAX_REPORT_BYTES", len(content) - 20)
    assert "A report of more than " in refusal(content)


@pytest.mark.parametrize("name", ["wrk.txt", "wrk2.txt", "hey.txt"])
def test_two_results_in_one_file_are_not_taken_for_one(name: str) -> None:
    content = (FILES / name).read_bytes()
    assert "another result begins here" in refusal(content + content)


def histogram(change: Callable[[list[int | float]], object], counts: bytes = b"\x02") -> str:
    """A histogram of the V2 encoding whose header `change` may change, as a log holds it."""
    header: list[int | float] = [0x1C849313, len(counts), 0, 3, 1, 2**40, 1.0]
    change(header)
    payload = zlib.compress(struct.pack(">iiiiqqd", *header) + counts)
    return base64.b64encode(struct.pack(">ii", 0x1C849314, len(payload)) + payload).decode()


def log_of(text: str) -> str:
    return f"#[StartTime: 1796000000.0 (seconds)]\n0.0,1.0,1.0,{text}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Line 2: its histogram cannot be read"),
        ("HISTFAAA", "Line 2: its histogram cannot be read"),
        (histogram(lambda header: header.__setitem__(0, 7)), "none of the V2 encoding"),
        (histogram(lambda header: header.__setitem__(1, 2**30)), "none of the V2 encoding"),
        (histogram(lambda header: header.__setitem__(3, 2**30)), "its header is of no histogram"),
        (histogram(lambda header: header.__setitem__(4, -5)), "its header is of no histogram"),
        (histogram(id, b"\x01\xfe\xff\xff\xff\xff\xff\xff\xff\xff"), "more buckets|ends inside"),
        (histogram(id, b"\x80\x80"), "ends inside a number|none of the V2"),
        (histogram(id, b"\xff" * 9), "ends inside a number"),
        (histogram(id, bytes(5_000_000)), "not whole, or too large"),
        (histogram(id, b"\x80" * 8 + b"\x00"), "more buckets or requests"),
    ],
)
def test_a_log_with_a_broken_histogram_is_refused(text: str, message: str) -> None:
    assert re.search(message, refusal(log_of(text)))


def test_histograms_of_a_log_are_bounded_together() -> None:
    """Each of them alone is small in the file, and may be as large as this."""
    full = histogram(lambda header: header.__setitem__(3, 5), b"\x02" * 900_000)
    log = "".join(f"{second}.0,1.0,1.0,{full}\n" for second in range(10))
    assert "Line 9: the histograms so far hold more than 8,000,000 bytes" in refusal(log)
    tags = "".join(f"Tag=t{place},0.0,1.0,1.0,{histogram(id)}\n" for place in range(201))
    assert "more than 200 tags" in refusal(tags)


def test_a_log_tells_its_unit_or_is_asked_for_it() -> None:
    """1,000 units of a value in a column of 1 ms are microseconds; 7 are nothing."""
    told = f"0.0,1.0,7.3,{histogram(id)}\n"
    assert "say ns, us or ms" in refusal(f"#[StartTime: 1796000000.0 (s)]\n{told}")


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.iterdir()))
def test_half_a_file_is_refused_or_is_a_smaller_one(name: str) -> None:
    """Cut anywhere it never breaks the reader, and never counts more than the whole file."""
    content = (FILES / name).read_bytes()
    whole = read_tool_file(io.BytesIO(content)).report.streams[0].requests or 0
    for part in range(1, 24):
        cut = content[: len(content) * part // 24]
        with suppress(InvalidInput):
            read = read_tool_file(io.BytesIO(cut))
            assert (read.report.streams[0].requests or 0) <= whole


def test_what_a_file_has_too_many_of_is_kept_in_part() -> None:
    """Kinds of errors as one, and the courses of the names that come last not at all."""
    printed = (FILES / "hey.txt").read_text().partition("Error distribution:")[0]
    kinds = "".join(f"  [2]\terror {place}\n" for place in range(300))
    errors = f"{printed}Error distribution:\n{kinds}"
    (stream,) = read_tool_file(io.BytesIO(errors.encode())).report.streams
    assert (len(stream.errors), stream.errors["other errors"]) == (101, 2 * 201)
    row = '{{"code":200,"timestamp":"2026-11-30T0{}:00:00Z","latency":1,"url":"/{}"}}\n'
    rows = "".join(row.format(hour, name) for name in "abc" for hour in (1, 5))
    courses = [part.seconds for part in read_tool_file(io.BytesIO(rows.encode())).report.streams]
    assert [course is not None for course in courses] == [True, True, False, False]


def test_who_says_another_tool_is_told_what_it_looks_like() -> None:
    file = io.BytesIO((FILES / "wrk2.txt").read_bytes())
    with pytest.raises(InvalidInput, match="no file of k6: it looks like that of wrk2"):
        read_tool_file(file, "k6")
    with pytest.raises(InvalidInput, match="no kind 'ab': give k6, locust"):
        told_of_file("a", "ab", "")
    with pytest.raises(InvalidInput, match="no unit 'h': give ns, us, ms"):
        told_of_file("a", "", "h")


def test_names_of_the_file_cannot_write_to_a_terminal() -> None:
    row = {"code": 500, "timestamp": "2026-11-30T09:00:00Z", "latency": 1, "error": "\x1b[31m\nred"}
    row |= {"method": "GET\x1b", "url": "http://user:canary@host/a\u202e?token=canary"}
    read = read_tool_file(io.BytesIO(json.dumps(row).encode()))
    (stream,) = read.report.streams
    texts = [stream.name, *stream.errors]
    assert all(text.isprintable() for text in texts)
    assert "canary" not in str(read.report)


def test_the_lists_of_what_failed_for_locust_lead_to_its_statistics() -> None:
    for head in (b"Method,Name,Error,Occurrences,First Seen", b"Count,Message,Traceback"):
        with pytest.raises(InvalidInput, match=r"take PREFIX_stats\.csv"):
            read_tool_file(io.BytesIO(head))


def readable(content: bytes) -> bool:
    with suppress(InvalidInput):
        return bool(read_tool_file(io.BytesIO(content)).report.streams)
    return False


def test_no_changed_byte_breaks_the_reader_of_gob() -> None:
    """What describes the types stands at the beginning, the first results behind it."""
    first = next(GOB[:end] for end in range(200, 1_000) if readable(GOB[:end]))
    changed = [
        readable(first[:place] + bytes([value]) + first[place + 1 :])
        for place in range(len(first))
        for value in (0x00, 0x7E, 0xF7, 0xFC, 0xFF)
    ]
    assert set(changed) == {True, False}


@pytest.mark.parametrize("url", ["http://[", "http://user:canary@[::1/a?token=canary"])
def test_an_address_that_is_none_names_no_request(url: str) -> None:
    row = {"code": 200, "timestamp": "2026-11-30T09:00:00Z", "latency": 1, "url": url}
    (stream,) = read_tool_file(io.BytesIO(json.dumps(row).encode())).report.streams
    assert stream.name == "GET /"
    printed = (FILES / "wrk-plain.txt").read_text().replace("http://127.0.0.1", url, 1)
    assert "canary" not in str(read_tool_file(io.BytesIO(printed.encode())).report)
