"""The table of figures in `bench/`: what a script prints as its verdict becomes a row."""

import pytest

from bench.figures import ReferenceFigure, arguments, read
from bench.pairs import verdict


@pytest.mark.parametrize(
    ("value", "limit", "most", "row"),
    [
        (0.954, 0.95, False, ("≥ 0.95", "0.954", "yes")),
        (1.2, 1.1, True, ("≤ 1.1", "1.200", "no")),
        (-0.012, 0.05, True, ("≤ 0.05", "-0.012", "yes")),
        (0, 0, True, ("≤ 0", "0.000", "yes")),
    ],
)
def test_a_verdict_becomes_a_row(
    capsys: pytest.CaptureFixture[str],
    value: float,
    limit: float,
    most: bool,
    row: tuple[str, str, str],
) -> None:
    verdict("requests per second, raw / wrk", value, limit, most=most)
    line = capsys.readouterr().out
    assert read(line) == ReferenceFigure("requests per second, raw / wrk", *row)
    assert read(f"raw / wrk pair 1: {value}\n") is None


@pytest.mark.parametrize(
    ("row", "pairs", "seconds", "given"),
    [
        ("server_clock", None, None, []),
        ("server_clock", 2, None, ["2", "4"]),
        ("server_clock", None, 1, ["7", "1"]),
        ("client_counts", 2, 1, []),
    ],
)
def test_a_script_has_its_own_defaults(
    row: str, pairs: int | None, seconds: int | None, given: list[str]
) -> None:
    assert arguments(row, pairs, seconds) == given
