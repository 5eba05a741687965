"""Arms in rows and columns, where two fields tell them apart."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from control_plane.analysis.deciding.effects import Interval
from control_plane.analysis.deciding.judged_experiment import judge_experiment
from control_plane.analysis.deciding.noise_floor import block_variances
from control_plane.domain.experiment import ExperimentArm, ExperimentBlock
from control_plane.domain.metrics_and_objectives import METRIC
from control_plane.domain.run import State
from control_plane.domain.spec import Client, Target
from control_plane.domain.units import SPACE
from control_plane.pages.compare.ratio_plot import close_up
from control_plane.pages.experiment_arms import arm_matrix, value_with_interval
from control_plane.pages.experiment_view import experiment_part
from control_plane.pages.site.templating import term
from tests.analysis.deciding.test_judged_experiment import arm, experiment, judged


def test_what_is_left_is_told_by_how_long_the_trials_took() -> None:
    runs = []
    for place in range(2):
        measured = arm(place, 1.0, blocks=3, state=State.RUNNING)
        trials = [
            replace(each, started_at=f"2026-11-30T00:0{each.block}:{30 * place:02}+00:00")
            for each in measured.trials
        ]
        spec = replace(measured.spec, trials=6)
        runs.append(replace(measured, spec=spec, trials=tuple(trials)))
    part = experiment_part(judge_experiment(experiment(), runs), lambda _: (), lambda _: 6.0)
    assert part.progress
    assert part.progress.left.split() == ["3", "min"]


def took(pause_s: float, sessions: tuple[int, ...], state: State, cancelled_s: float = 10) -> str:
    """What stands there of two arms; trials take 10 s, and a session begins with one burnt."""
    runs, at = [arm(place, 1.0, len(sessions), state=state) for place in range(2)], BEGUN
    moments = {}
    for number, session in enumerate(sessions):
        if number == 0 or session != sessions[number - 1]:
            at += timedelta(seconds=10 + (pause_s if number else 0))
        for place in range(2):
            moments[place, number] = at
            at += timedelta(seconds=10)
    ended = at - timedelta(seconds=10) + timedelta(seconds=cancelled_s)
    for place, run in enumerate(runs):
        trials = [
            replace(trial, started_at=moments[place, trial.block].isoformat())
            for trial in run.trials
        ]
        runs[place] = replace(run, trials=tuple(trials), started_at=BEGUN, finished_at=ended)
    numbers = range(len(sessions))
    blocks = [ExperimentBlock(number, number, sessions[number], "complete") for number in numbers]
    found = judge_experiment(replace(experiment(), blocks=tuple(blocks)), runs)
    part = experiment_part(found, lambda _: (), lambda _: 6.0)
    return dict(part.design).get("Took", "").replace(SPACE, " ")


BEGUN = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pause_s", "sessions", "state", "cancelled_s", "text"),
    [
        (0, (1, 1, 1, 1), State.FINISHED, 10, "1 min 30 s"),
        (50_000, (1, 1, 2, 2), State.FINISHED, 10, "1 min 40 s"),
        (50_000, (1, 1, 2, 3), State.FINISHED, 10, "1 min 50 s"),
        (50_000, (1, 1, 2, 2), State.CANCELLED, 50_000, "1 min 50 s"),
        (0, (1, 1, 1, 1), State.CANCELLED, 12, "1 min 30 s"),
        (0, (1, 1, 1, 1), State.RUNNING, 10, ""),
    ],
)
def test_an_experiment_took_as_long_as_it_was_measured(
    pause_s: float, sessions: tuple[int, ...], state: State, cancelled_s: float, text: str
) -> None:
    assert took(pause_s, sessions, state, cancelled_s) == text


def test_a_unit_that_an_interval_shares_with_its_value_stands_once() -> None:
    times = METRIC["response_time_s.p50"]
    found = [value_with_interval(each, times) for each in ([0.1, 0.11, 0.12], [0.3, 0.5, 0.8])]
    assert [" ".join(each).replace(SPACE, " ") for each in found] == [
        "110 ms [87.5, 138]",
        "493 ms [146 ms, 1.67 s]",
    ]


def test_two_fields_make_rows_and_columns_with_shades() -> None:
    runs = [
        replace(run, spec=replace(run.spec, timeout_s=timeout_s, client=client))
        for run, (timeout_s, client) in zip(
            [arm(place, factor) for place, factor in enumerate((1.0, 2.0, 4.0, 8.0))],
            product((1.0, 2.0), (Client(loop="uvloop"), Client(loop="asyncio"))),
            strict=True,
        )
    ]
    arms = tuple(ExperimentArm(run.spec.client.loop + run.id, run.id) for run in runs)
    found = replace(experiment(), arms=arms)
    matrix = arm_matrix(judge_experiment(found, runs))
    assert matrix is not None
    assert {matrix.row_field, matrix.column_field} == {"Deadline", "Client event loop"}
    (first, *_), (second, *_) = (cells for _, cells in matrix.maps[0].rows)
    assert first is not None
    assert second is not None
    shades = [cell.step for _, cells in matrix.maps[0].rows for cell in cells if cell]
    assert sorted(shades) == [1, 4, 6, 9]
    assert first.interval.startswith("[")
    assert arm_matrix(judge_experiment(found, [*runs[:3], None])) is None
    together = [
        replace(run, spec=replace(runs[0].spec, timeout_s=1.0 + place, warmup_s=2.0 + place))
        for place, run in enumerate(runs)
    ]
    assert arm_matrix(judge_experiment(found, together)) is None
    alike = [replace(run, spec=runs[0].spec) for run in runs]
    assert arm_matrix(judge_experiment(found, alike)) is None


def test_what_lies_close_to_the_baseline_on_a_wide_scale_is_shown_close_up() -> None:
    def part(*factors: float) -> bool:
        return experiment_part(judged(*factors), lambda _: (), lambda _: 6.0).close_up

    assert (part(1.0, 1.0, 50.0), part(1.0, 1.0)) == (True, False)
    near = close_up(0.98, Interval(0.95, 1.02), less_is_better=True)
    assert near.inside
    assert near.at is not None
    assert 0 < near.low < 50 < near.at < near.high < 100
    beyond = close_up(8.0, Interval(7.0, 9.0), less_is_better=True)
    assert (beyond.at, beyond.low, beyond.high, beyond.inside) == (None, 0, 0, False)
    wide = close_up(1.05, Interval(0.5, 2.0), less_is_better=False)
    assert (wide.low, wide.high, wide.inside) == (0, 100, False)


def test_errors_are_no_two_numbers_where_none_failed() -> None:
    part = experiment_part(judged(1.0, 1.0), lambda _: (), lambda _: 6.0)
    told = {
        group.label: [mark.text for mark in group.marks] for group in (*part.groups, *part.others)
    }
    assert told["Errors or no answer"] == ["none failed on either side"]


def test_a_noise_floor_tells_where_it_comes_from_and_its_word_is_explained() -> None:
    asked, runs = experiment(), [arm(0, 1.0), arm(1, 1.05)]
    known = [replace(run, environment={"hostname": "here", "cpu_count": 2}) for run in runs]
    varied = {each.metric: each for each in block_variances(asked, known)}["throughput_per_s"]
    earlier = [replace(varied, variance=1e-4)] * 3
    parts = [
        experiment_part(judge_experiment(asked, known, before), lambda _: (), lambda _: 6.0)
        for before in ([], earlier)
    ]
    told = [part.noise_floor.replace(SPACE, " ") for part in parts]
    assert told[0] == ""
    assert re.fullmatch(
        r"noise floor ±[0-9.]+ % with \d+ blocks, by earlier experiments here", told[1]
    )
    assert term("noise-floor").meaning.startswith("The smallest difference")


def test_arms_of_different_code_are_told_with_their_commits() -> None:
    """One that was changed since has a plus; of the same code in all, nothing is told."""
    facts = [
        {"application_commit": digit * 40, "application_commit_subject": subject}
        for digit, subject in (("a", "Read the prices"), ("b", "Cache the prices"))
    ]
    facts[1]["application_changes"] = "0c5b11d2a9ef"

    def told(*environments: dict[str, str]) -> tuple[str, ...]:
        runs = []
        for place, environment in enumerate(environments):
            run = arm(place, 1.0)
            spec = replace(run.spec, target=Target(application="shop"))
            runs.append(replace(run, spec=spec, environment=environment))
        return experiment_part(
            judge_experiment(experiment(), runs), lambda _: (), lambda _: 6.0
        ).facts

    names = [each.name for each in experiment().arms]
    commits = ("aaaaaaaaaa Read the prices", "bbbbbbbbbb+ Cache the prices")
    assert {f"{name}: {commit}" for name, commit in zip(names, commits, strict=True)} <= {
        *told(*facts)
    }
    assert not [fact for fact in told(facts[0], facts[0]) if "aaaa" in fact]
    assert not [fact for fact in told(facts[0], {}) if "aaaa" in fact]
