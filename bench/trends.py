"""How well steps of trends are found, by simulation with fixed seeds, and how long a trend takes.

    .venv/bin/python -m bench.trends [--series 200] [--requests 15] [--no-otava]

Series of 60 points have one step of twice the noise, or none. They go through the function that the
product finds steps with, and through Apache Otava in an environment of its own where pip can
install it. The page of 1,000 runs is asked for in this process. The exit code is 1 where a figure
is missed.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import log
from pathlib import Path

import numpy as np

from bench.deciding import Table
from bench.other_tools import CACHE
from bench.pages import seconds_of
from control_plane.analysis.trend_steps import FoundStep, find_steps
from control_plane.store.store import open_store
from tests.builders.trends import interleaved, repeated
from tests.dashboard import Dashboard
from tests.in_process import in_process

POINTS, STEP, SEED = 60, 2.0, 20261130
FIRST, LAST = 10, 50
"""Where a step may stand: the points before which it is drawn, uniformly."""
WITHIN = 2
RUNS, LIMIT_S = 1_000, 0.060
OTAVA = CACHE / "otava" / "bin" / "python"
ASK_OTAVA = """
import json, sys
import numpy as np
from otava.analysis import compute_change_points
found = []
for series in json.load(sys.stdin):
    points, _ = compute_change_points(
        np.array(series), window_len=2 * len(series), max_pvalue=0.001, min_magnitude=0.0
    )
    found.append([int(point.index) for point in points])
json.dump(found, sys.stdout)
"""


@dataclass(frozen=True)
class Series:
    """Points around 100; `at` is the first one behind the step, None where there is none."""

    points: tuple[float, ...]
    at: int | None

    @property
    def steps(self) -> tuple[FoundStep, ...]:
        return find_steps(tuple(log(point) for point in self.points))


def drawn(count: int, *, step: bool) -> list[Series]:
    """Draw so many series, each with a noise of its own between 0.5 and 3 %."""
    chance = np.random.default_rng([SEED, step])
    found = []
    for _ in range(count):
        noise = 100 * chance.uniform(0.005, 0.03)
        points = 100 + noise * chance.standard_normal(POINTS)
        at = int(chance.integers(FIRST, LAST + 1)) if step else None
        points[at if at is not None else POINTS :] += STEP * noise * chance.choice((-1, 1))
        found.append(Series(tuple(points.tolist()), at))
    return found


def near(at: int | None, places: Sequence[int]) -> bool:
    return at is not None and any(abs(place - at) <= WITHIN for place in places)


def simulated(with_step: Sequence[Series], without: Sequence[Series]) -> int:
    """Print what is found; the number of figures that are missed."""
    table = Table(f"{len(with_step)} series of {POINTS} points each", "what | share")
    found = [[step.at for step in series.steps] for series in with_step]
    hits = [near(each.at, places) for each, places in zip(with_step, found, strict=True)]
    share = statistics.mean(hits)
    table.row(f"step found within ± {WITHIN} points", f"{share:.1%}", wanted="≥ 90 %",
              reached=share >= 0.9)  # fmt: skip
    false = statistics.mean(bool(series.steps) for series in without)
    table.row("false alarm without a step", f"{false:.1%}", wanted="≤ 5 %", reached=false <= 0.05)
    more = statistics.mean(len(places) > 1 for places in found)
    table.row("more than one step found of one", f"{more:.1%}")
    ranges = [
        any(step.first <= (each.at or 0) <= step.last for step in each.steps) for each in with_step
    ]
    table.row("range of a step holds the true place", f"{statistics.mean(ranges):.1%}")
    lengths = [step.last - step.first + 1 for each in with_step for step in each.steps]
    table.row("places in a range, median", f"{statistics.median(lengths):g}")
    return table.missed


def beside_otava(with_step: Sequence[Series], without: Sequence[Series]) -> None:
    """Print how often Otava finds the same; a line where it cannot be installed.

    It looks at each series whole: 0.8.0 fails where two of its windows find the same split.
    """
    if not _otava_is_there():
        print("\nApache Otava cannot be installed here: not compared.")
        return
    series = [*with_step, *without]
    asked = json.dumps([each.points for each in series])
    told = subprocess.run(
        [str(OTAVA), "-c", ASK_OTAVA], input=asked, capture_output=True, text=True, check=True
    )
    theirs: list[list[int]] = json.loads(told.stdout)
    table = Table("Beside Apache Otava", "what | Looplab | Otava")
    pairs = [
        (each, [step.at for step in each.steps], other)
        for each, other in zip(series, theirs, strict=True)
    ]
    stepped = [pair for pair in pairs if pair[0].at is not None]
    hits = [statistics.mean(near(pair[0].at, pair[side]) for pair in stepped) for side in (1, 2)]
    table.row(f"step found within ± {WITHIN} points", *(f"{share:.1%}" for share in hits))
    level = [pair for pair in pairs if pair[0].at is None]
    false = [statistics.mean(bool(pair[side]) for pair in level) for side in (1, 2)]
    table.row("false alarm without a step", *(f"{share:.1%}" for share in false))
    same = statistics.mean(_same(own, other) for _, own, other in pairs)
    table.row(f"same steps within ± {WITHIN} points", f"{same:.1%}", "")
    exact = statistics.mean(own == other for _, own, other in pairs)
    table.row("same steps at the same points", f"{exact:.1%}", "")


def _same(ours: Sequence[int], theirs: Sequence[int]) -> bool:
    return len(ours) == len(theirs) and all(
        abs(own - other) <= WITHIN for own, other in zip(ours, theirs, strict=True)
    )


def _otava_is_there() -> bool:
    if not OTAVA.exists():
        folder = OTAVA.parents[1]
        pip = [str(OTAVA), "-m", "pip", "install", "--quiet", "apache-otava"]
        made = subprocess.run([sys.executable, "-m", "venv", str(folder)], check=False)
        if made.returncode or subprocess.run(pip, check=False).returncode:
            return False
    look = [str(OTAVA), "-c", "import otava.analysis"]
    return not subprocess.run(look, capture_output=True, check=False).returncode


def timed(requests: int) -> int:
    """Print how long page and document of 1,000 runs take; how many figures are missed."""
    table = Table(f"A trend of {RUNS:,} runs, in process", "what | first | median | processor")
    for name, fill in {"raw": _filled, "ratios": partial(interleaved, experiments=RUNS)}.items():
        with tempfile.TemporaryDirectory() as folder:
            spec = fill(Path(folder) / "runs.db")
            with in_process(Path(folder)) as looplab:
                _time(table, looplab, spec, name, requests)
    return table.missed


def _time(table: Table, looplab: Dashboard, spec: str, name: str, requests: int) -> None:
    for what, path in (("page", "/trends"), ("document", "/api/trends")):
        spent, used = [], []
        for _ in range(requests + 1):
            before_s = time.process_time()
            spent.append(seconds_of(looplab, f"{path}/{spec}"))
            used.append(time.process_time() - before_s)
        median = statistics.median(spent[1:])
        times = (spent[0], median, statistics.median(used[1:]))
        took = (f"{1e3 * seconds:.1f} ms" for seconds in times)
        wanted = f"≤ {1e3 * LIMIT_S:.0f} ms"
        table.row(f"{what}, {name}", *took, wanted=wanted, reached=median <= LIMIT_S)


def _filled(path: Path) -> str:
    """Make a database with so many runs of one spec, of which some changed kernel or commit."""
    chance = np.random.default_rng(SEED)
    noise = np.exp(0.02 * chance.standard_normal(RUNS))
    p50s_s = [0.0068 * factor * 1.1 ** (number // 300) for number, factor in enumerate(noise)]
    facts = [
        {
            "commit": f"{number // 10:07x}",
            "kernel": f"6.1.{number // 200}",
            "load_before": round(float(chance.uniform(0, 1)), 2),
            "target_packages": {f"package_{each}": "1.0" for each in range(40)},
        }
        for number in range(RUNS)
    ]
    ids = repeated(path, p50s_s, facts)
    store = open_store(path)
    try:
        return store.trend_spec(ids[0])
    finally:
        store.close()


def main() -> int:
    """Simulate, compare and time; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--series", type=int, default=200, help="how many of each kind")
    parser.add_argument("--requests", type=int, default=15, help="how often each page is made")
    parser.add_argument("--no-otava", action="store_true", help="leave the comparison out")
    given = parser.parse_args()
    series = drawn(given.series, step=True), drawn(given.series, step=False)
    missed = simulated(*series)
    if not given.no_otava:
        beside_otava(*series)
    missed += timed(given.requests)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
