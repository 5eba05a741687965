"""What runs that were not interleaved decide, over sessions of their specs."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from control_plane.analysis.comparison import Comparison, compare
from control_plane.analysis.deciding.sessions import sessions_of, with_sessions
from control_plane.analysis.prose import plain_text
from control_plane.analysis.prose.comparison_sentences import comparison_title
from control_plane.domain.result import Trial, Validity
from control_plane.domain.run import Run, RunOfSpec
from control_plane.pages.compare.numbers_table import comparison_grid
from tests.builders.trials import START, run, spec, summary, trial, with_spaces

INVALID = Validity("invalid", ())


def measured(number: int, per_s: float, minutes: float, **chosen) -> Run:
    """A run that began so many minutes after the first, and took 9 s."""
    begun = START + timedelta(minutes=minutes)
    stream = summary(throughput_per_s=per_s)
    return run(
        f"000000000{number:x}",
        started_at=begun,
        finished_at=begun + timedelta(seconds=9),
        streams=(stream,),
        trials=(trial(stream),),
        **chosen,
    )


@dataclass(frozen=True)
class Known:
    """The runs of the spec of each run."""

    by_run: Mapping[str, Sequence[Run]]

    def repeats(self, run_ids: Sequence[str]) -> dict[str, list[RunOfSpec]]:
        return {run_id: [of_spec(run) for run in self.by_run[run_id]] for run_id in run_ids}

    def trials_of_runs(self, run_ids: Sequence[str]) -> dict[str, tuple[Trial, ...]]:
        stored = {run.id: run for side in self.by_run.values() for run in side}
        return {run_id: stored[run_id].trials for run_id in run_ids}


def sides(*runs: Sequence[Run]) -> Known:
    """Sides whose runs are of one spec each."""
    return Known({run.id: side for side in runs for run in side})


def of_spec(run: Run) -> RunOfSpec:
    begun_at = run.started_at or run.created_at
    return RunOfSpec(run.id, begun_at, run.finished_at, run.environment)


QUICK = [measured(at, 1_500 + 10 * at, 20 * at) for at in range(3)]
SLOW = [measured(8 + at, 1_000 + 10 * at, 20 * at, spec=spec("blocking")) for at in range(3)]


def decided(first: Sequence[Run], second: Sequence[Run]) -> Comparison:
    """The last run of either side compared, the others known."""
    made = compare([first[-1], second[-1]], first[-1].id)
    return with_sessions(made, sides(first, second))


def test_a_table_for_a_spreadsheet_has_what_is_decided() -> None:
    found = decided(SLOW, QUICK)
    grid = comparison_grid(found)
    rows = [dict(zip(grid.columns, row, strict=True)) for row in grid.rows]
    (row,) = [row for row in rows if row["metric"] == "throughput_per_s"]
    verdict = found.row("items", "throughput_per_s").verdicts[QUICK[2].id]
    name = found.label(QUICK[2].id).text
    heads = ("ratio", "low, 95 %", "high, 95 %", "verdict", "role")
    assert [row[f"{head} of {name}"] for head in heads] == [
        verdict.ratio,
        verdict.low,
        verdict.high,
        "better",
        "primary",
    ]
    undecided = comparison_grid(compare([SLOW[2], QUICK[2]], SLOW[2].id)).columns
    assert grid.columns[: len(undecided)] == undecided
    assert len(grid.columns) == len(undecided) + len(heads)


def test_three_sessions_of_each_side_decide() -> None:
    found = decided(SLOW, QUICK)
    (verdict,) = found.row("items", "throughput_per_s").verdicts.values()
    assert verdict.verdict == "better"
    assert verdict.low < verdict.low_90 < verdict.ratio < verdict.high_90 < verdict.high
    assert verdict.ratio == pytest.approx(1.5, rel=0.01)
    assert (verdict.sessions, dict(found.sessions)) == (3, {SLOW[2].id: 3, QUICK[2].id: 3})
    said = with_spaces(plain_text(comparison_title(found)))
    assert said.startswith("B async served 1.5 times the requests per second of A blocking here: ")
    assert ": better, ×1.5" in said
    assert "over 3 sessions of each." in said
    assert not found.row("items", "error_share").verdicts


@pytest.mark.parametrize("minutes", [1, 9])
def test_runs_that_follow_each_other_are_one_session(minutes: int) -> None:
    close = [replace(each, started_at=START + timedelta(minutes=minutes * at),
                     finished_at=START + timedelta(minutes=minutes * at, seconds=9))
             for at, each in enumerate(QUICK)]  # fmt: skip
    assert [len(session) for session in sessions_of(close[0], [*map(of_spec, close)])] == [3]
    found = decided(SLOW, close)
    assert not found.row("items", "throughput_per_s").verdicts
    assert dict(found.sessions) == {SLOW[2].id: 3, QUICK[2].id: 1}
    assert "One trial gives no verdict" in plain_text(comparison_title(found))


def test_another_environment_is_no_session_of_it_and_another_boot_is() -> None:
    facts = QUICK[0].environment or {}
    other = replace(QUICK[0], environment={**facts, "python": "3.12.1"})
    booted = replace(QUICK[1], environment={**facts, "boot_id": "b"})
    known, again, own = map(of_spec, (other, booted, QUICK[2]))
    assert sessions_of(QUICK[2], [known, again, own]) == [[again], [own]]


def test_intervals_of_several_runs_hold_at_once_and_one_metric_decides() -> None:
    third = [measured(11 + at, 999 + 9 * at, 20 * at, spec=spec("threaded")) for at in range(3)]
    made = compare([SLOW[2], QUICK[2], third[2]], SLOW[2].id)
    found = with_sessions(made, sides(SLOW, QUICK, third)).row("items", "throughput_per_s").verdicts
    alone = decided(SLOW, QUICK)
    (single,) = alone.row("items", "throughput_per_s").verdicts.values()
    wider = found[QUICK[2].id]
    assert [each.family for each in found.values()] == [2, 2]
    assert wider.low < single.low < single.high < wider.high
    roles = {row.metric: each.role for row in alone.rows for each in row.verdicts.values()}
    assert [name for name, role in roles.items() if role == "primary"] == ["throughput_per_s"]
    assert len(roles) > 3


@pytest.mark.parametrize(
    ("sessions", "title"),
    [
        (
            (1, 3, 1),
            "B async served 1.5 times the requests per second of A blocking here (no verdict); "
            "D raw 49 % (no verdict); C threaded: better, ×1.20 over 3 sessions of "
            "each.",
        ),
        (
            (3, 3, 1),
            "B async served 1.5 times the requests per second of A blocking here: better, ×1.50 "
            "over 3 sessions of each; D raw 49 % (no verdict); C threaded: better, "
            "×1.20 over 3 sessions of each.",
        ),
        (
            (3, 1, 3),
            "B async served 1.5 times the requests per second of A blocking here: better, ×1.50 "
            "over 3 sessions of each; D raw 49 %: worse, ÷2.02 over 3 sessions of each.",
        ),
        (
            (1, 1, 1),
            "B async served 1.5 times the requests per second of A blocking here; "
            "D raw 49 %. One trial gives no verdict.",
        ),
    ],
)
def test_the_sentence_says_of_each_ratio_whether_it_is_decided(
    sessions: Sequence[int], title: str
) -> None:
    third = [measured(11 + at, 1_200 + 9 * at, 20 * at, spec=spec("threaded")) for at in range(3)]
    fourth = [measured(14 + at, 500, 20 * at, spec=spec("raw")) for at in range(3)]
    others = zip((QUICK, third, fourth), sessions, strict=True)
    runs = [SLOW, *(side[-many:] for side, many in others)]
    found = with_sessions(compare([side[-1] for side in runs], SLOW[2].id), sides(*runs))
    said = with_spaces(plain_text(comparison_title(found)))
    assert re.sub(r" \[[^]]+\]", "", said) == title


def test_a_session_without_a_number_gives_no_interval() -> None:
    nothing = summary(throughput_per_s=0.0)
    without = [replace(QUICK[0], trials=(trial(nothing),)), *QUICK[1:]]
    found = decided(SLOW, without)
    assert not found.row("items", "throughput_per_s").verdicts
    assert found.row("items", "response_time_s.p50").verdicts


def test_nothing_is_decided_of_the_same_spec_or_of_an_invalid_side() -> None:
    older = [replace(each, id=f"a00000000{each.id[-1]}") for each in QUICK[:2]]
    for runs in (QUICK[1:], [QUICK[2], older[0]], older):
        again = with_sessions(
            compare(runs, runs[0].id), Known(dict.fromkeys([run.id for run in runs], QUICK))
        )
        assert not any(row.verdicts for row in again.rows)
    invalid = [*QUICK[:2], replace(QUICK[2], validity=INVALID)]
    assert not decided(SLOW, invalid).sessions
