"""Locust: the two CSV files of `--csv`, the statistics and their history.

Times are whole milliseconds, and longer ones have two or three figures: Locust counts rounded ones.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import BinaryIO

from control_plane.domain.errors import InvalidInput
from control_plane.domain.peer_result import (
    MAX_PEER_STREAMS,
    PeerReading,
    PeerReport,
    PeerSeconds,
    PeerStream,
    PeerTimes,
)
from control_plane.peers.peer_file import (
    LAST_MOMENT_S,
    cells,
    counted,
    csv_rows,
    damaged,
    number,
    percent_name,
    printable,
    time_s,
)
from control_plane.peers.request_log import ALL_REQUESTS, MOST_SECONDS

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


def read_statistics(file: BinaryIO) -> PeerReading:
    """Read PREFIX_stats.csv: a row for each name, and one for all."""
    rows = [*islice(_rows(file), MAX_PEER_STREAMS + 1)]
    if len(rows) > MAX_PEER_STREAMS:
        raise InvalidInput(f"The file has more than {MAX_PEER_STREAMS} names of requests.")
    if not rows:
        raise InvalidInput("The statistics of Locust hold no request.")
    streams = [_stream(row, line, "") for line, row in rows]
    whole = [stream for stream in streams if stream.name == ALL_REQUESTS]
    named = [stream for stream in streams if stream.name != ALL_REQUESTS]
    ordered = (*whole, *(named if len(named) > 1 or not whole else ()))
    report = PeerReport("Locust", "service", ordered, notes=LOCUST_NOTES)
    return PeerReading(report, (None,) * len(ordered))


def read_history(file: BinaryIO) -> PeerReading:
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
    whole = PeerStream(
        name=ALL_REQUESTS,
        requests=found.requests,
        failed=found.failed,
        times=PeerTimes(found.times.min, found.times.mean, found.times.max, _median(last, line)),
        failed_are_timed=True,
        seconds=_seconds([stamp - stamps[0] for stamp in stamps], rows),
    )
    report = PeerReport(
        tool="Locust",
        clock="service",
        streams=(whole,),
        measured_at=datetime.fromtimestamp(stamps[0], UTC),
        facts=(("most users", f"{max(_of(row, 'User Count', at) or 0 for at, row in rows):,.0f}"),),
        notes=(*LOCUST_NOTES, HISTORY_NOTE),
    )
    return PeerReading(report, (None,))


def _rows(file: BinaryIO) -> Iterator[tuple[int, CsvRow]]:
    found = csv_rows(file)
    _, columns = next(found, (0, []))
    return ((line, cells(row, columns, line)) for line, row in found)


def _stream(row: CsvRow, line: int, before: str) -> PeerStream:
    total = f"{before}Request Count", f"{before}Failure Count"
    requests, failed = (_whole(row, name, line) for name in total)
    names = ("Min", "Average", "Max")
    low, mean, high = (_time(row, f"{before}{name} Response Time", line) for name in names)
    is_all = row.get("Name") == AGGREGATED
    return PeerStream(
        name=ALL_REQUESTS if is_all else printable(f"{row.get('Type', '')} {row.get('Name', '')}"),
        requests=requests,
        failed=failed,
        times=PeerTimes(low, mean, high, {} if before else _percentiles(row, line)),
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


def _seconds(at_s: list[float], rows: list[tuple[int, CsvRow]]) -> PeerSeconds:
    rates = [(_of(row, "Requests/s", at), _of(row, "Failures/s", at)) for at, row in rows]
    p50, p95, p99 = (
        tuple(_time(row, name, line) for line, row in rows) for name in ("50%", "95%", "99%")
    )
    good = [None if rate is None else max(rate - (bad or 0.0), 0.0) for rate, bad in rates]
    return PeerSeconds(tuple(at_s), tuple(good), tuple(bad for _, bad in rates), p50, p95, p99)


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
