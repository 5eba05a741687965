"""Applications as their cases hold them, each in a dashboard of its own."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cases.serving import Served, serving
from tests.dashboard import Dashboard
from tests.in_process import in_process

CASES = Path(__file__).parent


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Dashboard]]:
    """A dashboard with the applications of a case, in a copy of its folder."""
    with ExitStack() as stack:

        def started(name: str) -> Dashboard:
            folder = tmp_path_factory.mktemp(name) / name
            shutil.copytree(CASES / name, folder)
            settings = folder / "looplab.toml"
            text = settings.read_text()
            settings.write_text(text.replace('= "python3 ', f'= "{sys.executable} '))
            return stack.enter_context(in_process(folder, settings))

        yield started


@pytest.fixture(scope="module")
def served(case: Callable[[str], Dashboard]) -> Iterator[Callable[[str], Served]]:
    """As `case`, with the application of its folder, which runs already."""
    with ExitStack() as stack:

        def started(name: str) -> Served:
            looplab = case(name)
            return Served(looplab, stack.enter_context(serving(looplab.db.parent)))

        yield started
