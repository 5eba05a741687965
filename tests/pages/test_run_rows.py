"""Progress in segments and words."""

from dataclasses import replace

import pytest

from control_plane.domain.observations import Gauges
from control_plane.domain.result import Progress, Validity, ValidityOutcome
from control_plane.domain.run import Live
from control_plane.domain.units import SPACE
from control_plane.jobs.progress_and_expected_time import Phases
from control_plane.pages.run.live import window_s
from control_plane.pages.run_rows import phase_text, progress_view, run_list_row
from tests.builders.runs import ASYNC, detail_of, items, two_streams

PHASES = Phases(1, 1, 8)


def _running(trial: int, trials: int, share: float) -> Progress:
    return Progress("running", trial, trials, share, 10.0, None)


def test_a_segment_for_each_trial() -> None:
    view = progress_view(items(trials=4), _running(2, 4, 0.375), None, PHASES)
    assert [(segment.grey, segment.done) for segment in view.segments] == [
        (0, 100),
        (20, 50),
        (0, 0),
        (0, 0),
    ]
    assert [segment.current for segment in view.segments] == [False, True, False, False]
    assert [segment.text for segment in view.segments] == [
        "trial 1 done", "trial 2 measuring", "trial 3", "trial 4",
    ]  # fmt: skip
    assert view.share == 38


def test_warm_up_is_grey_until_the_window_opens() -> None:
    (segment,) = progress_view(items(trials=1), _running(1, 1, 0.15), None, PHASES).segments
    assert (segment.grey, segment.done) == (15, 15)


def test_very_many_trials_share_one_segment() -> None:
    (segment,) = progress_view(items(trials=50), _running(20, 50, 0.4), None, PHASES).segments
    assert (segment.done, segment.text) == (40, "trial 20 measuring")


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress("queued", 0, 3, 0.0, None, 1), "next in the queue"),
        (Progress("queued", 0, 3, 0.0, None, 12), "number 12 in the queue"),
        (Progress("starting", 2, 3, 0.4, 9.0, None), "trial 2 starting"),
        (Progress("warming", 1, 1, 0.1, 9.0, None), "warming up"),
        (Progress("finalizing", 1, 1, 1.0, 0.0, None), "finishing"),
    ],
)
def test_phases_in_words(progress: Progress, words: str) -> None:
    assert phase_text(items(), progress, None) == words


@pytest.mark.parametrize(
    ("stop", "words"),
    [
        ({"duration_s": 60}, f"trial 3 measuring, 37 of 60{SPACE}s"),
        ({"requests": 24_999}, "trial 3 measuring, 0 of 24,999 requests"),
    ],
)
def test_how_much_is_measured(stop: dict[str, int], words: str) -> None:
    progress = _running(3, 5, 0.5)
    live = Live("k7m2000000", progress, 37.4, (), Gauges(0.5, ()), ())
    assert phase_text(items(stop=stop), progress, live) == words


@pytest.mark.parametrize(
    ("awaited", "words"),
    [
        (12, f"trial 3 waiting for 12 open requests, 30{SPACE}s at most"),
        (1, f"trial 3 waiting for 1 open request, 30{SPACE}s at most"),
    ],
)
def test_what_is_awaited_after_the_window(awaited: int, words: str) -> None:
    progress = _running(3, 5, 0.6)
    live = Live("k7m2000000", progress, 8.0, (), Gauges(0.5, ()), (), awaited)
    assert phase_text(items(stop={"duration_s": 8}), progress, live) == words


def test_the_axis_ends_with_the_window_where_time_stops_it() -> None:
    assert window_s(detail_of(two_streams(), ASYNC).run) == 20
    assert window_s(detail_of(items(), ASYNC).run) is None


@pytest.mark.parametrize(
    ("outcome", "errors", "levels"),
    [
        ("valid", 0, ("full", "full", "full", "full")),
        ("invalid", 0, ("void", "void", "void", "full")),
        ("valid", 1_000, ("full", "full", "full", "alarm")),
    ],
)
def test_a_row_says_how_far_its_numbers_may_be_believed(
    outcome: ValidityOutcome, errors: int, levels: tuple[str, ...]
) -> None:
    run = detail_of(items(), ASYNC).run
    (summary,) = run.streams
    failed = {"status_5xx": errors} if errors else {}
    share = errors / (summary.completed + errors)
    measured = replace(summary, errors=failed, error_share=share)
    row = run_list_row(replace(run, streams=(measured,), validity=Validity(outcome)))
    assert row.numbers is not None
    cells = (row.numbers.throughput, row.numbers.p50, row.numbers.p95, row.numbers.errors)
    assert tuple(cell.level for cell in cells) == levels
