"""Headline numbers: value, unit, one line of evidence, and how far each can be trusted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from control_plane.analysis.summary import error_kinds
from control_plane.analysis.validity.gate import ERRORS_SUSPECT
from control_plane.domain.result import Summary
from control_plane.domain.times_and_percentiles import (
    AT_LEAST,
    PERCENTILES,
    Times,
    bounded,
    lost,
    needed_samples,
    no_answer_text,
    percentile_level,
    written_time,
)
from control_plane.domain.units import (
    NONE,
    SPACE,
    count,
    figures,
    seconds,
    share,
    split_bytes,
    split_seconds,
)
from control_plane.pages.number_cells import COLUMN_HEADS


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
    return Tile(label, value, unit, f"{count(times.support[percentile])} samples beyond", level)


def error_tile(failed: int, completed: int, kinds: str) -> Tile:
    """Return the number of errors; above the limit their share, with `kinds`, if known."""
    ended = completed + failed
    if ended and failed / ended > ERRORS_SUSPECT:
        value, unit = share(failed / ended).split(SPACE)
        return Tile("Errors", value, unit, kinds, "alarm")
    return Tile("Errors", count(failed), "", kinds or f"of {count(ended)} requests")


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
    yield error_tile(failed, sum(stream.completed for stream in streams), error_kinds(streams))


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
