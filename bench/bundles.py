"""How long 1,000 runs take into a bundle and into another database, and with how much memory.

    python -m bench.bundles [--runs 1000]

`looplab export` and `looplab import` run as processes of their own, for all runs and for one; the
difference of their largest memory is what more runs cost. Every run of the second database must be
equal, byte for byte, in what was measured.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from sqlalchemy import create_engine

from bench.pairs import verdict
from control_plane.store.bundles import measured_digest
from control_plane.store.store import open_store
from control_plane.targets.target_files import SHARED_MEMORY
from tests.builders.runs import classic, finished

BOTH_S, GROWTH_MB = 30.0, 100.0
LOOK_S = 0.005
HIGHEST = re.compile(r"VmHWM:\s+(\d+) kB")


@dataclass(frozen=True)
class Spent:
    """Seconds that a command took, and the most memory that it had, in megabytes."""

    seconds: float
    megabytes: float


def main() -> int:
    """Fill a database, take it to another, and hold that to its figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=1_000, help="how many runs there are")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ids = filled(folder / "runs.db", runs)
        few = taken_over(folder, "few", ids[:1])
        many = taken_over(folder, "many", ids)
        equal = digests(folder / "runs.db") == digests(folder / "many.db")
        size_mb = (folder / "many.looplab").stat().st_size / 1e6
    print(f"{runs:,} runs, {size_mb:.1f} MB")
    for what, one_run, all_runs in zip(("export", "import"), few, many, strict=True):
        print(f"{what}: {all_runs.seconds:.1f} s, {all_runs.megabytes:.0f} MB; ", end="")
        print(f"of one run {one_run.seconds:.1f} s, {one_run.megabytes:.0f} MB")
    grown = max(more.megabytes - less.megabytes for less, more in zip(few, many, strict=True))
    reached = [
        verdict("export and import, s", sum(each.seconds for each in many), BOTH_S, most=True),
        verdict("growth of memory, MB", grown, GROWTH_MB, most=True),
        verdict("runs are equal byte for byte", float(equal), 1, most=False),
    ]
    return 0 if all(reached) else 1


def filled(path: Path, runs: int) -> list[str]:
    """Make a database with finished runs, in memory since each is committed many times."""
    with tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as folder:
        made = Path(folder) / path.name
        store = open_store(made)
        ids = [finished(store, *shape).id for shape in islice(cycle(classic()), runs)]
        store.close()
        shutil.copy(made, path)
    return ids


def taken_over(folder: Path, name: str, ids: Sequence[str]) -> tuple[Spent, Spent]:
    """Write a bundle of some runs, and import it into a database of its own."""
    bundle, database = folder / f"{name}.looplab", folder / f"{name}.db"
    exported = spent("export", "--bundle", str(bundle), "--db", str(folder / "runs.db"), *ids)
    return exported, spent("import", str(bundle), "--db", str(database))


def spent(*arguments: str) -> Spent:
    """Run a command of Looplab to its end.

    The kernel's mark is read from outside, since what it tells of an ended child begins with the
    memory of its parent.
    """
    began, most = time.monotonic(), 0
    process = subprocess.Popen(
        [sys.executable, "-m", "control_plane", *arguments], stdout=subprocess.DEVNULL
    )
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        marks = HIGHEST.findall(status.read_text())
        most = max([most, *map(int, marks)])
        with suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_S)
    if process.returncode:
        raise SystemExit(f"looplab {arguments[0]} ended with {process.returncode}")
    return Spent(time.monotonic() - began, most * 1_024 / 1e6)


def digests(database: Path) -> dict[str, str]:
    """Return what was measured of each run, by its id."""
    engine = create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT id, seq FROM run").all()
        told = {run_id: measured_digest(connection, seq) for run_id, seq in found}
    engine.dispose()
    return told


if __name__ == "__main__":
    sys.exit(main())
