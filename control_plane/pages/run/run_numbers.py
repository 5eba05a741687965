"""The numbers on the page of a run: headline tiles, how far each can be trusted, and tables."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from control_plane.analysis.charts.curve import STREAM_COLOURS
from control_plane.analysis.summary import error_kinds
from control_plane.analysis.validity.response_gates import ERRORS_SUSPECT
from control_plane.domain.result import Summary, Trial
from control_plane.domain.run import Run
from control_plane.domain.spec import Stream
from control_plane.domain.times_and_percentiles import (
    AT_LEAST,
    PERCENTILES,
    Times,
    bounded,
    far_percentile,
    lost,
    needed_samples,
    no_answer_text,
    percentile_level,
    written_time,
)
from control_plane.domain.unanswered import failed_text
from control_plane.domain.units import (
    NONE,
    SPACE,
    count,
    figures,
    number_of,
    part_of,
    seconds,
    share,
    split_bytes,
    split_seconds,
)
from control_plane.pages.run_rows import (
    COLUMN_HEADS,
    SCALES,
    TIME_PARTS,
    Cell,
    ColumnHead,
    error_cell,
    time_cell,
    time_unit,
)


@dataclass(frozen=True)
class Tile:
    """One headline number.

    `void`: a number of an invalid run, readable but struck through.
    """

    label: str
    value: str
    unit: str
    note: str
    state: Literal["full", "greyed", "hidden", "alarm", "warned", "void"] = "full"


def run_tiles(streams: Sequence[Summary], *, invalid: bool) -> tuple[Tile, ...]:
    """Return throughput and response times of the first stream, and the errors of all."""
    return tuple(_void(tile) if invalid else tile for tile in _tiles(streams))


def time_tile(times: Times | None, percentile: str) -> Tile:
    """Return a percentile with the samples beyond it; hidden where there are fewer than 10."""
    label = COLUMN_HEADS.get(percentile, percentile)
    level = percentile_level(times, percentile)
    if times is not None and times.unanswered and lost(times, percentile):
        return Tile(label, NONE, "", no_answer_text(times.unanswered), "hidden")
    if times is None or level == "hidden":
        needed = f"needs {count(needed_samples(percentile))} samples"
        return Tile(label, NONE, "", needed, "hidden")
    value, unit = split_seconds(times.percentile(percentile) or 0.0)
    return Tile(
        label, value, unit, f"{number_of(times.support[percentile], 'sample')} above it", level
    )


def error_tile(failed: int, completed: int, kinds: str) -> Tile:
    """Return the number of errors; above the limit their share, with `kinds`, if known."""
    ended = completed + failed
    if ended and failed / ended > ERRORS_SUSPECT:
        value, unit = _split_part(failed, ended)
        return Tile("Errors", value, unit, kinds, "alarm")
    return Tile("Errors", count(failed), "", kinds or f"of {number_of(ended, 'request')}")


def _split_part(number: int, whole: int) -> tuple[str, str]:
    """Return number and unit of a part: ("0.8", "%"), of few ("1", "of 3")."""
    value, _, unit = part_of(number, whole).replace(SPACE, " ").partition(" ")
    return value, unit


def _tiles(streams: Sequence[Summary]) -> Iterator[Tile]:
    first = streams[0]
    which = f", {first.name}" if len(streams) > 1 else ""
    served = f"{count(first.completed)} in {seconds(first.duration_s)}"
    yield Tile(f"Throughput{which}", figures(first.throughput_per_s), "/s", served)
    for percentile in PERCENTILES:
        yield time_tile(first.response_time_s, percentile)
    yield _longest(first.response_time_s)
    if first.begins_early:
        tile = time_tile(first.first_byte_time_s, "p50")
        yield replace(tile, label="First byte, p50")
    yield _answer_size(first)
    failed = sum(sum(stream.errors.values()) for stream in streams)
    told = "; ".join(filter(None, (error_kinds(streams), failed_text(streams))))
    yield error_tile(failed, sum(stream.completed for stream in streams), told)


def _longest(times: Times | None) -> Tile:
    if times is None:
        return Tile("Maximum", NONE, "", "nothing completed", "hidden")
    value, unit = split_seconds(times.max)
    sign, least = (AT_LEAST, "at least; ") if bounded(times, "max") else ("", "")
    return Tile("Maximum", f"{sign}{value}", unit, f"{least}mean {written_time(times, 'mean')}")


def _answer_size(stream: Summary) -> Tile:
    if stream.bytes_received_per_request is None:
        return Tile("Answer size", NONE, "", "no answer came", "hidden")
    value, unit = split_bytes(stream.bytes_received_per_request)
    return Tile("Answer size", value, unit, "mean of all bodies")


def _void(tile: Tile) -> Tile:
    return tile if tile.state in {"alarm", "hidden"} else replace(tile, state="void")


SLOWER_FROM = 0.01
"""From this relative difference on, the two clocks are shown both."""

SERVICE = "service time, from when it was sent"
BEGINNING = "time to first byte, from when it was sent"


@dataclass(frozen=True)
class StreamRow:
    """The numbers of one stream, on one clock.

    `colour` is a number from 1 to 6; `note` what the client did, or which clock this is; `asked`
    what it asked for, empty in a row of its other clock.
    """

    name: str
    colour: int
    mark: str
    note: str
    cells: tuple[Cell, ...]
    asked: str = ""


@dataclass(frozen=True)
class StreamsTable:
    heads: tuple[ColumnHead, ...]
    rows: tuple[StreamRow, ...]


def streams_table(run: Run) -> StreamsTable:
    """Return a row for each stream, and one of each other clock that says something else.

    No rows while no trial has ended.
    """
    unit, trials = time_unit(run.streams), len(run.trials)
    heads = (
        ColumnHead("Requests"),
        ColumnHead("Errors"),
        ColumnHead(f"In flight at {f'the ends of {trials} trials' if trials > 1 else 'the end'}"),
        ColumnHead("Throughput", "/s"),
        *(ColumnHead(COLUMN_HEADS.get(part, part), unit) for part in TIME_PARTS),
    )
    declared = {stream.name: stream for stream in run.spec.workload.streams}
    rows: list[StreamRow] = []
    for index, summary in enumerate(run.streams):
        look = (int(STREAM_COLOURS[index % 6][-1]), "hexagon" if index else "circle")
        stream = declared[summary.name]
        cells = _response_cells(summary, unit)
        rows.append(StreamRow(summary.name, *look, load_text(stream), cells, stream.asked))
        if clocks_differ(summary):
            times = _clock_cells(summary.service_time_s, unit)
            rows.append(StreamRow(summary.name, *look, SERVICE, times))
        if summary.begins_early:
            times = _clock_cells(summary.first_byte_time_s, unit)
            rows.append(StreamRow(summary.name, *look, BEGINNING, times))
    return StreamsTable(heads, tuple(rows))


def clocks_differ(summary: Summary) -> bool:
    """Whether the wait to be sent shows in the median or the tail."""
    service, response = summary.service_time_s, summary.response_time_s
    if service is None or response is None:
        return False
    pairs = ((response.percentile(part), service.percentile(part)) for part in ("p50", "p99"))
    return any(
        long_s > (1 + SLOWER_FROM) * short_s for long_s, short_s in pairs if long_s and short_s
    )


def load_text(stream: Stream) -> str:
    """Return `100 users, 24,999 requests`."""
    who, stop = stream.load.long_label, stream.stop
    if stop.duration_s is not None:
        return f"{who}, {figures(stop.duration_s)} s"
    return f"{who}, {stop.label}"


def _response_cells(summary: Summary, unit: str) -> tuple[Cell, ...]:
    return (
        Cell(count(summary.completed)),
        error_cell(summary),
        Cell(count(summary.censored.count)),
        Cell(figures(summary.throughput_per_s)),
        *_times(summary.response_time_s, unit),
    )


def _clock_cells(times: Times | None, unit: str) -> tuple[Cell, ...]:
    return (*(Cell(""),) * 4, *_times(times, unit))


def _times(times: Times | None, unit: str) -> Sequence[Cell]:
    return [time_cell(times, part, unit) for part in TIME_PARTS]


@dataclass(frozen=True)
class AxisTick:
    """A tick of an axis that the server draws.

    `at` is the place in per cent from the left.
    """

    at: float
    text: str


def axis_position(value: float, low: float, high: float) -> float:
    """Return a place in per cent from `low` to `high`; values outside stand at the ends."""
    if high <= low:
        return 50.0
    return round(100 * min(1.0, max(0.0, (value - low) / (high - low))), 2)


def round_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round values inside the range, `about` as many of them; `high` above `low`."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.999 * rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{step * number:.6g}") for number in range(first, last + 1)]


def padded_range(values: Sequence[float], least: float = 0.05) -> tuple[float, float]:
    """Return a range with room at both sides, at least `least` of the middle away from it."""
    low, high = min(values), max(values)
    middle = (low + high) / 2
    room = max(0.75 * (high - low), least * middle)
    return max(0.0, middle - room), middle + room


COLUMNS = ("p50", "p95", "p99", "max")


@dataclass(frozen=True)
class Rings:
    """One metric of the first stream: `marks` in per cent, one for each trial, in their order."""

    metric: str
    value: str
    ticks: tuple[AxisTick, ...]
    marks: tuple[float, ...]
    label: str


@dataclass(frozen=True)
class TrialsView:
    rings: Rings | None
    heads: tuple[ColumnHead, ...]
    rows: tuple[tuple[Cell, ...], ...]


def trials_view(run: Run) -> TrialsView:
    """Return a row for each trial and stream; rings only for two trials and more."""
    unit = time_unit(run.streams)
    heads = (
        ColumnHead("Trial"),
        ColumnHead("Requests"),
        ColumnHead("Errors"),
        ColumnHead("Throughput", "/s"),
        *(ColumnHead(part, unit) for part in COLUMNS),
        ColumnHead("Client CPU"),
        ColumnHead("Target CPU"),
        ColumnHead("Ready after"),
    )
    rows = [
        _row(index, trial, stream, unit, named=len(run.streams) > 1)
        for index, trial in enumerate(run.trials, start=1)
        for stream in trial.streams
    ]
    return TrialsView(_rings(run), heads, tuple(rows))


def _row(number: int, trial: Trial, stream: Summary, unit: str, *, named: bool) -> tuple[Cell, ...]:
    return (
        Cell(f"{number}, {stream.name}" if named else f"{number}"),
        Cell(count(stream.completed)),
        error_cell(stream),
        Cell(figures(stream.throughput_per_s)),
        *(time_cell(stream.response_time_s, part, unit) for part in COLUMNS),
        Cell(share(trial.client.busiest_cpu_share)),
        Cell(share(_target_share(trial))),
        Cell(seconds(trial.target.ready_s)),
    )


def _target_share(trial: Trial) -> float | None:
    """Return the cores that all processes of the target used while they were watched."""
    spent_s, watched_s = trial.target.cpu_s, trial.target.watched_s
    return spent_s / watched_s if spent_s is not None and watched_s else None


def _rings(run: Run) -> Rings | None:
    first = run.streams[0].response_time_s if run.streams else None
    if len(run.trials) < 2 or first is None:
        return None
    tail = far_percentile(first)
    part = tail[0] if tail else "p50"
    times = [trial.streams[0].response_time_s for trial in run.trials]
    found = [of_trial.percentile(part) for of_trial in times if of_trial is not None]
    values = [value for value in found if value is not None]
    merged = first.percentile(part)
    # A ring that is missing would make the others look like all.
    return _drawn(part, merged, values) if merged and len(values) == len(found) else None


def _drawn(metric: str, merged: float, values: Sequence[float]) -> Rings:
    low, high = padded_range(values)
    unit = split_seconds(max(values))[1]
    scale = SCALES[unit]
    ticks = tuple(
        AxisTick(axis_position(at / scale, low, high), f"{figures(at)} {unit}")
        for at in round_ticks(low * scale, high * scale)
    )
    spread = f"{seconds(min(values))} to {seconds(max(values))}"
    label = f"{metric} of each trial: {spread}"
    marks = tuple(axis_position(value, low, high) for value in values)
    return Rings(metric, seconds(merged), ticks, marks, label)
