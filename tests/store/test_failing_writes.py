"""Writes that fail one by one, and a kill right after: what was acknowledged is kept."""

import errno
from collections.abc import Container
from contextlib import closing, suppress
from itertools import count, pairwise
from pathlib import Path

import pytest

from control_plane.analysis.validity.judged_run import judge
from control_plane.domain.errors import StoreError
from control_plane.domain.run import State
from control_plane.store import write_ahead_log
from control_plane.store.store import Store, open_store
from tests.builders.runs import classic, merged_streams, trial_of
from tests.builders.states import draft
from tests.dashboard import provide_database, whole
from tests.faults.faulty_disk import faulty_disk
from tests.store.test_write_ahead_log import killed

WAY = (State.QUEUED, State.STARTING, State.WARMING, State.RUNNING, State.FINALIZING)
ORDER = (*WAY, State.FINISHED)
SPEC, SHAPE = classic()[2]
TRIAL = trial_of(SPEC, SHAPE)
MERGED = merged_streams([TRIAL])
VALIDITY = judge([TRIAL.trial], [stream.summary for stream in MERGED], SPEC)
MOST_TRIES = 6
STRIDE = 15


def lead(store: Store, acknowledged: dict[str, State]) -> None:
    """Lead a run from `queued` to `finished`, and take down each state that is acknowledged."""
    (run,) = store.add([draft()])
    acknowledged[run.id] = run.state
    for before, after in pairwise(WAY):
        acknowledged[run.id] = store.move(run.id, before, after).state
    store.save_trial(run.id, TRIAL)
    acknowledged[run.id] = store.finish(run.id, MERGED, VALIDITY).state


def lead_some(store: Store) -> dict[str, State]:
    """Lead runs until one has finished; what was acknowledged of each."""
    acknowledged: dict[str, State] = {}
    for _ in range(MOST_TRIES):
        with suppress(StoreError):
            lead(store, acknowledged)
            break
    return acknowledged


def states(store: Store) -> dict[str, State]:
    return {run.id: run.state for run in store.runs(limit=200).runs}


def kept_though_writes_fail(folder: Path, writes: Container[int], *, renewed: bool = False) -> int:
    """Lead runs while these writes fail, then kill; how many of them failed.

    `renewed`: the log is moved into the database after each change.
    """
    error = errno.EIO if renewed else errno.ENOSPC
    path = provide_database(folder / "runs.db")
    with pytest.MonkeyPatch.context() as patch, faulty_disk() as disk:
        if renewed:
            patch.setattr(write_ahead_log, "MOST_BYTES", 0)
        with closing(open_store(path)) as store:
            disk.fail(writes, error)
            acknowledged = lead_some(store)
            there, left = states(store), killed(store, folder / "left")
            refused = disk.refused
            disk.mend()
            assert State.FINISHED in lead_some(store).values(), "it does not go on"
    with closing(open_store(left)) as again:
        assert states(again) == there, "a kill changed what was there"
    for run_id, state in acknowledged.items():
        assert ORDER.index(there[run_id]) >= ORDER.index(state), "what was acknowledged is lost"
    assert whole(left)
    assert whole(path)
    return refused


def test_what_was_acknowledged_is_kept_whichever_write_fails(tmp_path: Path) -> None:
    """The write that fails first moves on; after it none fails, the one after next, or many."""
    for first in count(1, STRIDE):
        folder = tmp_path / str(first)
        folder.mkdir()
        writes = range(first, 10_000, 3) if first % 2 else range(first, first + 1)
        if not kept_though_writes_fail(folder, writes, renewed=first % 4 > 1):
            break
    assert first > 5 * STRIDE, "hardly anything is written"
