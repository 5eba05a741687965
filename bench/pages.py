"""How long the dashboard takes to make its pages: run, comparison, history, experiment.

    .venv/bin/python -m bench.pages [--requests 40]

The pages come from a real dashboard over loopback. Each is asked for in turn, so that no page
profits from the others; the median of each is printed beside the limit that it is held to.
"""

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from control_plane.domain.experiment import ExperimentDesign
from control_plane.domain.run import State
from control_plane.store.store import Draft, Store, open_store
from tests.builders.runs import ASYNC, classic, finished, items, led
from tests.dashboard import Dashboard, dashboard

LIMITS_S = {
    "run": 0.050,
    "compare of 10 runs": 0.050,
    "history of 10,000 runs": 0.050,
    "experiment of 5 arms x 10 blocks": 0.060,
}
RUNS = 10_000
BATCH = 500
ARMS, BLOCKS = 5, 10


def main() -> None:
    """Fill a database, start a dashboard on it, and time its pages."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=40, help="how often each page is made")
    count = parser.parse_args().requests
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder)) as (looplab, paths):
        spent: dict[str, list[float]] = {name: [] for name in paths}
        for _ in range(count):
            for name, path in paths.items():
                spent[name].append(seconds_of(looplab, path))
    print(f"{'page':32} {'median':>8} {'limit':>8} {'ratio':>6}")
    for name, times in spent.items():
        median = statistics.median(times)
        print(f"{name:32} {median:7.4f}s {LIMITS_S[name]:7.3f}s {median / LIMITS_S[name]:6.2f}")


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[tuple[Dashboard, dict[str, str]]]:
    store = open_store(folder / "runs.db")
    ids, experiment = _filled(store), _experiment(store)
    store.close()
    paths = (
        f"/runs/{ids[0]}",
        f"/compare?runs={','.join(ids)}",
        "/history",
        f"/experiments/{experiment}",
    )
    with dashboard(folder) as looplab:
        yield looplab, dict(zip(LIMITS_S, paths, strict=True))


def _filled(store: Store) -> list[str]:
    """Ten finished runs on top of many cancelled ones."""
    for _ in range(RUNS // BATCH):
        for run in store.add([Draft(items())] * BATCH):
            store.move(run.id, State.QUEUED, State.CANCELLED, reason="cancelled while queued")
    shapes = classic()
    return [finished(store, *shapes[number % len(shapes)]).id for number in range(10)]


def _experiment(store: Store) -> str:
    """One that is over: arms by their deadline, each with a trial in every block."""
    specs = [items(title=f"arm {arm}", trials=BLOCKS, timeout_s=10.0 + arm) for arm in range(ARMS)]
    arms = [(spec.title, Draft(spec)) for spec in specs]
    made = store.add_experiment("Which?", ExperimentDesign(blocks=BLOCKS), arms, ARMS)
    store.begin_session(made.id)
    for row in range(BLOCKS):
        store.end_block(made.id, store.begin_block(made.id, row).number, "complete")
    for arm in made.arms:
        led(store, store.run(arm.run_id or ""), ASYNC)
    return made.id


def seconds_of(looplab: Dashboard, path: str) -> float:
    """Return how long the page takes to arrive."""
    begun = time.perf_counter()
    answer = looplab.get(path)
    spent = time.perf_counter() - begun
    assert answer.status_code == 200, answer.text
    return spent


if __name__ == "__main__":
    main()
