"""Changes: all of one or nothing, also under threads and kill -9."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest

from control_plane.domain.errors import Conflict, InvalidInput, NotFound, QueueFull
from control_plane.domain.request import SequenceValue
from control_plane.domain.result import Validity
from control_plane.domain.run import ALLOWED, TERMINAL, State
from control_plane.domain.spec import RequestClass, Stream
from control_plane.store.mapping import Draft
from control_plane.store.store import Store, open_store
from tests.builders.runs import (
    ASYNC,
    BLOCKED,
    ENVIRONMENT,
    FAILING,
    finished,
    items,
    merged_streams,
    trial_of,
)
from tests.builders.states import PATH, draft, in_state
from tests.store.killed import first_of, killed_at, opened, use_numbers
from tests.store.places import ask, sound

TABLES = ("run", "run_facts", "run_tag", "run_text", "run_stream", "trial", "trial_stream")


def rows_of(path: Path) -> dict[str, int]:
    counts = ", ".join(f"(SELECT count(*) FROM {table})" for table in TABLES)
    return dict(zip(TABLES, ask(path, f"SELECT {counts}")[0], strict=True))


def test_added_runs_are_queued_as_they_were_given(store: Store) -> None:
    before = datetime.now(UTC)
    first, second = store.add([draft(title="a", tags=["x", "y", "x"]), draft(title="b")])
    assert (first.title, first.tags, first.state) == ("a", ("x", "y", "x"), State.QUEUED)
    assert first.spec == items(title="a", tags=["x", "y", "x"])
    assert before <= first.created_at <= datetime.now(UTC)
    assert first.created_at.utcoffset() == timedelta(0)
    assert (first.started_at, first.finished_at, first.validity) == (None, None, None)
    assert store.run(first.id) == first
    assert store.run(second.id) == second


def test_a_key_gives_the_same_runs_again(store: Store) -> None:
    first = store.add([draft(), draft()], key="k", digest="d")
    assert store.add([draft(), draft()], key="k", digest="d") == first
    assert store.count_queued() == 2
    with pytest.raises(Conflict, match="another request"):
        store.add([draft()], key="k", digest="other")
    assert len(store.add([draft()], key="l", digest="d")) == 1
    assert store.count_queued() == 3


def test_a_key_whose_runs_are_deleted_is_refused(store: Store) -> None:
    (run,) = store.add([draft()], key="k", digest="d")
    store.move(run.id, State.QUEUED, State.CANCELLED)
    store.delete([run.id])
    with pytest.raises(Conflict, match="deleted"):
        store.add([draft()], key="k", digest="d")


def test_one_form_sent_by_many_threads_makes_one_run(store: Store) -> None:
    ready = threading.Barrier(16)

    def submit(_: int) -> str:
        ready.wait()
        return store.add([draft()], key="form", digest="d")[0].id

    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(submit, range(16)))) == 1
    assert store.runs(limit=1).total == 1


def test_a_full_queue_takes_nothing_of_what_is_too_much(store: Store, path: Path) -> None:
    store.add([draft()], max_queue=2)
    with pytest.raises(QueueFull, match="LOOPLAB_MAX_QUEUE"):
        store.add([draft(), draft()], key="k", digest="d", max_queue=2)
    assert rows_of(path)["run"] == 1
    assert ask(path, "SELECT count(*) FROM submission") == [(0,)]
    waiting = store.add([draft()], key="k", digest="d", max_queue=2)
    with pytest.raises(QueueFull):
        store.add([draft()], max_queue=2)
    assert store.add([draft()], key="k", digest="d", max_queue=2) == waiting


def test_moving_writes_what_is_known(store: Store) -> None:
    run = in_state(store, State.STARTING)
    assert run.started_at is not None
    warm = store.move(
        run.id, State.STARTING, State.WARMING, command="uvicorn a:b", environment=ENVIRONMENT
    )
    assert (warm.command, warm.environment) == ("uvicorn a:b", ENVIRONMENT)
    ended = store.move(
        run.id, State.WARMING, State.FAILED, reason="target died", log=("a", "b\udcff")
    )
    assert (ended.reason, ended.log) == ("target died", ("a", "b?"))
    assert (ended.command, ended.environment) == ("uvicorn a:b", ENVIRONMENT)
    assert ended.started_at == run.started_at
    assert ended.finished_at is not None
    assert ended.finished_at >= run.started_at
    assert store.run(run.id) == ended


@pytest.mark.parametrize("state", PATH)
def test_only_allowed_changes_happen(store: Store, path: Path, state: State) -> None:
    run = in_state(store, state)
    epoch = ask(path, "SELECT epoch FROM run")
    for after in set(State) - ALLOWED.get(state, frozenset()):
        with pytest.raises(Conflict, match=run.id):
            store.move(run.id, state, after)
    for before in set(State) - {state}:
        with pytest.raises(Conflict):
            store.move(run.id, before, State.CANCELLED)
    assert store.run(run.id) == run
    assert ask(path, "SELECT epoch FROM run") == epoch == [(len(PATH[state]),)]


def test_of_many_who_move_one_run_one_succeeds(store: Store) -> None:
    (run,) = store.add([draft()])
    ready = threading.Barrier(8)

    def take(_: int) -> bool:
        ready.wait()
        try:
            store.move(run.id, State.QUEUED, State.STARTING)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(take, range(8))) == 1


def test_a_finished_run_keeps_its_causes(store: Store, path: Path) -> None:
    run = finished(store, items(trials=1, stop={"duration_s": 5}), BLOCKED)
    assert [cause.cause for cause in run.causes if cause.found] == ["loop_blocked"]
    assert store.run(run.id).causes == run.causes
    ask(path, "UPDATE run_facts SET causes = NULL")
    assert store.run(run.id).causes == ()


def test_finishing_needs_a_run_that_finalizes(store: Store, path: Path) -> None:
    run = in_state(store, State.RUNNING)
    merged = merged_streams([trial_of(run.spec, ASYNC)])
    with pytest.raises(Conflict):
        store.finish(run.id, merged, Validity("valid"))
    assert rows_of(path)["run_stream"] == 0
    store.move(run.id, State.RUNNING, State.FINALIZING)
    assert store.finish(run.id, merged, Validity(None)).validity == Validity(None)
    with pytest.raises(Conflict):
        store.finish(run.id, merged, Validity("valid"))
    with pytest.raises(Conflict):
        store.save_trial(run.id, trial_of(run.spec, ASYNC))


def test_a_process_killed_while_it_queues_leaves_no_secret_without_its_run(path: Path) -> None:
    secrets = {f"{number:016}": f'"value {number}"' for number in range(3)}
    with closing(open_store(path)) as store:
        store.add([replace(draft(), secrets={"0" * 16: '"value 0"'})])
    queue = partial(opened, path, Store.add, [replace(draft(), secrets=secrets)])
    statement = 1
    while killed_at(statement, queue):
        assert ask(path, "SELECT count(*) FROM run") == [(1,)]
        assert ask(path, "SELECT digest, value FROM secret") == [("0" * 16, '"value 0"')]
        assert sound(path)
        statement += 1
    assert statement > 8
    with closing(open_store(path)) as store:
        newest, first = (run.id for run in store.runs(limit=2).runs)
        assert store.secrets_of(newest) == secrets
        assert {*store.secret_holders([*secrets, "unknown"]).values()} == {newest}
        store.move(newest, State.QUEUED, State.CANCELLED)
        store.delete([newest])
        assert store.secret_holders(secrets) == {"0" * 16: first}
        with pytest.raises(Conflict, match="type its value"):
            store.add([replace(draft(), secrets=dict.fromkeys(secrets))])
    assert ask(path, "SELECT count(*) FROM secret, run WHERE state != 'deleted'") == [(1,)]


@pytest.mark.parametrize("last", ["finish", "save_trial"])
def test_a_process_killed_at_any_statement_leaves_all_or_nothing(path: Path, last: str) -> None:
    """D1: a run is finished with its results, or it is neither."""
    with closing(open_store(path)) as store:
        run = in_state(store, State.FINALIZING, trials=1)
    trial = trial_of(run.spec, FAILING)
    merged = merged_streams([trial])
    work = {
        "finish": partial(opened, path, Store.finish, run.id, merged, Validity("invalid")),
        "save_trial": partial(opened, path, Store.save_trial, run.id, trial),
    }
    statement = 1
    while killed_at(statement, work[last]):
        with closing(open_store(path)) as store:
            found = store.run(run.id)
            assert (found.state, found.validity) == (State.FINALIZING, None)
            assert (found.streams, found.trials) == ((), ())
        assert rows_of(path)["trial_stream"] == rows_of(path)["run_stream"] == 0
        assert sound(path)
        statement += 1
    assert statement > 4
    with closing(open_store(path)) as store:
        found = store.run(run.id)
        whole = (State.FINISHED, tuple(stream.summary for stream in merged), ())
        assert (found.state, found.streams, found.trials) == (
            whole if last == "finish" else (State.FINALIZING, (), (trial.trial,))
        )
    assert sound(path)


def test_what_nobody_works_on_is_interrupted(store: Store) -> None:
    runs = {state: in_state(store, state) for state in PATH}
    done = finished(store, items(trials=1), ASYNC)
    left = {run.id: (state.value, None) for state, run in runs.items() if state not in TERMINAL}
    assert store.interrupt_unfinished("Looplab ended") == left
    for state, run in runs.items():
        now = store.run(run.id)
        if state in TERMINAL:
            assert now == run
        else:
            assert (now.state, now.reason) == (State.INTERRUPTED, "Looplab ended")
            assert now.finished_at is not None
    assert store.run(done.id) == done
    assert store.interrupt_unfinished("again") == {}


def test_people_may_rename_what_is_over(store: Store) -> None:
    run = finished(store, items(trials=1, tags=["old"]), ASYNC)
    edited = store.edit(run.id, title=" new ", tags=["b", "a"], note="one\r\ntwo\tthree")
    assert (edited.title, edited.tags, edited.note) == ("new", ("b", "a"), "one\ntwo\tthree")
    assert store.run(run.id) == edited
    assert (edited.spec, edited.streams, edited.finished_at) == (
        run.spec, run.streams, run.finished_at,
    )  # fmt: skip
    assert store.tags() == ["a", "b"]
    assert store.runs(limit=5, text="three").total == 1
    assert store.runs(limit=5, text="items async").total == 0
    assert store.edit(run.id) == edited
    assert store.edit(run.id, tags=[], note="").tags == ()
    assert store.tags() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": ""},
        {"title": "a\x00b"},
        {"title": "a\ud800"},
        {"title": "x" * 201},
        {"tags": ["ok", " "]},
        {"tags": ["x" * 41]},
        {"tags": ["t"] * 21},
        {"tags": ["a\u202eb"]},
        {"note": "a\x00b"},
        {"note": "x" * 10_001},
    ],
    ids=str,
)
def test_text_that_a_spec_would_refuse_changes_nothing(store: Store, wrong) -> None:
    (run,) = store.add([draft(tags=["kept"])])
    with pytest.raises(InvalidInput) as refused:
        store.edit(run.id, **{"title": "new", "tags": ["new"], "note": "new", **wrong})
    assert refused.value.fields[0].field.partition(".")[0] in wrong
    assert store.run(run.id) == run
    assert store.tags() == ["kept"]


def test_deleting_takes_everything_of_the_run_and_nothing_else(store: Store, path: Path) -> None:
    kept = finished(store, items(trials=2, tags=["a"]), ASYNC)
    rows = rows_of(path)
    gone = finished(store, items(trials=2, tags=["a"]), ASYNC)
    store.delete([gone.id])
    ask(path, "UPDATE deleted_run SET deleted_at = '2020-01-01 00:00:00.000000'")
    store.purge()
    assert rows_of(path) == rows
    assert store.run(kept.id) == kept
    with pytest.raises(NotFound, match=gone.id):
        store.delete([gone.id])
    assert sound(path)


@pytest.mark.parametrize("state", sorted(set(PATH) - TERMINAL))
def test_a_run_that_is_not_over_cannot_be_deleted(store: Store, state: State) -> None:
    run = in_state(store, state)
    with pytest.raises(Conflict, match="cancel it"):
        store.delete([run.id])
    assert store.run(run.id) == run


def test_a_number_that_could_not_be_read_back_is_refused(store: Store, path: Path) -> None:
    run = in_state(store, State.FINALIZING)
    (stream,) = merged_streams([trial_of(run.spec, ASYNC)])
    broken = replace(stream, summary=replace(stream.summary, throughput_per_s=float("nan")))
    with pytest.raises(ValueError, match="throughput_per_s"):
        store.finish(run.id, [broken], Validity("valid"))
    assert store.run(run.id).state is State.FINALIZING
    assert rows_of(path)["run_stream"] == 0


def test_unknown_runs_are_not_found(store: Store) -> None:
    calls = (
        lambda: store.move("0000000000", State.QUEUED, State.STARTING),
        lambda: store.edit("0000000000", title="x"),
        lambda: store.delete(["0000000000"]),
        lambda: store.finish("0000000000", [], Validity(None)),
        lambda: store.save_trial("0000000000", trial_of(items(), ASYNC)),
    )
    for call in calls:
        with pytest.raises(NotFound, match="0000000000"):
            call()


def test_a_draft_needs_no_configuration(store: Store) -> None:
    (run,) = store.add([Draft(items())])
    assert store.runs(limit=1).runs == (run,)


def sequence_streams() -> tuple[Stream, ...]:
    request = RequestClass(path="/{n}", values={"n": SequenceValue("sequence")})
    return (replace(items(trials=1).workload.streams[0], requests=(request,)),)


def test_sequences_go_on_for_each_application(store: Store) -> None:
    streams = sequence_streams()
    first = store.reserve_numbers("shop", streams, 1_000)
    assert first_of(first) == 0
    store.release_numbers(first, 7)
    second = store.reserve_numbers("shop", streams, 1_000)
    assert first_of(second) == 7
    assert first_of(store.reserve_numbers("other", streams, 1_000)) == 0
    third = store.reserve_numbers("shop", streams, 1_000)
    assert first_of(third) == 1_007
    store.release_numbers(second, 0)
    assert first_of(store.reserve_numbers("shop", streams, 1_000)) == 2_007


def test_a_killed_process_leaves_no_number_for_another(path: Path) -> None:
    """Numbers are taken before they are used, so that those of a dead process come never again."""
    streams, statement = sequence_streams(), 1
    told = path.with_name("told")
    use = partial(opened, path, use_numbers, streams, told)
    while killed_at(statement, use):
        statement += 1
    assert statement > 3
    firsts = [int(line) for line in told.read_text().splitlines()]
    assert len(firsts) > 2
    assert all(later >= earlier + 3 for earlier, later in pairwise(firsts))
    assert sound(path)
