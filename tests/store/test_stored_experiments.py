"""Experiments in the database: all or none, and what stays when an arm is deleted."""

from pathlib import Path

import pytest

from control_plane.domain.errors import NotFound, QueueFull
from control_plane.domain.experiment import ExperimentDesign
from control_plane.domain.run import State
from control_plane.store.store import Draft, Store, open_store
from tests.builders.runs import items
from tests.dashboard import provide_database

ARMS = [("a", Draft(items())), ("b", Draft(items()))]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(provide_database(tmp_path / "runs.db"))


def test_an_experiment_is_read_as_it_was_written(store: Store) -> None:
    design = ExperimentDesign(metric="response_time_s.p50", blocks=6, seed=3)
    made = store.add_experiment("Which?", design, ARMS, max_queue=2)
    assert store.experiment(made.id) == made
    assert store.experiments() == [made]
    assert (made.design, [arm.name for arm in made.arms]) == (design, ["a", "b"])
    runs = store.arm_runs(made)
    assert [run and run.state for run in runs] == [State.QUEUED] * 2
    assert store.experiment_of(made.arms[1].run_id or "") == made


def test_all_arms_are_queued_or_none(store: Store) -> None:
    with pytest.raises(QueueFull):
        store.add_experiment("Which?", ExperimentDesign(), ARMS, max_queue=1)
    assert store.experiments() == []
    assert store.count_queued() == 0


def test_a_deleted_arm_leaves_its_name(store: Store) -> None:
    made = store.add_experiment("Which?", ExperimentDesign(), ARMS, max_queue=9)
    gone = made.arms[0].run_id or ""
    store.move(gone, State.QUEUED, State.CANCELLED)
    store.delete(gone)
    left = store.experiment(made.id)
    assert [(arm.name, arm.run_id is None) for arm in left.arms] == [("a", True), ("b", False)]
    assert store.arm_runs(left)[0] is None


def test_a_run_of_its_own_is_no_arm(store: Store) -> None:
    (run,) = store.add([Draft(items())])
    assert store.experiment_of(run.id) is None
    with pytest.raises(NotFound):
        store.experiment("0000000000")
