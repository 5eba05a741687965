"""Try for long what docs/reliability.md promises: `scripts/soak PART [--count N] [--log FILE]`.

Each cycle is a line of the log. A part that was broken off goes on behind the cycles that the log
has. In the end there is one line with what was counted; the exit code is 1 where a cycle was bad.

stopped  SIGSTOP of a load worker, server or guard, in each state: over by its deadline
killed   8 kills -9 of control plane, watcher, guard, server, worker and load worker, singly and in
         pairs, with each kind of server and a forking command: nothing left, nothing changed
orders   random orders of all that is asked of the queue, of kills, locks, full disks and starts
files    an accident with the files of the database: no damage, nothing lost that was not told
cells    odd values in each cell of a row of one table, the next one each time: pages answer
writes   one more write to the database that fails, while a run goes from queued to finished
disk     the same beneath a whole dashboard
values   500 specs with one odd value: none is answered with 500
valid    5 valid specs, measured and shown, and an experiment: no fault of ours
silent   1,900 connections that send nothing or half a request: pages answer
cancels  12 cancellations in each state in turn: over within 2 s, nothing left
signals  a signal while a run measures and 50 responses are open: stopped within 5 s
rows     every test of tests/faults: all pass, none is skipped
idle     a minute in which nobody asks for anything: memory and processor time of the dashboard
growth   300 short runs: memory, files and descriptors of before and after
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from errno import EIO, ENOSPC
from itertools import islice
from pathlib import Path
from typing import Any

import psutil
from hypothesis import strategies as st

from control_plane.domain.limits import Limits
from control_plane.targets.target_files import SHARED_MEMORY
from scripts.soak_cells import cells
from scripts.soak_database_files import files
from scripts.soak_signals import STATES, killed, signals, stopped
from tests.builders.valid_specs import experiments
from tests.dashboard import (
    BARE,
    DashboardProcess,
    dashboard,
    items_spec,
    long_spec,
    marked,
    until,
    whole,
)
from tests.faults.faulty_disk import faulty_disk
from tests.faults.test_connections import HALF_SENT, SILENT, connected
from tests.faults.test_failing_writes import measured_while_writes_fail
from tests.faults.test_valid_specs import (
    CONFIGURATIONS,
    answering,
    decide,
    handed_in,
    measure,
    try_each,
)
from tests.in_process import in_process
from tests.jobs.test_any_order import STEPS, KilledMachine, QueueMachine, ask_in_any_order
from tests.store.test_failing_writes import kept_though_writes_fail

VALUES = 500
ORDERS = 10
VALID = 5
MOST_WRITES, STRIDE = 200, 37
"""Of a run, and how far apart those are that fail in cycles behind one another."""
ODD: tuple[Any, ...] = (
    -1, 0, 0.5, 2**63, True, None, "", "a.b", "1", "²", "\0", "{a}", [], [1], {}, {"a.b": 1},
    {"1": 1}, 1e308, "a" * 3_000, [None], {"kind": "uuid"}, {"model": "open"}, {"url": 1},
)  # fmt: skip


def values(number: int, folder: Path) -> dict[str, Any]:
    """Send specs with one odd value each; no queue takes any."""
    chance = random.Random(number)
    with in_process(folder, limits=Limits(max_queue=0)) as looplab:
        answers = [looplab.post("/api/runs", changed(chance)) for _ in range(VALUES)]
    faults = [answer.request.content[:200].decode() for answer in answers if answer.is_server_error]
    assert not faults, faults[:3]
    return {"sent": len(answers)}


def changed(chance: random.Random) -> dict[str, Any]:
    """A spec of which one part is another, or has a part more."""
    spec = items_spec(target={}, client={}, trials=1, title="a", tags=["a"])
    whole = deepcopy(spec)
    parent, key = chance.choice(list(places(whole)))
    if isinstance(parent, dict) and chance.random() < 0.2:
        key = chance.choice(("a.b", "1", "²", "", "url", "kind", "model", "literal[1]"))
    parent[key] = deepcopy(chance.choice(ODD))
    return whole


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container of a document with each of its keys."""
    for key in node if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])


def silent(number: int, folder: Path) -> dict[str, Any]:
    """Open connections that send nothing or half a request; each page answers."""
    del number
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    times = []
    with dashboard(folder) as looplab, connected(looplab):
        for _ in range(20):
            began = time.monotonic()
            assert looplab.get("/", headers={"Connection": "close"}).is_success
            times.append(time.monotonic() - began)
    return {"connections": SILENT + HALF_SENT, "slowest_s": round(max(times), 3)}


def orders(number: int, folder: Path) -> dict[str, Any]:
    """Ask for everything in random orders; each third time of a control plane that is killed."""
    del folder
    machine, examples = (KilledMachine, 2) if number % 3 == 2 else (QueueMachine, ORDERS)
    ask_in_any_order(machine, examples, steps=STEPS)
    return {"orders": examples, "of": machine.__name__}


def writes(number: int, folder: Path) -> dict[str, Any]:
    """Let one write fail, or all from it on with some between; a kill changes nothing."""
    first, kind = number // 6 + 1, number % 6
    failing = range(first, first + 1) if kind < 2 else range(first, 100_000, 2 * kind + 1)
    return {"failed": kept_though_writes_fail(folder, failing, renewed=kind % 2 == 1)}


def disk(number: int, folder: Path) -> dict[str, Any]:
    """Let one write of a run fail, or three; it ends and says why, and the next one finishes."""
    error, times = (ENOSPC, EIO)[number % 2], (1, 3)[number // 2 % 2]
    first = 1 + number // 4 * STRIDE % MOST_WRITES
    with faulty_disk() as faulty, in_process(folder) as looplab:
        run = measured_while_writes_fail(looplab, faulty, range(first, first + times), error)
        failed = faulty.refused
        faulty.mend()
        looplab.finished(looplab.submit(items_spec(**BARE)))
    assert whole(folder / "runs.db")
    return {"first": first, "failed": failed, "became": run["state"] if run else "refused"}


def valid(number: int, folder: Path) -> dict[str, Any]:
    """Hand in valid specs and an experiment; each is taken, ends, and can be shown."""
    with in_process(folder) as looplab, answering() as url:
        targets = CONFIGURATIONS | st.just({"url": url})
        specs = handed_in(targets)
        try_each(lambda document: measure(looplab, document), specs, VALID, number)
        some = experiments(st.just({"url": url}))
        try_each(lambda document: decide(looplab, document), some, 1, number)
    return {"specs": VALID, "experiments": 1}


CANCEL_S = 2.0


def cancels(number: int, folder: Path) -> dict[str, Any]:
    """Cancel runs of a server with a probe as soon as they are in each state."""
    del number
    times = []
    with dashboard(folder) as looplab:
        for state in STATES * 4:
            run_id = looplab.submit(long_spec(warmup_s=30 if state == "warming" else 0))
            looplab.until_state(run_id, {state}, every_s=0.01)
            began = time.monotonic()
            became = looplab.cancel(run_id).json()["state"]
            times.append(time.monotonic() - began)
            assert became == "cancelled", became
            assert not marked(looplab.instance), f"something is left of a run that was {state}"
    assert max(times) <= CANCEL_S, f"{max(times):.2f} s"
    return {"cancels": len(times), "slowest_s": round(max(times), 3)}


def rows(number: int, folder: Path) -> dict[str, Any]:
    """Run the tests of every fault."""
    del number
    command = [sys.executable, "-m", "pytest", "-q", f"--basetemp={folder / 'tests'}"]
    done = subprocess.run([*command, "tests/faults"], capture_output=True, text=True, check=False)
    last = done.stdout.strip().rpartition("\n")[2]
    assert done.returncode == 0, last
    assert "skipped" not in last, last
    return {"tests": last}


IDLE_S = 60.0
IDLE_BYTES, IDLE_CORES = 150_000_000, 0.01
PAGES = ("/", "/runs/new", "/history", "/experiments", "/targets", "/workloads")
FIRST_RUNS, MORE_RUNS = 20, 300
GROWTH_BYTES = 20_000_000


def idle(number: int, folder: Path) -> dict[str, Any]:
    """Measure once, look at pages, then ask for nothing."""
    del number
    with dashboard(folder) as looplab:
        looplab.finished(looplab.submit(items_spec(**BARE)))
        for page in PAGES:
            assert looplab.get(page).is_success, page
        process = psutil.Process(looplab.process.pid)
        before = process.cpu_times()
        time.sleep(IDLE_S)
        after = process.cpu_times()
        cores = (after.user + after.system - before.user - before.system) / IDLE_S
        memory = process.memory_info().rss
    assert memory < IDLE_BYTES, f"{memory:,} bytes"
    assert cores < IDLE_CORES, f"{cores:.4f} cores"
    return {"bytes": memory, "cores": round(cores, 4)}


def growth(number: int, folder: Path) -> dict[str, Any]:
    """Compare what the dashboard has after some runs with what it has after many more."""
    del number
    with dashboard(folder) as looplab:
        one_after_another(looplab, FIRST_RUNS)
        before = held(looplab, folder)
        one_after_another(looplab, MORE_RUNS)
        grown = {name: amount - before[name] for name, amount in held(looplab, folder).items()}
    assert grown["bytes"] < GROWTH_BYTES, grown
    assert grown["files"] <= 0, grown
    assert grown["descriptors"] <= 0, grown
    return {"runs": MORE_RUNS, **grown}


def one_after_another(looplab: DashboardProcess, count: int) -> None:
    for _ in range(count):
        looplab.finished(looplab.submit(items_spec(warmup_s=0)))


def held(looplab: DashboardProcess, folder: Path) -> dict[str, int]:
    """Memory, files and open descriptors of a dashboard that does nothing."""
    until(lambda: not marked(looplab.instance), "nothing of the last run is left")
    process = psutil.Process(looplab.process.pid)
    files = [*folder.rglob("*"), *SHARED_MEMORY.glob(f"*{looplab.instance}*")]
    memory = process.memory_info().rss
    return {"bytes": memory, "files": len(files), "descriptors": process.num_fds()}


PARTS: dict[str, Callable[[int, Path], dict[str, Any]]] = {
    part.__name__: part
    for part in (
        *(stopped, killed, orders, files, cells, writes, disk, values, valid),
        *(silent, cancels, signals, rows, idle, growth),
    )
}


def cycles(part: str, done: int) -> Iterator[dict[str, Any]]:
    """Yield what became of each cycle from `done` on; a bad one says what was wrong."""
    number = done
    while True:
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcome = {"good": True, **PARTS[part](number, Path(folder))}
            except Exception as wrong:  # noqa: BLE001 - whatever it is, the cycle was bad
                said = Path(folder) / "looplab.log"
                log = said.read_text()[-2_000:] if said.exists() else ""
                outcome = {"good": False, "wrong": _told(wrong), "log": log}
        yield {"part": part, "number": number, **outcome}
        number += 1


def _told(wrong: BaseException) -> str:
    """What went wrong, with what hypothesis says of how it came to that."""
    notes = "\n".join(getattr(wrong, "__notes__", ()))
    return f"{type(wrong).__name__}: {wrong}"[:1_500] + notes[-1_500:]


def logged(log: Path, part: str) -> list[dict[str, Any]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [entry for entry in map(json.loads, lines) if entry["part"] == part]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument(
        "--count", type=int, default=20, help="cycles in all, those of before included"
    )
    parser.add_argument("--log", type=Path, default=Path("soak.jsonl"))
    asked = parser.parse_args()
    done = len(logged(asked.log, asked.part))
    for entry in islice(cycles(asked.part, done), max(0, asked.count - done)):
        with asked.log.open("a") as log:
            log.write(json.dumps(entry) + "\n")
    found = logged(asked.log, asked.part)
    bad = [entry for entry in found if not entry["good"]]
    print(f"{asked.part}: {len(found)} cycles, {len(bad)} bad")
    for entry in bad:
        print(json.dumps(entry))
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
