"""Pinned baselines: one name for an application and workload, first for what is like it, kept."""

from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from control_plane.domain.errors import Conflict, InvalidInput, NotFound
from control_plane.domain.run import State
from control_plane.store.store import Store
from tests.builders.runs import ASYNC, BLOCKING, FAILING, decided, finished, items, two_streams
from tests.builders.states import in_state


def test_a_pinned_run_is_kept_for_what_is_like_it(store: Store, path: Path) -> None:
    first, second = (finished(store, items(title=str(n), trials=1), ASYNC) for n in range(2))
    pin = store.pin(first.id, " release 2.3 ")
    assert (pin.name, pin.subject_id, pin.experiment_id) == ("release 2.3", first.id, None)
    assert (pin.application, pin.workload) == ("bundled", "GET /items/{item_id}")
    assert pin.measured_at == first.finished_at
    assert store.pins(second.spec) == store.pins() == [pin]
    assert store.pins(two_streams()) == []
    assert store.pinned([second.id, first.id]) == {first.id: "release 2.3"}
    with pytest.raises(Conflict, match=r"pinned as 'release 2\.3': unpin it"):
        store.delete([second.id, first.id])
    assert store.runs(limit=9).total == 2
    with pytest.raises(InvalidInput, match=r"'release 2\.3' is pinned already.*unpin it") as taken:
        store.pin(second.id, "release 2.3")
    assert [error.field for error in taken.value.fields] == ["name"]
    store.pin(first.id, "old")
    store.pin(second.id, "release 2.3")
    assert [each.name for each in store.pins()] == ["release 2.3", "old"]
    begun: list[Connection] = []
    note = begun.append
    event.listen(Engine, "begin", note)
    try:
        assert store.unpin(first.id).name == "old"
    finally:
        event.remove(Engine, "begin", note)
    # In one transaction no other pin can get the name of the one that goes.
    ours = [each for each in begun if path.parent.name in str(each.engine.url)]
    assert len(ours) == 1
    assert [each.name for each in store.pins()] == ["release 2.3"]
    store.delete([first.id])
    assert [entry.action for entry in store.audit(5)][:2] == ["deleted", "unpinned"]
    with pytest.raises(NotFound):
        store.unpin(first.id)


def test_an_experiment_is_pinned_with_its_arms(store: Store) -> None:
    made = decided(store, "classic", [ASYNC, BLOCKING, BLOCKING])
    arms = [arm.run_id or "" for arm in made.arms]
    pin = store.pin(made.id, "release 2.3")
    assert (pin.subject_id, pin.run_id) == (made.id, arms[0])
    assert store.pinned(arms) == dict.fromkeys(arms, "release 2.3")
    with pytest.raises(Conflict, match="pinned"):
        store.delete(arms[1:2])
    store.unpin(made.id)
    store.delete(arms)
    assert store.experiments() == ([], None)
    with pytest.raises(Conflict, match="was deleted"):
        store.pin(made.id, "release 2.3")


def test_what_has_no_valid_result_is_no_baseline(store: Store) -> None:
    failed = in_state(store, State.FAILED)
    invalid = finished(store, items(trials=1), FAILING)
    for run in (failed, invalid):
        with pytest.raises(Conflict, match=f"{run.id} is (failed|invalid)"):
            store.pin(run.id, "release 2.3")
    for name in ("", " ", "x" * 61, "a\x00"):
        with pytest.raises(InvalidInput):
            store.pin(failed.id, name)
    with pytest.raises(NotFound):
        store.pin("0000000000", "x")
    assert store.pins() == []
