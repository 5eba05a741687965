"""Dashboards in process: over a history, over runs of each kind, and one without a run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dashboard import Dashboard
from tests.in_process import in_process
from tests.pages.stored import Filled, Stored, copied
from tests.pages.stored import history_database as history_database
from tests.pages.stored import stored_database as stored_database


@pytest.fixture(scope="module")
def looplab(
    tmp_path_factory: pytest.TempPathFactory, history_database: Path
) -> Iterator[Dashboard]:
    with in_process(copied(history_database, tmp_path_factory.mktemp("history"))) as started:
        yield started


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, stored_database: Filled) -> Iterator[Stored]:
    with in_process(copied(stored_database.database, tmp_path_factory.mktemp("stored"))) as started:
        yield Stored(started, stored_database.runs)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with in_process(tmp_path_factory.mktemp("empty")) as started:
        yield started
