"""Experiments in the database: all or none, and what stays when an arm is deleted."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from control_plane.domain.errors import Conflict, NotFound, QueueFull
from control_plane.domain.experiment import BlockVariance, ExperimentDesign, Findings, MetricNoise
from control_plane.domain.run import State
from control_plane.store.run_query import RunOrder
from control_plane.store.store import Draft, Store, open_store
from tests.builders.runs import ASYNC, items, trial_of
from tests.dashboard import provide_database

ARMS = [("a", Draft(items())), ("b", Draft(items()))]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(provide_database(tmp_path / "runs.db"))


def test_an_experiment_is_read_as_it_was_written(store: Store) -> None:
    design = ExperimentDesign(metric="response_time_s.p50", blocks=6, seed=3)
    made = store.add_experiment("Which?", design, ARMS, max_queue=2)
    assert store.experiment(made.id) == made
    assert store.experiments() == ([(made, [State.QUEUED] * 2)], None)
    assert (made.design, [arm.name for arm in made.arms]) == (design, ["a", "b"])
    runs = store.arm_runs(made)
    assert [run and run.state for run in runs] == [State.QUEUED] * 2
    assert store.experiment_of(made.arms[1].run_id or "") == made


def test_all_arms_are_queued_or_none(store: Store) -> None:
    with pytest.raises(QueueFull):
        store.add_experiment("Which?", ExperimentDesign(), ARMS, max_queue=1)
    assert store.experiments() == ([], None)
    assert store.count_queued() == 0


def test_a_deleted_arm_leaves_its_name(store: Store) -> None:
    made = store.add_experiment("Which?", ExperimentDesign(), ARMS, max_queue=9)
    gone = made.arms[0].run_id or ""
    store.move(gone, State.QUEUED, State.CANCELLED)
    store.delete([gone])
    left = store.experiment(made.id)
    assert [(arm.name, arm.run_id is None) for arm in left.arms] == [("a", True), ("b", False)]
    assert store.arm_runs(left)[0] is None


def test_a_run_of_its_own_is_no_arm(store: Store) -> None:
    (run,) = store.add([Draft(items())])
    assert store.experiment_of(run.id) is None
    with pytest.raises(NotFound):
        store.experiment("0000000000")


WAY = [State.QUEUED, State.STARTING, State.WARMING, State.RUNNING, State.FINALIZING]


@pytest.mark.parametrize("state", WAY)
def test_what_is_cut_in_any_state_is_paused_and_goes_on_behind_those_that_wait(
    store: Store, state: State
) -> None:
    made = store.add_experiment("Which?", ExperimentDesign(), ARMS, max_queue=9)
    ids = [arm.run_id or "" for arm in made.arms]
    for run_id in ids:
        for before, after in pairwise(WAY[: WAY.index(state) + 1]):
            store.move(run_id, before, after)
    (later,) = store.add([Draft(items())])
    store.move(later.id, State.QUEUED, State.CANCELLED)
    assert store.interrupt_unfinished("killed") == dict.fromkeys(ids, (state.value, made.id))
    assert [(store.run(each).state, store.run(each).reason) for each in ids] == [
        (State.PAUSED, "killed"),
        (State.PAUSED, "killed"),
    ]
    assert store.next_queued() is None
    (waiting,) = store.add([Draft(items())])
    store.resume_experiment(made.id)
    (last,) = store.add([Draft(items())])
    assert [store.position(each) for each in (waiting.id, *ids, last.id)] == [1, 2, 3, 4]
    store.move(waiting.id, State.QUEUED, State.CANCELLED)
    assert store.next_queued() == ids[0]
    with pytest.raises(Conflict, match="not paused"):
        store.resume_experiment(made.id)


def test_nothing_is_resumed_while_an_arm_is_on_its_way_to_the_pause(store: Store) -> None:
    made = store.add_experiment("Which?", ExperimentDesign(), ARMS, max_queue=9)
    ids = [arm.run_id or "" for arm in made.arms]
    for run_id in ids:
        store.move(run_id, State.QUEUED, State.STARTING)
    store.move(ids[0], State.STARTING, State.PAUSED)
    with pytest.raises(Conflict, match="still goes on"):
        store.resume_experiment(made.id)
    store.move(ids[1], State.STARTING, State.PAUSED)
    store.resume_experiment(made.id)
    assert [store.run(each).state for each in ids] == [State.QUEUED, State.QUEUED]


def test_a_block_in_progress_is_discarded_and_counted_and_its_row_is_left(store: Store) -> None:
    made = store.add_experiment("Which?", ExperimentDesign(), ARMS, max_queue=9)
    first, second = (arm.run_id or "" for arm in made.arms)
    assert store.begin_session(made.id).sessions == 1
    for run_id in (first, second):
        store.move(run_id, State.QUEUED, State.STARTING)
    _, cut = (store.begin_block(made.id, row) for row in (0, 1))
    for run_id, number in ((first, 0), (second, 0), (first, 1)):
        store.save_trial(run_id, trial_of(items(), ASYNC, number))
    store.discard_begun()
    assert [block.outcome for block in store.experiment(made.id).blocks] == ["begun", "begun"]
    store.interrupt_unfinished("killed")
    store.discard_begun()
    left = store.experiment(made.id)
    assert [(block.number, block.row, block.outcome) for block in left.blocks] == [
        (0, 0, "complete"),
        (cut.number, 1, "discarded"),
    ]
    assert [[trial.block for trial in run.trials] for run in store.arm_runs(left) if run] == [
        [0],
        [0],
    ]
    (kept,) = store.trial_results(first)
    assert kept.streams[0].response.total == kept.trial.streams[0].completed
    store.resume_experiment(made.id)
    assert store.begin_session(made.id).sessions == 2
    again = store.begin_block(made.id, 1)
    assert (again.number, again.session) == (2, 2)
    for number, drawn in ((2, 1), (0, 0)):
        store.end_block(made.id, number, "spoiled")
        histograms = store.block_histograms(store.experiment(made.id), "")
        assert [len(of_arm) for of_arm in histograms] == [drawn, drawn]


def test_a_key_makes_one_experiment_and_pages_lead_to_all(store: Store) -> None:
    design = ExperimentDesign()
    made = [
        store.add_experiment("Which?", design, ARMS, 99, (key, "digest")) for key in ("a", "b", "a")
    ]
    assert made[2] == made[0] != made[1]
    with pytest.raises(Conflict, match="key was used"):
        store.add_experiment("Which?", design, ARMS, 99, ("a", "other"))
    varied = BlockVariance("m", "raw, closed, 2 s", "throughput_per_s", 1e-4, 9.0)
    noise = {varied.metric: MetricNoise(0.01, (1e-4, 9.0))}
    found = Findings("b is better.", [varied], noise, {"b": "better"})
    store.keep_findings(made[0].id, found)
    assert store.block_variances("m", varied.kind, before=made[1].id) == [varied]
    assert store.block_variances(before=made[0].id) == store.block_variances("other") == []
    (newest,), after = store.experiments(1)
    (oldest,), end = store.experiments(1, after)
    assert (newest[0].id, oldest[0].id, end) == (made[1].id, made[0].id, None)
    assert (oldest[0].sentence, oldest[0].noise) == ("b is better.", found.noise)


def test_an_arm_is_found_by_the_verdict_on_it(store: Store) -> None:
    arms = [(name, Draft(items(title=name, tags=["a"]))) for name in ("base", "quick", "same")]
    made = store.add_experiment("Which?", ExperimentDesign(), arms, max_queue=9)
    for arm in made.arms:
        store.move(arm.run_id or "", State.QUEUED, State.CANCELLED)
    store.keep_findings(made.id, Findings("", (), {}, {"quick": "better", "same": "equivalent"}))

    def found(**asked: Any) -> list[str]:
        return [run.title for run in store.runs(limit=9, **asked).runs]

    assert found(verdict="better") == ["quick"]
    assert found(verdict="equivalent", tag="a", text="same") == ["same"]
    assert found(verdict="better", state=State.CANCELLED, tag="a") == ["quick"]
    assert found(verdict="better", text="same") == found(verdict="worse") == []
    assert found(verdict="better", order=RunOrder("p50")) == ["quick"]
    store.delete([made.arms[1].run_id or ""])
    assert found(verdict="better") == []


def test_the_newest_of_each_slug_is_found_that_did_not_end_without_a_result(store: Store) -> None:
    made = {
        (slug, at): store.add_experiment("?", ExperimentDesign(slug=slug), ARMS, max_queue=99)
        for at in range(3)
        for slug in ("classic", "pools", "workers", "")
    }
    for at in (1, 2):
        for arm in made["pools", at].arms:
            store.move(arm.run_id or "", State.QUEUED, State.CANCELLED)
    first, _ = made["workers", 2].arms
    store.move(first.run_id or "", State.QUEUED, State.CANCELLED)
    newest = {"classic": 2, "pools": 0, "workers": 2}
    assert store.latest_experiments() == {
        slug: store.experiment(made[slug, at].id) for slug, at in newest.items()
    }
