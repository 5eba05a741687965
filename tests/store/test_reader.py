"""What was written is read back, and lists hold exactly what was asked for."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from control_plane.domain.errors import InvalidInput, NotFound, UnreadableRun
from control_plane.domain.experiment import ExperimentDesign
from control_plane.domain.observations import Gauges, WorkerSeries
from control_plane.domain.run import Run, RunOfSpec, State
from control_plane.store import reader, run_query
from control_plane.store.run_query import RunOrder
from control_plane.store.store import Store, open_store
from tests.builders.runs import (
    ASYNC,
    BLOCKING,
    FAILING,
    finished,
    items,
    merged_streams,
    trial_of,
    two_streams,
)
from tests.builders.states import draft, in_state, plain
from tests.dashboard import provide_database

NOWHERE, WAITING = "0000000000", "run waiting"


def titles(store: Store, **asked) -> list[str]:
    page = store.runs(**{"limit": 50, **asked})
    assert page.total == len(page.runs)
    return [run.title for run in page.runs]


def test_a_finished_run_reads_back_the_same_after_a_restart(path: Path) -> None:
    spec = items(trials=2, stop={"duration_s": 3}, title="x", tags=["a"])
    with closing(open_store(path)) as store:
        run = finished(store, spec, FAILING)
        detail = store.detail(run.id)
    given = [trial_of(spec, FAILING, block) for block in range(2)]
    merged = merged_streams(given)
    assert list(map(plain, detail.streams.values())) == list(map(plain, merged))
    assert detail.gauges == tuple(trial.gauges for trial in given)
    assert detail.slices == {}
    assert detail.timelines == {"items": tuple(trial.streams[0].timeline for trial in given)}
    assert run.streams == tuple(stream.summary for stream in merged)
    assert run.trials == tuple(result.trial for result in given)
    with closing(open_store(path)) as store:
        assert store.run(run.id) == detail.run == run
        assert store.gauges(run.id) == detail.gauges


def test_streams_keep_the_order_of_the_spec(store: Store) -> None:
    spec = items(trials=1)
    (stream,) = spec.workload.streams
    named = tuple(replace(stream, name=name) for name in ("z", "a", "m"))
    run = finished(store, replace(spec, workload=replace(spec.workload, streams=named)), ASYNC)
    assert [stream.name for stream in run.streams] == ["z", "a", "m"]
    assert [stream.name for stream in run.trials[0].streams] == ["z", "a", "m"]
    assert list(store.detail(run.id).streams) == ["z", "a", "m"]
    assert [stream.name for stream in store.runs(limit=1).runs[0].streams] == ["z", "a", "m"]


def test_several_runs_are_read_together_in_the_order_asked_for(store: Store) -> None:
    first = finished(store, items(trials=2), ASYNC)
    (waiting,) = store.add([draft()])
    last = finished(store, items(title="last"), BLOCKING)
    ids = [last.id, waiting.id, first.id]
    together = store.details(ids)
    assert [detail.run for detail in together] == [store.run(run_id) for run_id in ids]
    assert [len(detail.gauges) for detail in together] == [3, 0, 2]
    with pytest.raises(NotFound, match=NOWHERE):
        store.details([first.id, NOWHERE])


def test_of_first_trials_use_and_lags_alone_are_read(store: Store) -> None:
    run = finished(store, items(trials=2), BLOCKING)
    whole, (first,) = store.detail(run.id).gauges[0], store.details([run.id], first=True)
    assert whole.workers
    processes = tuple(replace(process, memory_bytes=()) for process in whole.processes)
    workers = tuple(
        WorkerSeries(worker.pid, worker.loop_lag_s, (), (), (), (), ()) for worker in whole.workers
    )
    assert first.gauges == (Gauges(whole.interval_s, processes, workers),)


def test_slices_are_read_where_they_are_asked_for(store: Store) -> None:
    run = finished(store, items(trials=2), ASYNC)
    whole = store.detail(run.id, slices=True)
    ((name, parts),) = whole.slices.items()
    assert (name, len(parts)) == ("items", 2)
    assert sum(int(part.counts.sum()) for part in parts) == whole.streams["items"].response.total


def test_a_run_without_results_has_an_empty_detail(store: Store) -> None:
    (run,) = store.add([draft()])
    detail = store.detail(run.id)
    assert (detail.run, detail.streams, detail.timelines, detail.gauges) == (run, {}, {}, ())


@pytest.mark.parametrize("lost", ["trial_stream WHERE block", "trial_stream WHERE place",
    "run_stream WHERE place", "run_stream"])  # fmt: skip
def test_a_run_that_lost_streams_cannot_be_read(path: Path, store: Store, lost: str) -> None:
    run = finished(store, replace(two_streams(), trials=2), ASYNC)
    (waiting,) = store.add([draft()])
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"DELETE FROM {lost}")
    reads = (store.run, store.detail, store.gauges, store.trial_results)
    for read in (*reads, lambda run_id: store.trials_of_runs([run_id])):
        with pytest.raises(UnreadableRun, match=run.id):
            read(run.id)
        read(waiting.id)


def test_unknown_runs_are_not_found(store: Store) -> None:
    for read in (store.run, store.detail, store.gauges):
        with pytest.raises(NotFound, match=NOWHERE):
            read(NOWHERE)
    assert store.position(NOWHERE) is None


def test_the_list_is_newest_first_and_without_trials(store: Store) -> None:
    runs = [finished(store, items(title=str(n), trials=1), ASYNC) for n in range(3)]
    page = store.runs(limit=3)
    assert page.runs == tuple(replace(run, trials=()) for run in reversed(runs))
    assert (page.next_cursor, page.total) == (None, 3)


def test_pages_hold_each_run_once_though_runs_come_and_go(store: Store) -> None:
    made = [run.id for run in store.add([draft(title=str(n)) for n in range(7)])]
    first = store.runs(limit=3)
    store.move(made[3], State.QUEUED, State.CANCELLED)
    store.delete([made[3]])
    store.add([draft(title="later")])
    second = store.runs(limit=3, cursor=first.next_cursor)
    assert [run.title for run in first.runs] == ["6", "5", "4"]
    assert [run.title for run in second.runs] == ["2", "1", "0"]
    assert second.next_cursor is None
    assert second.total == 7


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Runs that differ in all that is asked for; it is only read."""
    with closing(
        open_store(provide_database(tmp_path_factory.mktemp("history") / "runs.db"))
    ) as store:
        fill_history(store)
        yield store


def fill_history(store: Store) -> None:
    finished(store, items(title="alpha async", tags=["a", "b"], trials=1), ASYNC)
    blocking = items(title="Alpha BLOCKING é", tags=["b"], trials=1, concurrency=1,
                     client={"strategy": "blocking"})  # fmt: skip
    finished(store, blocking, replace(BLOCKING, restarts=1))
    in_state(store, State.FAILED, title='50% "quoted" _x', tags=["c"], configuration="2 workers")
    in_state(store, State.QUEUED, title="gamma", configuration="2 workers")
    there = {"hostname": "laptop", "application_commit_subject": "Cache the prices"}
    delta = in_state(store, State.STARTING, title="delta")
    store.move(delta.id, State.STARTING, State.WARMING, environment=there)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["delta", "gamma", '50% "quoted" _x', "Alpha BLOCKING é", "alpha async"]),
        ({"state": State.FINISHED}, ["Alpha BLOCKING é", "alpha async"]),
        ({"state": State.RUNNING}, []),
        ({"tag": "b"}, ["Alpha BLOCKING é", "alpha async"]),
        ({"tag": "a", "state": State.FINISHED}, ["alpha async"]),
        ({"tag": "a", "state": State.QUEUED}, []),
        ({"tag": "nowhere"}, []),
        ({"strategy": "blocking"}, ["Alpha BLOCKING é"]),
        ({"configuration": "2 workers"}, ["gamma", '50% "quoted" _x']),
        ({"validity": "valid"}, ["alpha async"]),
        ({"validity": "invalid"}, ["Alpha BLOCKING é"]),
        ({"text": "alpha"}, ["Alpha BLOCKING é", "alpha async"]),
        ({"text": "ALPHA sync"}, ["alpha async"]),
        ({"text": "alpha é"}, ["Alpha BLOCKING é"]),
        ({"text": "al b"}, ["Alpha BLOCKING é", "alpha async"]),
        ({"text": "ph"}, []),
        ({"text": "gam 2 wo"}, ["gamma"]),
        ({"text": "it,"}, []),
        ({"text": "  "}, ["delta", "gamma", '50% "quoted" _x', "Alpha BLOCKING é", "alpha async"]),
        ({"text": "%"}, ['50% "quoted" _x']),
        ({"text": "_x"}, ['50% "quoted" _x']),
        ({"text": '"quoted"'}, ['50% "quoted" _x']),
        ({"text": "NOT alpha"}, []),
        ({"text": "alpha", "tag": "a"}, ["alpha async"]),
        ({"text": "2 workers"}, ["gamma", '50% "quoted" _x']),
        ({"text": "/items/ bundled gamma"}, ["gamma"]),
        ({"text": "cache prices"}, ["delta"]),
        ({"application": "bundled", "tag": "a"}, ["alpha async"]),
        ({"application": "shop"}, []),
        ({"machine": "bench"}, ["Alpha BLOCKING é", "alpha async"]),
        ({"machine": "laptop", "text": "prices"}, ["delta"]),
        ({"since": date(2100, 1, 1)}, []),
        ({"until": date(2000, 1, 1), "tag": "a"}, []),
        ({"since": date(2000, 1, 1), "until": date.max, "tag": "a"}, ["alpha async"]),
        ({"text": "alpha", "tag": "b", "strategy": "async"}, ["alpha async"]),
        ({"text": "' OR 1=1 --"}, []),
        ({"text": None, "tag": "", "state": None, "strategy": ""},
         ["delta", "gamma", '50% "quoted" _x', "Alpha BLOCKING é", "alpha async"]),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("some", [1, 500])
def test_filters(
    history: Store, monkeypatch: pytest.MonkeyPatch, asked, found: list[str], some: int
) -> None:
    """Whether few meet what is asked beside a text, or more than are read at once."""
    monkeypatch.setattr(run_query, "READ_AT_ONCE", some)
    assert titles(history, **asked) == found
    if len(found) > 1:
        first = history.runs(**{**asked, "limit": 1})
        rest = history.runs(**{**asked, "limit": 50, "cursor": first.next_cursor})
        assert [run.title for run in (*first.runs, *rest.runs)] == found
        assert first.total == rest.total == len(found)


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Five runs with numbers and one without; it is only read."""
    with closing(
        open_store(provide_database(tmp_path_factory.mktemp("numbered") / "runs.db"))
    ) as store:
        for number, shape in enumerate((ASYNC, BLOCKING, FAILING, ASYNC, BLOCKING)):
            finished(store, items(title=f"run {number}", tags=["a"], trials=1), shape)
        in_state(store, State.QUEUED, title=WAITING, tags=["a"])
        yield store


@pytest.mark.parametrize("most", [1, 1_000])
@pytest.mark.parametrize(
    "asked",
    [{}, {"text": "run"}, {"tag": "a"}, {"strategy": "async"}, {"text": "a", "strategy": "async"}],
    ids=str,
)
def test_the_list_goes_by_each_number_that_it_shows(
    numbered: Store, monkeypatch: pytest.MonkeyPatch, most: int, asked
) -> None:
    """In pages, those without the number last, whether they are few or more than are counted."""
    monkeypatch.setattr(run_query, "MOST_COUNTED", most)
    for sort in ("throughput", "p50", "p95", "p99", "errors"):
        for order in ("asc", "desc"):
            found = in_pages(numbered, RunOrder(sort, order), **asked)
            assert sorted(run.title for run in found) == [*map("run {}".format, range(5)), WAITING]
            values = [shown(run, sort) for run in found]
            known = [value for value in values if value is not None]
            assert values[: len(known)] == sorted(known, reverse=order == "desc")
            assert WAITING in [run.title for run in found[len(known) :]]


def in_pages(store: Store, order: RunOrder, **asked) -> list[Run]:
    """All runs in that order, by pages of two."""
    found: list[Run] = []
    cursor = None
    while page := store.runs(limit=2, order=order, cursor=cursor, **asked):
        found += page.runs
        if (cursor := page.next_cursor) is None:
            return found
    return found


def shown(run: Run, sort: str) -> Any:
    if not run.streams:
        return None
    stream = run.streams[0]
    other = {"throughput": stream.throughput_per_s, "errors": stream.error_share}
    return other[sort] if sort in other else getattr(stream.response_time_s, sort)


def test_oldest_first_and_no_more_are_counted_than_anybody_waits_for(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_query, "MOST_COUNTED", 3)
    monkeypatch.setattr(reader, "MOST_COUNTED", 3)
    store.add([draft(title=str(number)) for number in range(5)])
    found = in_pages(store, RunOrder("created", "asc"))
    assert [run.title for run in found] == ["0", "1", "2", "3", "4"]
    page = store.runs(limit=2)
    assert (page.total, page.more) == (3, True)
    with pytest.raises(InvalidInput, match="cursor"):
        store.runs(limit=2, order=RunOrder("p50"), cursor="fff")


def test_what_is_chosen_is_read_oldest_first(store: Store) -> None:
    alone = finished(store, items(), ASYNC)
    made = store.add_experiment("?", ExperimentDesign(), [("a", draft()), ("b", draft())], 9)
    arms = [arm.run_id for arm in made.arms]
    assert [run.id for run in store.chosen([made.id, alone.id])] == [alone.id, *arms]
    with pytest.raises(NotFound, match=NOWHERE):
        store.chosen([alone.id, NOWHERE])


def test_a_run_is_found_by_its_id(history: Store) -> None:
    (delta,) = history.runs(limit=1, text="delta").runs
    assert titles(history, text=delta.id) == ["delta"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": 201},
        {"cursor": "zz"},
        {"cursor": "-1"},
        {"cursor": "f" * 16},
        {"cursor": "1\x00"},
        {"tag": "a\x00"},
        {"text": "a\ud800"},
        {"strategy": "\x00"},
        {"configuration": "\x00"},
        {"called": "\x00"},
        {"validity": "\udfff"},
    ],
    ids=ascii,
)
def test_what_cannot_be_asked_is_refused_at_its_field(store: Store, wrong) -> None:
    with pytest.raises(InvalidInput) as refused:
        store.runs(**{"limit": 5, **wrong})
    assert [error.field for error in refused.value.fields] == list(wrong)


def test_a_configuration_is_found_by_either_name(store: Store) -> None:
    store.add([draft("2 workers", title="typed")])
    store.add([replace(draft("2 workers", title="named"), given_name="my fast")])
    assert titles(store, called="2 workers") == ["named", "typed"]
    assert titles(store, called="my fast") == ["named"]
    assert titles(store, configuration="2 workers") == ["named", "typed"]
    assert store.values("given_name") == ["my fast"]
    assert store.measured_configurations(["1 worker", "2 workers"]) == ["2 workers", "my fast"]
    found = {run.title: run.configuration for run in store.runs(limit=9).runs}
    assert found == {"typed": "2 workers", "named": "my fast"}


def test_the_queue_is_first_in_first_out(store: Store) -> None:
    runs = store.add([draft(title=str(n)) for n in range(3)])
    assert store.count_queued() == 3
    assert [store.position(run.id) for run in runs] == [1, 2, 3]
    assert store.next_queued() == runs[0].id
    store.move(runs[0].id, State.QUEUED, State.STARTING)
    store.move(runs[1].id, State.QUEUED, State.CANCELLED)
    assert [store.position(run.id) for run in runs] == [None, None, 1]
    assert store.next_queued() == runs[2].id
    store.move(runs[2].id, State.QUEUED, State.STARTING)
    assert store.next_queued() is None
    assert store.count_queued() == 0


def test_repeats_are_the_runs_of_one_spec_whatever_they_are_called(store: Store) -> None:
    spec = items(trials=1, title="first")
    first = finished(store, spec, ASYNC)
    again = finished(store, replace(spec, title="again", tags=("x",), trials=2), ASYNC)
    finished(store, replace(spec, warmup_s=9.0), ASYNC)
    finished(store, replace(spec, title="invalid"), FAILING)
    store.add([draft(title="waits")])
    other = finished(store, replace(spec, timeout_s=9.0), ASYNC)
    repeats = store.repeats([first.id, again.id, other.id, "0000000000"])
    listed = {run_id: [run.id for run in runs] for run_id, runs in repeats.items()}
    own = [again.id, first.id]
    assert listed == {first.id: own, again.id: own, other.id: [other.id]}
    assert repeats[first.id][1] == RunOfSpec(
        first.id, first.started_at or first.created_at, first.finished_at, first.environment
    )
    trials = store.trials_of_runs([again.id, first.id, "0000000000"])
    assert {run_id: len(found) for run_id, found in trials.items()} == {
        again.id: 2,
        first.id: 1,
        "0000000000": 0,
    }
    assert tuple(trials[again.id]) == again.trials


def test_the_newest_runs_of_the_same_requests_come_first_and_none_that_cannot_be_read(
    store: Store,
) -> None:
    shown, oldest, taken, spoilt, damaged = [finished(store, items(), ASYNC) for _ in range(5)]
    others = [finished(store, two_streams(), FAILING) for _ in range(2)]
    store.add([draft(title="waits")])
    with closing(sqlite3.connect(store.path)) as database, database:
        for run_id, column, text in (
            (spoilt.id, "spec", '{"workload": {}}'),
            (damaged.id, "environment", "["),
        ):
            database.execute(
                f"UPDATE run_facts SET {column} = ? WHERE run = (SELECT seq FROM run WHERE id = ?)",
                (text, run_id),
            )
    found = store.newest_alike(shown.spec, {shown.id, taken.id}, 3)
    assert [(run.id, alike) for run, alike in found] == [(oldest.id, True), (others[1].id, False)]
