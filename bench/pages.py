"""How long the dashboard takes to make its pages: run, comparison, history, experiment.

    .venv/bin/python -m bench.pages [--requests 40]

The pages come from a real dashboard over loopback. Each is asked for in turn, so that no page
profits from the others; the median of each is printed beside the limit that it is held to. The
processor time of the dashboard beside it tells more while other programs work.
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
from tests.dashboard import Dashboard, DashboardProcess, dashboard

LIMITS_S = {
    "run": 0.040,
    "run of 600 s": 0.040,
    "compare of 10 runs": 0.050,
    "compare of 12 runs of 600 s": 0.080,
    "history of 10,000 runs": 0.050,
    "experiment of 5 arms x 10 blocks": 0.060,
}
RUNS = 10_000
BATCH = 500
LONG_S, LONG_RUNS = 600, 12
ARMS, BLOCKS = 5, 10


def main() -> None:
    """Fill a database, start a dashboard on it, and time its pages."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=40, help="how often each page is made")
    count = parser.parse_args().requests
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder)) as (looplab, paths):
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in paths}
        for _ in range(count):
            for name, path in paths.items():
                begun_s = processor_s(looplab)
                took_s = seconds_of(looplab, path)
                spent[name].append((took_s, processor_s(looplab) - begun_s))
    print(f"{'page':32} {'median':>8} {'limit':>8} {'ratio':>6} {'processor':>10}")
    for name, times in spent.items():
        median, used = (statistics.median(column) for column in zip(*times, strict=True))
        limit = LIMITS_S[name]
        print(f"{name:32} {median:7.4f}s {limit:7.3f}s {median / limit:6.2f} {used:9.4f}s")


@contextlib.contextmanager
def _served(folder: Path) -> Iterator[tuple[DashboardProcess, dict[str, str]]]:
    store = open_store(folder / "runs.db")
    ids, long, experiment = _filled(store), _long(store), _experiment(store)
    store.close()
    paths = (
        f"/runs/{ids[0]}",
        f"/runs/{long[0]}",
        f"/compare?runs={','.join(ids)}",
        f"/compare?runs={','.join(long)}",
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


def _long(store: Store) -> list[str]:
    """As many runs as a comparison takes, each of one long trial."""
    shapes = classic(stop={"duration_s": LONG_S}, trials=1)
    return [finished(store, *shapes[number % len(shapes)]).id for number in range(LONG_RUNS)]


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


def processor_s(looplab: DashboardProcess) -> float:
    """Return the processor time that all threads of a dashboard have used so far."""
    # The clock of another process, as clock_getcpuclockid(3) makes it of the pid.
    return time.clock_gettime((~looplab.process.pid << 3) | 2)


if __name__ == "__main__":
    main()
