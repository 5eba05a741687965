"""Deleted runs: gone from every list at once, whole again by one step, and gone for good later."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from control_plane.domain.errors import Conflict, NotFound
from control_plane.domain.experiment import ExperimentDesign
from control_plane.domain.run import State
from control_plane.store.bundles import write_bundle
from control_plane.store.pins_and_deletions import KEPT_DAYS
from control_plane.store.store import Draft, Store
from tests.builders.runs import ASYNC, ended, finished, items
from tests.store.places import ask, sound


def test_a_deleted_run_is_nowhere_and_comes_back_whole(store: Store, tmp_path: Path) -> None:
    runs = [finished(store, items(title=f"number-{nr}", tags=["t"]), ASYNC) for nr in range(3)]
    gone = runs[1]
    before = store.run(gone.id), store.detail(gone.id).streams["items"].response.encode()
    moment = store.delete([gone.id])
    for read in (store.run, store.detail, store.gauges, store.secrets_of, store.experiment_of):
        if read == store.experiment_of:
            assert store.experiment_of(gone.id) is None
            continue
        with pytest.raises(NotFound):
            read(gone.id)
    for filters in (
        {},
        {"state": State.FINISHED},
        {"tag": "t"},
        {"text": "number"},
        {"strategy": "async"},
    ):
        found = store.runs(limit=9, **filters)
        assert [run.id for run in found.runs] == [runs[2].id, runs[0].id]
        assert found.total == 2
    assert store.count_by_state() == {State.FINISHED: 2}
    assert [run.id for run in store.standing([gone.id, runs[0].id], gone.id).deleted] == [gone.id]
    assert store.interrupt_unfinished("over") == {}
    with pytest.raises(NotFound):
        write_bundle(store.path, tmp_path / "b.looplab", [gone.id])
    assert write_bundle(store.path, tmp_path / "b.looplab", []).runs == 2
    with pytest.raises(NotFound):
        store.edit(gone.id, title="x")
    assert store.deleted_at(moment) == 1
    assert store.put_back(moment) == 1
    assert store.run(gone.id) == before[0]
    assert store.detail(gone.id).streams["items"].response.encode() == before[1]
    assert [run.id for run in store.runs(limit=9, text="number-1", tag="t").runs] == [gone.id]
    assert store.tombstone(gone.id) is None
    with pytest.raises(NotFound, match="Nothing of it"):
        store.put_back(moment)


def test_many_go_in_one_transaction_or_none(store: Store) -> None:
    runs = [ended(store, items(), State.CANCELLED, "cancelled") for _ in range(3)]
    (waiting,) = store.add([Draft(items())])
    with pytest.raises(Conflict, match="cancel it before"):
        store.delete([runs[0].id, waiting.id])
    with pytest.raises(NotFound):
        store.tag([runs[0].id, "zzzzzzzzzz"], "x", remove=False)
    assert store.runs(limit=9, tag="x").total == 0
    store.tag([run.id for run in runs], "x", remove=False)
    assert store.runs(limit=9, tag="x").total == 3
    store.tag([runs[0].id], "x", remove=True)
    assert store.runs(limit=9, tag="x").total == 2
    store.delete([run.id for run in runs])
    assert [run.id for run in store.runs(limit=9).runs] == [waiting.id]


def test_after_a_week_it_is_gone_for_good(store: Store, path: Path) -> None:
    gone = finished(store, items(), ASYNC)
    store.delete([gone.id])
    store.purge()
    assert store.tombstone(gone.id) is not None
    long_ago = datetime.now(UTC) - timedelta(days=KEPT_DAYS, minutes=1)
    ask(path, f"UPDATE deleted_run SET deleted_at = '{long_ago:%Y-%m-%d %H:%M:%S.%f}'")
    store.purge()
    assert ask(path, "SELECT (SELECT count(*) FROM run), (SELECT count(*) FROM trial)") == [(0, 0)]
    left = store.tombstone(gone.id)
    assert left is not None
    assert not left.whole
    with pytest.raises(NotFound):
        store.put_back_run(gone.id)
    assert sound(path)


def test_an_arm_that_was_deleted_comes_back_into_its_experiment(store: Store) -> None:
    arms = [("a", Draft(items())), ("b", Draft(items()))]
    made = store.add_experiment("Which?", ExperimentDesign(), arms, max_queue=9)
    gone = made.arms[0].run_id or ""
    store.move(gone, State.QUEUED, State.CANCELLED)
    store.delete([gone])
    assert store.experiment(made.id).arms[0].run_id is None
    store.put_back_run(gone)
    assert store.experiment(made.id) == made
