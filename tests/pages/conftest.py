"""A dashboard with runs of every kind in its history, and one that has none yet."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from control_plane.domain.limits import Limits
from control_plane.domain.run import State
from control_plane.domain.spec_json import read_spec
from control_plane.experiments.presets import preset_catalogue
from control_plane.store.store import Store, open_store
from tests import builders
from tests.dashboard import Dashboard, dashboard
from tests.pages.stored import stored as stored


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("pages")
    fill(folder / "runs.db")
    with dashboard(folder) as started:
        yield started


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("empty")) as started:
        yield started


def fill(db: Path) -> None:
    """The classic question answered, failing runs, and runs that ended early."""
    store = open_store(db)
    shapes = (builders.BLOCKING, builders.THREADED, builders.ASYNC)
    for arm, shape in zip(preset_catalogue().question("classic").arms, shapes, strict=True):
        builders.finished(store, read_spec(arm.document, Limits()), shape)
    builders.finished(store, builders.items(title="too many errors"), builders.FAILING)
    ended(store)
    store.close()


def ended(store: Store) -> None:
    for state, reason in (
        (State.FAILED, "failed (start): exit code 3"),
        (State.CANCELLED, "cancelled in trial 2 of 3"),
        (State.INTERRUPTED, "Looplab ended while this run was not over"),
    ):
        spec = builders.items(title=f"items, {state.value}", tags=["early"])
        builders.ended(store, spec, state, reason)
