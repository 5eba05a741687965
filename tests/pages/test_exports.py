"""CSV that stays text in a spreadsheet."""

import csv
import io

import pytest

from control_plane.pages.exports import RUN_COLUMNS, csv_text, run_rows, unit_of
from tests.builders.runs import FAILING, detail_of, items


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\tx", "\rx"])
def test_formulas_are_defused(text: str) -> None:
    assert _read(csv_text(["a"], [[text]]))[1] == [f"'{text}"]


@pytest.mark.parametrize(
    ("cell", "read"),
    [(-1, "-1"), (-0.5, "-0.5"), (None, ""), ("a,b", "a,b"), ('"', '"'), ("a=b", "a=b")],
)
def test_everything_else_is_kept(cell: str | float | None, read: str) -> None:
    assert _read(csv_text(["a", "b"], [[cell, 1]]))[1] == [read, "1"]


@pytest.mark.parametrize(
    ("metric", "unit"),
    [
        ("throughput_per_s", "per_s"),
        ("service_time_s.p99", "s"),
        ("service_time_s.support.p99", "1"),
        ("cpu_s_per_request", "s_per_request"),
        ("error_share", "share"),
        ("errors.timeout", "1"),
        ("bytes_sent", "bytes"),
        ("peak_memory_bytes", "bytes"),
        ("censored.max_age_s", "s"),
        ("requests", "1"),
    ],
)
def test_each_metric_has_its_unit(metric: str, unit: str) -> None:
    assert unit_of(metric) == unit


def test_a_run_is_long() -> None:
    run = detail_of(items(trials=2), FAILING).run
    rows = [dict(zip(RUN_COLUMNS, row, strict=True)) for row in run_rows(run)]
    assert {row["trial"] for row in rows} == {1, 2, "all"}
    merged = {row["metric"]: row["value"] for row in rows if row["trial"] == "all"}
    assert merged["errors.timeout"] == 824
    assert merged["throughput_per_s"] == run.streams[0].throughput_per_s
    times = run.streams[0].response_time_s
    assert times is not None
    assert merged["response_time_s.support.p50"] == times.support["p50"]


def _read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))
