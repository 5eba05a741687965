"""Runs in chosen states, and results in a form that can be compared."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

from control_plane.domain.histogram import Histogram
from control_plane.domain.run import Run, State, StreamResult
from control_plane.store.mapping import Draft
from control_plane.store.store import Store
from tests.builders.runs import items

PATH = {
    State.QUEUED: (),
    State.STARTING: (State.STARTING,),
    State.WARMING: (State.STARTING, State.WARMING),
    State.RUNNING: (State.STARTING, State.WARMING, State.RUNNING),
    State.FINALIZING: (State.STARTING, State.WARMING, State.RUNNING, State.FINALIZING),
    State.FAILED: (State.STARTING, State.FAILED),
    State.CANCELLED: (State.CANCELLED,),
    State.INTERRUPTED: (State.INTERRUPTED,),
}


def draft(configuration: str = "uvicorn", **changes: Any) -> Draft:
    return Draft(items(**changes), configuration)


def in_state(store: Store, state: State, **changes: Any) -> Run:
    """A run that was led to `state`; finished ones come from `tests.builders.runs`."""
    (run,) = store.add([draft(**changes)])
    for after in PATH[state]:
        run = store.move(run.id, run.state, after)
    return run


def plain(value: Any) -> Any:
    """Histograms as lists, so that results can be compared."""
    if isinstance(value, Histogram):
        exact = (value.minimum_ns, value.maximum_ns, value.sum_ns)
        return (value.indices.tolist(), value.counts.tolist(), exact)
    if isinstance(value, StreamResult):
        return (value.summary, plain(value.service), plain(value.response), value.timeline)
    return value


_ROOT = Path(__file__).parents[2]
_HOLDER = """
import sys
from pathlib import Path
from control_plane.domain.run import State
from control_plane.store.store import open_store
from tests.builders.states import in_state
store = open_store(Path(sys.argv[1]))
print(in_state(store, State.CANCELLED).id, flush=True)
sys.stdin.read()
store.close()
"""


@contextmanager
def held_elsewhere(path: Path) -> Iterator[str]:
    """Have another process keep the database open; give the id of its one run."""
    command = [sys.executable, "-c", _HOLDER, str(path)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True, cwd=_ROOT) as holder:
        assert holder.stdout is not None
        yield holder.stdout.readline().strip()
