"""What people who watch a run change of it.

    python -m bench.viewers [--blocks 20] [--seconds 12]

One viewer: the processor time that the control plane uses beyond what a run takes unwatched, and
how long the page waits before it asks again: a second. Ten viewers: an experiment of the product
with two arms of one spec, of which the second is watched whenever it is measured; its own rule says
whether both are equivalent within 3 %. A hundred: the processor time of the control plane while one
run has load, beyond what it takes unwatched, must stay below 3 % of a core, or the run is suspect.
Viewers ask as often as the page tells them to, and run at the lowest priority, as if they were
elsewhere. It needs two cores, and a machine that does nothing else.
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
import psutil

from bench.pairs import verdict
from tests.dashboard import DashboardProcess, dashboard

METRIC = "throughput_per_s"
ONE, FEW, MANY = 1, 10, 100
WANTED_S = 1.0
"""How often the page of a run asks when nothing slows it down."""
MARGIN = 0.03
MOST_CORES = 0.03
EVERY = re.compile(r'hx-trigger="every (\d+)ms"')
"""How long a page waits before it asks again."""
WORKS_NOW = re.compile(r'href="/runs/(\w{10})"')
"""In the part of the top bar that says how the queue stands."""
QUEUE = "/queue"
LOOK_S = 0.5
LOWEST_PRIORITY = 19


def spec(seconds: float, **rest: Any) -> dict[str, Any]:
    stream = {
        "name": "items",
        "requests": [{"path": "/items/1"}],
        "load": {"model": "closed", "concurrency": 32},
        "stop": {"duration_s": seconds},
    }
    return {"workload": {"streams": [stream]}, "warmup_s": 1.0, **rest}


class Viewers:
    """People who look at the page of a run while `watched` names one, each on its connection."""

    def __init__(self, url: str, number: int) -> None:
        self._url, self._number = url, number
        self.watched = ""
        self.asked = 0
        self.waits_s: list[float] = []
        self._loop = asyncio.new_event_loop()
        self._views = self._loop.create_task(self._all())
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Viewers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._views.cancel)
        self._thread.join()

    def _look(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._views)
        self._loop.close()

    async def _all(self) -> None:
        limits = httpx2.Limits(max_connections=self._number)
        async with httpx2.AsyncClient(base_url=self._url, limits=limits, timeout=60) as client:
            parts = ("/runs/{}/live", QUEUE)
            places = range(self._number)
            await asyncio.gather(*(self._view(client, at, part) for at in places for part in parts))

    async def _view(self, client: httpx2.AsyncClient, place: int, part: str) -> None:
        """Ask for a part as a page does, which was not opened in the same moment as the others."""
        await asyncio.sleep(place / self._number)
        while True:
            wait_s = LOOK_S
            if watched := self.watched:
                wait_s = await self._ask(client, part.format(watched))
                if part != QUEUE:
                    self.waits_s.append(wait_s)
            await asyncio.sleep(wait_s)

    async def _ask(self, client: httpx2.AsyncClient, path: str) -> float:
        """Return how long the page waits before it asks again."""
        answer = await client.get(path)
        self.asked += 1
        told = EVERY.search(answer.text)
        return int(told[1]) / 1e3 if told else LOOK_S


def few_change_nothing(looplab: DashboardProcess, blocks: int, seconds: float) -> bool:
    """Let the product decide whether a run that ten people watch is another one."""
    document = {
        "question": "Do ten viewers change a run?",
        "metric": METRIC,
        "margin": MARGIN,
        "blocks": blocks,
        "same_arms": True,
        "arms": [
            {"name": "alone", "spec": spec(seconds)},
            {"name": "watched", "spec": spec(seconds)},
        ],
    }
    answer = looplab.post("/api/experiments", document)
    assert answer.status_code == 202, answer.text
    made = answer.json()["id"]
    path = f"/api/experiments/runs/{made}"
    arms = {arm["arm"]: arm["id"] for arm in looplab.get(path).json()["runs"]}
    with Viewers(looplab.url, FEW) as viewers:
        while looplab.run(arms["alone"])["state"] not in {"finished", "failed", "cancelled"}:
            now = WORKS_NOW.search(looplab.get("/queue").text)
            viewers.watched = arms["watched"] if now and now[1] == arms["watched"] else ""
            time.sleep(LOOK_S)
    found = {each["metric"]: each for each in looplab.get(path).json()["verdicts"]}
    print(f"{FEW} viewers asked {viewers.asked:,} times")
    for metric, each in found.items():
        low, high = each["low_90"], each["high_90"]
        print(f"  {metric}: {each['verdict']}, {each['ratio']} [{low}, {high}], {each['blocks']}")
    low, high = found[METRIC]["low_90"], found[METRIC]["high_90"]
    off = max(abs(1 - 1 / low), abs(high - 1)) if low and high else 1.0
    return verdict(f"{FEW} viewers, throughput off by", off, MARGIN, most=True)


def one_asks_each_second(looplab: DashboardProcess, seconds: float) -> bool:
    """Watch a run alone, and tell what that costs and how long the page waited."""
    alone_cores, _ = cores_of_run(looplab, seconds, lambda _: None)
    with Viewers(looplab.url, ONE) as viewers:
        cores, _ = cores_of_run(looplab, seconds, lambda run: setattr(viewers, "watched", run))
    print(f"one viewer costs {1e3 * (cores - alone_cores):.1f} ms of processor time each second")
    return verdict("one viewer, s between two looks", median(viewers.waits_s), WANTED_S, most=True)


def many_cost_little(looplab: DashboardProcess, seconds: float) -> bool:
    """Compare what the control plane uses while a run is watched, and while it is not."""
    alone_cores, _ = cores_of_run(looplab, seconds, lambda _: None)
    with Viewers(looplab.url, MANY) as viewers:
        cores, outcome = cores_of_run(
            looplab, seconds, lambda run: setattr(viewers, "watched", run)
        )
    more = cores - alone_cores
    print(
        f"{MANY} viewers asked {viewers.asked:,} times: {alone_cores:.3f} cores, then {cores:.3f}"
    )
    print(f"  the watched run is {outcome}")
    reached = verdict(f"{MANY} viewers, cores", more, MOST_CORES, most=True)
    return reached or outcome != "valid"


def cores_of_run(
    looplab: DashboardProcess, seconds: float, watch: Callable[[str], None]
) -> tuple[float, str]:
    """Return the cores that the control plane used while a run had load, and its validity."""
    run_id = looplab.submit(spec(seconds))
    watch(run_id)
    looplab.until_state(run_id, {"running"})
    process = psutil.Process(looplab.process.pid)
    begun_s, spent_s = time.monotonic(), sum(process.cpu_times()[:2])
    looplab.until_state(run_id, {"finalizing", "finished", "failed"}, within_s=seconds + 60)
    cores = (sum(process.cpu_times()[:2]) - spent_s) / (time.monotonic() - begun_s)
    watch("")
    run = looplab.finished(run_id)
    return cores, run["validity"]["outcome"]


def main() -> int:
    """Measure all three on a dashboard of their own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=20, help="at most so many, 20 are wanted")
    parser.add_argument("--seconds", type=float, default=12.0, help="the window of a trial")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, dashboard(Path(folder)) as looplab:
        alone = one_asks_each_second(looplab, max(20.0, given.seconds))
        few = few_change_nothing(looplab, given.blocks, given.seconds)
        many = many_cost_little(looplab, max(20.0, given.seconds))
    return 0 if alone and few and many else 1


if __name__ == "__main__":
    sys.exit(main())
