"""The run header, the numbers below it, and the addresses between comparisons."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from control_plane.analysis.comparison import compare
from control_plane.analysis.differences import like_fields
from control_plane.analysis.prose.comparison_sentences import shared_cause
from control_plane.domain.errors import InvalidInput, NotFound
from control_plane.domain.result import Progress
from control_plane.domain.run import Run, State
from control_plane.pages.compare.numbers_table import numbers_table
from control_plane.pages.compare.run_header import MOST_ROWS, RunHeader, run_header
from control_plane.pages.compare_query import CompareQuery, read_compare_query, suggested_runs
from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, FAILING, classic, detail_of, finished, items, two_streams
from tests.dashboard import provide_database

IDS = ("a000000000", "b000000000", "c000000000")


def _classic() -> list[Run]:
    return [
        detail_of(spec, shape, run_id).run
        for (spec, shape), run_id in zip(classic(), IDS, strict=True)
    ]


def _run_header(runs: list[Run], progress: dict[str, Progress] | None = None) -> RunHeader:
    chosen = CompareQuery(tuple(run.id for run in runs), runs[0].id)
    comparison = compare(runs, runs[0].id)
    return run_header(comparison, chosen, comparison.streams[0], progress or {}, {})


def test_columns_say_who_and_how_far_to_trust_it() -> None:
    columns = _run_header(_classic()).columns
    assert [column.rate for column in columns] == ["1,920", "1,720", "14,300"]
    assert [column.outcome for column in columns] == ["valid", "valid", "valid"]
    assert columns[1].notes == ("client CPU 100\N{NO-BREAK SPACE}%",)
    assert [column.is_baseline for column in columns] == [True, False, False]


def test_rows_hold_only_what_differs_and_how_long_it_took() -> None:
    rows = {row.label: row.texts for row in _run_header(_classic()).rows}
    assert rows["Concurrency"] == ("1", "6", "100")
    assert rows["Strategy"] == ("blocking, requests", "threaded, requests", "async, aiohttp")
    assert [text.split()[1] for text in rows["24,999 requests in"]] == ["s", "s", "s"]
    assert rows["Cause"][0] == "none found"
    assert rows["Cause"][1] == "client limited, 100\N{NO-BREAK SPACE}%"
    assert len(rows) == 4


def test_a_long_list_of_differences_is_cut() -> None:
    """The fields that the sentence counts stand first, as far as there is room."""
    runs = [_classic()[2], detail_of(two_streams(), FAILING, IDS[0]).run]
    found, comparison = _run_header(runs), compare(runs, runs[0].id)
    assert len([row for row in found.rows if row.differs]) == MOST_ROWS
    fields = len(like_fields(comparison.differences, comparison.environment))
    all_of_them = len(comparison.differences) + len(comparison.environment)
    assert fields > MOST_ROWS
    assert found.cut == f"12 of {all_of_them} differences are shown: the first of {fields} fields."
    assert str(shared_cause(comparison)).startswith(f"{fields} fields differ")


def test_a_cut_list_shows_the_fields_before_the_environment() -> None:
    first = _classic()[2]
    facts = {"hostname": "a", **{f"package:p{n}": n for n in range(12)}}
    others = {name: f"other {value}" for name, value in facts.items()}
    second = detail_of(items(concurrency=7, title="seven"), ASYNC, IDS[0]).run
    found = _run_header([replace(first, environment=facts), replace(second, environment=others)])
    labels = [row.label for row in found.rows if row.differs]
    told = "12 of 14 differences are shown: 1 field first, then facts of the environment."
    assert found.cut == told
    assert labels.index("Concurrency") == 0


def test_a_run_under_way_shows_its_phase() -> None:
    first, *_ = _classic()
    waiting = replace(first, id=IDS[1], state=State.RUNNING, validity=None, streams=(), trials=())
    progress = {IDS[1]: Progress("running", 2, 3, 0.5, 4.0, None)}
    column = _run_header([first, waiting], progress).columns[1]
    assert (column.rate, column.done, column.notes) == (
        "–",
        50,
        ("trial 2 measuring, 4\N{NO-BREAK SPACE}s left",),
    )


def test_numbers_carry_ratios_and_trust() -> None:
    runs = _classic()
    table = numbers_table(compare(runs, runs[0].id), "items")
    heads = [f"{head.text} {head.unit}".strip() for head in table.heads]
    third = dict(zip(heads, table.rows[2].cells, strict=True))
    assert third["Throughput /s"].below == "×7.45"
    assert third["p99.9 ms"].level == "greyed"
    assert third["Requests"].below == ""
    assert all(not cell.below for cell in table.rows[0].cells)
    assert [row.note for row in table.rows] == ["baseline", "ratio to A", "ratio to A"]


def test_numbers_of_an_invalid_run_are_struck_out() -> None:
    runs = [_classic()[2], detail_of(items(), FAILING, IDS[0]).run]
    table = numbers_table(compare(runs, runs[0].id), "items")
    known = [cell for cell in table.rows[1].cells if cell.text != "no answer"]
    assert {cell.level for cell in known} == {"void", "alarm"}


def test_addresses_are_short_and_complete() -> None:
    chosen = read_compare_query(",".join(IDS), IDS[1], None, None)
    assert chosen.page == "/compare?runs=a000000000,b000000000,c000000000&baseline=b000000000"
    assert chosen.against(IDS[0]) == "/compare?runs=a000000000,b000000000,c000000000"
    assert chosen.without(IDS[1]) == "/compare?runs=a000000000,c000000000&places=0,2"
    assert chosen.without(IDS[2]) == "/compare?runs=a000000000,b000000000&baseline=b000000000"
    assert chosen.adding("d000000000").startswith("/compare?runs=a000000000,b0")
    assert chosen.of_stream("a b&c").endswith("&stream=a+b%26c")
    assert read_compare_query(IDS[0], None, "", "").without(IDS[0]) is None


@pytest.mark.parametrize(
    ("runs", "baseline", "anyway", "error"),
    [
        ("", None, None, InvalidInput),
        (IDS[0], IDS[1], None, InvalidInput),
        (IDS[0], None, "true", InvalidInput),
        ("nonsense", None, None, NotFound),
    ],
)
def test_wrong_addresses(
    runs: str, baseline: str | None, anyway: str | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        read_compare_query(runs, baseline, None, anyway)


def test_runs_of_the_same_requests_are_offered_first(tmp_path: Path) -> None:
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        others = [finished(store, spec, FAILING) for spec in (items(title="a"), two_streams())]
        shown = finished(store, items(title="b"), ASYNC)
        offered = suggested_runs(store, shown, CompareQuery((shown.id,), shown.id))
    assert [(suggestion.run.id, suggestion.alike) for suggestion in offered] == [
        (others[0].id, True), (others[1].id, False),
    ]  # fmt: skip
    assert offered[0].url == f"/compare?runs={shown.id},{others[0].id}"
