"""wrk and wrk2: what they print, with `--latency` the percentiles, too."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from control_plane.domain.errors import InvalidInput
from control_plane.domain.peer_result import (
    PeerClock,
    PeerReading,
    PeerReport,
    PeerStream,
    PeerTimes,
)
from control_plane.peers.peer_file import (
    ANOTHER_RESULT,
    counted,
    damaged,
    number,
    percent_name,
    plain_address,
    report_lines,
    time_s,
)
from control_plane.peers.request_log import ALL_REQUESTS

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3_600.0}
_SIZES = {"B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30, "TB": 2**40}
_TIME = r"([0-9.]+)(us|ms|s|m|h)"
_ADDRESS = re.compile(r"Running \S+ test @ (\S+)")
_LOAD = re.compile(r"\s+(\d+) threads? and (\d+) connections?")
_LATENCY = re.compile(rf"\s+Latency\s+{_TIME}\s+\S+\s+{_TIME}\s.*")
_PERCENTILE = re.compile(rf"\s+([0-9.]+)%\s+{_TIME}")
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


def read_wrk(file: BinaryIO) -> PeerReading:
    """Read what wrk prints."""
    return _reading(file, "wrk", "service", WRK_NOTES)


def read_wrk2(file: BinaryIO) -> PeerReading:
    """Read what wrk2 prints."""
    return _reading(file, "wrk2", "response", WRK2_NOTES)


def _reading(file: BinaryIO, tool: str, clock: PeerClock, notes: tuple[str, ...]) -> PeerReading:
    found = _WrkValues()
    for line, text in _corrected(file):
        _read_line(found, line, text)
    if found.answered is None or found.rate is None:
        raise InvalidInput(f"The output of {tool} has no end: it ends with Requests/sec.")
    requests = found.answered + _unanswered(found.errors)
    stream = PeerStream(
        name=ALL_REQUESTS,
        requests=requests,
        # A late response with an error status counts twice.
        failed=min(sum(found.errors.values()), requests),
        times=PeerTimes(None, found.mean_s, found.max_s, found.percentiles),
        errors=found.errors,
        duration_s=found.duration_s,
        throughput_per_s=found.rate,
        bytes_received=found.received,
        failed_are_timed=True,
    )
    shown = (*notes, *(note for kind, note in ERROR_NOTES.items() if kind in found.errors))
    report = PeerReport(tool, clock, (stream,), facts=tuple(found.facts), notes=shown)
    return PeerReading(report, (None,))


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
