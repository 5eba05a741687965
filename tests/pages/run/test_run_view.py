"""What the page of a run is made of."""

from dataclasses import replace
from pathlib import Path

import pytest

from control_plane.domain.errors import InvalidInput
from control_plane.domain.result import Timeline
from control_plane.domain.run import RunDetail, State
from control_plane.pages.run.run_numbers import load_text, trials_view
from control_plane.pages.run.run_view import RunPage, run_page
from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, cut_short, detail_of, items, two_streams
from tests.dashboard import provide_database


def _page(detail: RunDetail, trial: int | None = None) -> RunPage:
    return run_page(detail, trial, (), "key")


def test_both_clocks_are_shown_where_they_differ() -> None:
    same = _page(detail_of(items(), ASYNC)).streams
    queued = _page(detail_of(items(), replace(ASYNC, queued_s=0.4))).streams
    assert same is not None
    assert queued is not None
    assert len(same.rows) == 1
    response, service = queued.rows
    assert service.note.startswith("service time")
    assert float(response.cells[5].text) > 10 * float(service.cells[5].text)


def test_a_ring_for_each_trial_on_one_scale() -> None:
    rings = trials_view(detail_of(items(trials=5), ASYNC).run).rings
    assert rings is not None
    assert rings.metric == "p99"
    assert len(rings.marks) == 5
    assert all(0 <= at <= 100 for at in rings.marks)
    assert [tick.at for tick in rings.ticks] == sorted(tick.at for tick in rings.ticks)
    assert trials_view(detail_of(items(trials=1), ASYNC).run).rings is None


def test_trials_of_several_streams_are_named() -> None:
    rows = trials_view(detail_of(two_streams(), ASYNC).run).rows
    assert [row[0].text for row in rows[:3]] == ["1, small", "1, large", "2, small"]


def test_a_run_without_a_result_keeps_its_spec() -> None:
    finished = detail_of(items(), ASYNC)
    cut = replace(
        finished.run, state=State.FAILED, reason="failed (start)", streams=(), trials=(),
        validity=None, environment=None, started_at=None,
    )  # fmt: skip
    page = _page(RunDetail(cut, {}, {}, ()))
    assert (page.tiles, page.curves, page.gates, page.environment) == ((), (), (), ())
    assert (page.timeline, page.streams, page.trials, page.elapsed) == (None, None, None, None)
    assert '"requests": 24999' in page.spec_text
    assert page.environment_line == "not known"


def test_the_environment_in_one_line() -> None:
    line = _page(detail_of(items(), ASYNC)).environment_line
    assert line.startswith("2 cores AMD EPYC")
    assert line.endswith("Python 3.11.7, target on core 0, client on core 1")


@pytest.mark.parametrize("trial", [0, 4, 1_000])
def test_trials_that_do_not_exist(trial: int) -> None:
    with pytest.raises(InvalidInput, match="is not among the 3"):
        _page(detail_of(items(trials=3), ASYNC), trial)


def test_loads_in_words() -> None:
    small, large = two_streams().workload.streams
    (classic,) = items().workload.streams
    assert [load_text(stream) for stream in (small, large, classic)] == [
        "10 users, 20.0 s", "1 user, 20.0 s", "100 users, 24,999 requests",
    ]  # fmt: skip


@pytest.mark.parametrize("trial", [None, 1])
def test_a_run_cut_short_shows_the_trial_that_was_kept(tmp_path: Path, trial: int | None) -> None:
    store = open_store(provide_database(tmp_path / "runs.db"))
    try:
        page = _page(store.detail(cut_short(store, items(), ASYNC).id), trial)
    finally:
        store.close()
    assert page.timeline is not None
    assert page.timeline.table.rows
    assert page.trials is not None
    assert page.banner is not None
    assert page.banner.text.startswith("Trial 1 is kept, of 3 planned.")


@pytest.mark.parametrize(("late", "trial", "many"), [(1, 1, "1 answer"), (7, None, "7 answers")])
def test_answers_after_the_window_are_told_where_their_times_are(
    late: int, trial: int | None, many: str
) -> None:
    detail = detail_of(items(trials=2), ASYNC)
    ((name, (first, other)),) = detail.timelines.items()
    assert "after the window" not in _page(detail, trial).timeline_note
    counts = (*first.completed[:-1], first.completed[-1] - late)
    lines: dict[str, tuple[Timeline, ...]] = {name: (replace(first, completed=counts), other)}
    page = _page(replace(detail, timelines=lines), trial)
    assert page.timeline_note.endswith(f" hold {many} that came after the window.")
