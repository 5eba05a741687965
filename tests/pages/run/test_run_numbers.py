"""Headline numbers and how far they may be trusted."""

from dataclasses import replace

import pytest

from control_plane.analysis.summary import error_kinds
from control_plane.domain.units import SPACE
from control_plane.pages.run.run_numbers import Tile, error_tile, run_tiles, streams_table
from tests.builders.runs import ASYNC, detail_of, items


def _tiles(requests: int, *, invalid: bool = False) -> dict[str, Tile]:
    run = detail_of(items(stop={"requests": requests}, trials=1), ASYNC).run
    return {tile.label: tile for tile in run_tiles(run.streams, invalid=invalid)}


@pytest.mark.parametrize(
    ("requests", "states"),
    [
        (200_000, {"p50": "full", "p99": "full", "p99.9": "full"}),
        (20_000, {"p50": "full", "p99": "full", "p99.9": "greyed"}),
        (2_000, {"p50": "full", "p99": "greyed", "p99.9": "hidden"}),
        (15, {"p50": "hidden", "p99": "hidden", "p99.9": "hidden"}),
    ],
)
def test_percentiles_follow_their_support(requests: int, states: dict[str, str]) -> None:
    tiles = _tiles(requests)
    assert {label: tiles[label].state for label in states} == states


def test_a_hidden_percentile_says_what_it_needs() -> None:
    tile = _tiles(2_000)["p99.9"]
    assert (tile.value, tile.note) == ("–", "needs 10,000 samples")


def test_numbers_of_an_invalid_run_are_void() -> None:
    tiles = _tiles(2_000, invalid=True)
    assert tiles["Throughput"].state == "void"
    assert tiles["p50"].state == "void"
    assert tiles["p99.9"].state == "hidden"


@pytest.mark.parametrize(
    ("errors", "completed", "shown", "state"),
    [
        ({}, 5_911, ("0", "", "of 5,911 requests"), "full"),
        ({"reset": 1}, 9_999, ("1", "", "1 × reset"), "full"),
        ({"reset": 9, "timeout": 412}, 13_159, ("3.1", "%", "412 × timeout, 9 × reset"), "alarm"),
        ({"refused": 10}, 0, ("10", "of 10", "10 × refused"), "alarm"),
        ({}, 0, ("0", "", "of 0 requests"), "full"),
    ],
)
def test_errors(errors: dict[str, int], completed: int, shown: tuple[str, ...], state: str) -> None:
    stream = detail_of(items(), ASYNC).run.streams[0]
    kinds = error_kinds([replace(stream, errors=errors)])
    tile = error_tile(sum(errors.values()), completed, kinds)
    assert (tile.value, tile.unit, tile.note) == shown
    assert tile.state == state


def test_nothing_completed() -> None:
    summary = detail_of(items(), ASYNC).run.streams[0]
    empty = replace(
        summary, completed=0, throughput_per_s=0.0, service_time_s=None, response_time_s=None
    )
    tiles = {tile.label: tile for tile in run_tiles([empty, summary], invalid=True)}
    assert tiles["Throughput, items"].value == "0"
    assert tiles["Maximum"].state == "hidden"
    assert SPACE not in tiles["p50"].value


@pytest.mark.parametrize(
    ("trials", "head"),
    [(1, "In flight at the end"), (3, "In flight at the ends of 3 trials")],
)
def test_what_was_in_flight_is_told_of_as_many_ends_as_are_summed(trials: int, head: str) -> None:
    """Up to 64 users at each end: 192 of them stand under 3 ends."""
    run = detail_of(items(trials=trials), ASYNC).run
    assert head in [column.text for column in streams_table(run).heads]
