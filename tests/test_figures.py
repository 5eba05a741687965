"""The table of figures in `bench/`: what a script prints as its verdict becomes a row."""

import pytest

from bench.figures import ReferenceFigure, arguments, read
from bench.pairs import verdict
from bench.start import judged


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


@pytest.mark.parametrize(
    ("answer", "ends", "reached"),
    [
        ((0.5, 0.5), ["reached", "reached"], True),
        ((0.5, 0.6), ["reached", "MISSED"], False),
        ((0.6, 0.5), ["MISSED", "reached"], False),
    ],
)
def test_the_first_answer_is_judged_and_the_first_page_told(
    capsys: pytest.CaptureFixture[str],
    answer: tuple[float, float],
    ends: list[str],
    reached: bool,
) -> None:
    assert judged([{0: (0.2, 0.2), 1: answer, 2: (0.7, 0.9)}]) == reached
    lines = capsys.readouterr().out.splitlines()
    assert [line[:26].strip() for line in lines] == [
        "first answer, /healthz", "processor time until then", "first page, /",
    ]  # fmt: skip
    assert [line.split()[-1] for line in lines[:2]] == ends
    assert lines[2].split()[3:] == ["200", "ms", "700", "ms", "3.500", "(3.500", "to", "3.500)"]
