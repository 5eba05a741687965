"""How a run ends, over a real database."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from control_plane.domain.errors import DatabaseFull, StoreError, TargetFailed
from control_plane.domain.run import State
from control_plane.jobs.progress_and_expected_time import LiveRun, Phases
from control_plane.jobs.run_end import CANCELLED, STOPPED, Termination, withdraw
from control_plane.store.store import Draft, Store, open_store
from tests.builders.runs import items
from tests.dashboard import provide_database


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(provide_database(tmp_path / "runs.db"))
    yield made
    made.close()


@pytest.fixture
def termination(store: Store) -> Termination:
    """Of a run in the second of its three trials."""
    spec = items()
    (run,) = store.add([Draft(spec, "uvicorn")])
    started = store.move(run.id, State.QUEUED, State.STARTING)
    live_run = LiveRun(run.id, spec.workload.streams, 3, Phases(1, 1, 1), time.monotonic)
    live_run.begin_trial(2)
    return Termination(started, store, live_run)


def ended(store: Store) -> tuple[State, str | None]:
    (run,) = store.runs(limit=1).runs
    return run.state, run.reason


FULL = "disk full in trial 2 of 3: make space where the database lies, then run it again"


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ([TargetFailed("target died, signal 9", ("the last line",))], "target died, signal 9"),
        ([DatabaseFull("no space")], FULL),
        ([StoreError("gone")], "the database cannot be used in trial 2 of 3"),
        ([ZeroDivisionError("a mistake")], "internal error: ZeroDivisionError"),
        ([KeyError("x"), StoreError("gone"), TargetFailed("target died")], "target died"),
        ([ExceptionGroup("inner", [KeyError("x")]), StoreError("gone")],
         "the database cannot be used in trial 2 of 3"),
    ],
)  # fmt: skip
async def test_what_went_wrong_is_the_reason(
    termination: Termination, store: Store, faults: list[Exception], reason: str
) -> None:
    termination.fail(ExceptionGroup("of the job", faults))
    await termination.write()
    assert ended(store) == (State.FAILED, reason)
    assert termination.over


async def test_the_last_lines_of_the_target_are_kept(
    termination: Termination, store: Store
) -> None:
    termination.fail(ExceptionGroup("of the job", [TargetFailed("died", ("a", "b"))]))
    await termination.write()
    (run,) = store.runs(limit=1).runs
    assert store.run(run.id).log == ("a", "b")


async def test_the_first_end_stands(termination: Termination, store: Store) -> None:
    assert termination.request(CANCELLED)
    assert not termination.request(STOPPED)
    termination.fail(ExceptionGroup("of the job", [KeyError("x")]))
    await asyncio.gather(termination.write(), termination.write())
    assert ended(store) == (State.CANCELLED, "cancelled in trial 2 of 3")


async def test_without_a_decision_nothing_is_written(
    termination: Termination, store: Store
) -> None:
    await termination.write()
    await termination.settle(None)
    assert ended(store) == (State.STARTING, None)


async def test_what_a_job_broke_on_is_its_end(termination: Termination, store: Store) -> None:
    await termination.settle(ExceptionGroup("of the task", [OSError("x")]))
    assert ended(store) == (State.FAILED, "internal error: OSError")


async def test_a_run_that_another_ended_is_let_be(termination: Termination, store: Store) -> None:
    (run,) = store.runs(limit=1).runs
    store.move(run.id, State.STARTING, State.INTERRUPTED, reason="by another")
    termination.request(CANCELLED)
    async with asyncio.timeout(5):
        await termination.settle(StoreError("gone"))
    assert ended(store) == (State.INTERRUPTED, "by another")


def test_only_a_run_that_waits_is_withdrawn(store: Store) -> None:
    waiting, taken = store.add([Draft(items(), "uvicorn"), Draft(items(), "uvicorn")])
    store.move(taken.id, State.QUEUED, State.STARTING)
    assert withdraw(store, waiting)
    assert not withdraw(store, taken)
    assert store.run(waiting.id).reason == "cancelled while queued"
    assert store.run(taken.id).state is State.STARTING


async def test_a_cancel_of_what_was_withdrawn_meanwhile_is_no_error(store: Store) -> None:
    (run,) = store.add([Draft(items(), "uvicorn")])
    live_run = LiveRun(run.id, run.spec.workload.streams, 1, Phases(1, 1, 1), time.monotonic)
    termination = Termination(run, store, live_run)
    assert withdraw(store, run)
    termination.request(CANCELLED)
    await termination.write()
    assert termination.over
    assert ended(store) == (State.CANCELLED, "cancelled while queued")
