"""Whatever is asked of the queue in whatever order, and whatever befalls it: one job at a time, and
every run ends once, and none that was accepted is lost.
"""

import contextlib
import os
import signal
import sqlite3
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.dashboard import (
    BARE,
    TERMINAL,
    Dashboard,
    forked_dashboard,
    items_spec,
    long_spec,
    marked,
    until,
)
from tests.faults.faulty_disk import faulty_disk
from tests.in_process import in_process

STEPS = 12
ACTIVE = {"starting", "warming", "running", "finalizing"}
AT_REST = {*TERMINAL, "paused"}
EXPERIMENT = {
    "question": "Which loop?",
    "blocks": 3,
    "spec": items_spec(**BARE, warmup_s=0),
    "arms": [{"name": name, "spec": {"client": {"loop": name}}} for name in ("uvloop", "asyncio")],
}


class QueueMachine(RuleBasedStateMachine):
    """Asks for everything, kills what runs, locks and fills the database, and starts again."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.accepted: dict[str, str] = {}
        self.over: dict[str, Any] = {}
        self.full = False
        self.start()

    def start(self) -> None:
        self.serving = contextlib.ExitStack()
        self.disk = self.serving.enter_context(faulty_disk())
        self.looplab: Dashboard = self.serving.enter_context(in_process(self.folder))

    def fill(self, *, full: bool) -> None:
        self.full = full
        if full:
            self.disk.fail()
        else:
            self.disk.mend()

    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.looplab.get("/api/runs?limit=200").json()["runs"]
        return found

    def ask(self, address: str, body: Any = None, *, method: str = "POST") -> httpx2.Response:
        """What is answered: the state may forbid it, and a full disk."""
        answer = self.looplab.client.request(method, address, json=body)
        allowed = {200, 202, 204, 409, *([503] if self.full else [])}
        assert answer.status_code in allowed, (method, address, answer.text)
        return answer

    @rule(short=st.booleans())
    def hand_in(self, *, short: bool) -> None:
        answer = self.ask("/api/runs", items_spec(**BARE) if short else long_spec(**BARE))
        if answer.is_success:
            self.accepted[answer.json()["id"]] = answer.json()["id"]

    @rule()
    def hand_in_experiment(self) -> None:
        answer = self.ask("/api/experiments", EXPERIMENT)
        if answer.is_success:
            made = answer.json()["id"]
            found = self.looplab.get(f"/api/experiments/runs/{made}").json()
            self.accepted |= {arm["id"]: made for arm in found["runs"]}

    @rule(place=st.integers(0, 5))
    def cancel(self, place: int) -> None:
        for run in self.runs()[place : place + 1]:
            self.ask(f"/api/runs/{run['id']}/cancel")

    @rule(place=st.integers(0, 5))
    def delete(self, place: int) -> None:
        for run in self.runs()[place : place + 1]:
            if self.ask(f"/api/runs/{run['id']}", method="DELETE").is_success:
                del self.accepted[run["id"]]
                self.over.pop(run["id"], None)

    @rule(pause=st.booleans(), place=st.integers(0, 1))
    def pause_or_resume(self, place: int, *, pause: bool) -> None:
        for made in self.looplab.get("/api/experiments/runs").json()["experiments"][place:]:
            self.ask(f"/api/experiments/runs/{made['id']}/{'pause' if pause else 'resume'}")

    @rule()
    def wait_for_load(self) -> None:
        def loaded() -> bool:
            states = {run["state"] for run in self.runs()}
            return "running" in states or states <= AT_REST

        if not self.full:
            until(loaded, "load", 60)

    @rule(place=st.integers(0, 5))
    def kill_a_part(self, place: int) -> None:
        """A guard, a watcher, a server or a load worker."""
        for process in sorted(marked(self.looplab.instance))[place : place + 1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    @rule()
    def lock(self) -> None:
        """Another process has the database, for as long as a run may want it."""
        with contextlib.closing(sqlite3.connect(self.looplab.db, timeout=10)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert self.looplab.get("/history").is_success
            other.rollback()

    @rule(full=st.booleans())
    def fill_or_make_space(self, *, full: bool) -> None:
        self.fill(full=full)

    @rule()
    def start_again(self) -> None:
        """After a stop, which a full disk does not hinder."""
        self.stop()
        self.begin_anew()

    def stop(self) -> None:
        self.serving.close()

    def begin_anew(self) -> None:
        self.fill(full=False)
        self.start()
        assert {run["state"] for run in self.runs()} <= AT_REST

    @invariant()
    def one_at_a_time_and_over_for_good(self) -> None:
        runs = self.runs()
        active = {self.accepted.get(run["id"]) for run in runs if run["state"] in ACTIVE}
        assert len(active) <= 1, active
        seen = {run["id"]: (run["state"], run["reason"]) for run in runs}
        assert seen.keys() == self.accepted.keys(), "accepted and listed are not the same"
        assert {run_id: seen[run_id] for run_id in self.over} == self.over
        self.over |= {run_id: end for run_id, end in seen.items() if end[0] in TERMINAL}
        odd = [end for end in seen.values() if "internal" in (end[1] or "")]
        assert not odd, odd

    def teardown(self) -> None:
        instance = self.looplab.instance
        self.serving.close()
        until(lambda: not marked(instance), "nothing is left running", 5)
        self.stack.close()


class KilledMachine(QueueMachine):
    """The same with a control plane in a process of its own, which is killed, too."""

    def start(self) -> None:
        self.serving = contextlib.ExitStack()
        self.flag = self.folder / "disk-is-full"
        started = forked_dashboard(self.folder, within=partial(faulty_disk, self.flag))
        self.looplab = self.process = self.serving.enter_context(started)

    def fill(self, *, full: bool) -> None:
        self.full = full
        if full:
            self.flag.touch()
        else:
            self.flag.unlink(missing_ok=True)

    def stop(self) -> None:
        assert self.process.stop(within_s=20) == 0
        self.serving.close()

    @rule()
    def kill(self) -> None:
        self.process.kill()
        until(lambda: not marked(self.looplab.instance), "nothing is left running", 5)
        self.serving.close()
        self.begin_anew()


def ask_in_any_order(
    machine: type[QueueMachine], examples: int, *, steps: int = STEPS, derandomize: bool = False
) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=derandomize,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_order_of_what_is_asked() -> None:
    ask_in_any_order(QueueMachine, 3, derandomize=True)


def test_any_order_with_a_control_plane_that_is_killed() -> None:
    ask_in_any_order(KilledMachine, 1, derandomize=True)
