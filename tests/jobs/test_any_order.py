"""Whatever is asked of the queue in whatever order: one run at a time, and every run ends once."""

import contextlib
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.dashboard import BARE, TERMINAL, items_spec, long_spec, marked, until
from tests.in_process import in_process

EXAMPLES, STEPS = 3, 12
ACTIVE = {"starting", "warming", "running", "finalizing"}


class QueueMachine(RuleBasedStateMachine):
    """Hands in, cancels, deletes, locks the database and starts again, as it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.over: dict[str, Any] = {}
        self.start()

    def start(self) -> None:
        self.serving = contextlib.ExitStack()
        self.looplab = self.serving.enter_context(in_process(self.folder))

    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.looplab.get("/api/runs?limit=200").json()["runs"]
        return found

    @rule(short=st.booleans())
    def hand_in(self, *, short: bool) -> None:
        self.looplab.submit(items_spec(**BARE) if short else long_spec(**BARE))

    @rule(place=st.integers(0, 5), delete=st.booleans())
    def end(self, place: int, *, delete: bool) -> None:
        """Cancel a run, or delete one: what its state forbids is a conflict."""
        for run in self.runs()[place : place + 1]:
            if delete and run["id"] not in self.over:
                return
            address = f"/api/runs/{run['id']}"
            answer = self.looplab.delete(address) if delete else self.looplab.cancel(run["id"])
            assert answer.status_code in {200, 204, 409}
            if answer.status_code == 204:
                del self.over[run["id"]]

    @rule()
    def wait_for_load(self) -> None:
        waits = any(run["state"] not in TERMINAL for run in self.runs())
        if waits:
            until(lambda: {run["state"] for run in self.runs()} & {"running", *TERMINAL}, "load")

    @rule()
    def lock(self) -> None:
        """Another process has the database, for as long as a run may want it."""
        with contextlib.closing(sqlite3.connect(self.looplab.db, timeout=10)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert self.looplab.get("/history").is_success
            other.rollback()

    @rule()
    def start_again(self) -> None:
        self.serving.close()
        self.start()
        assert {run["state"] for run in self.runs()} <= TERMINAL

    @invariant()
    def one_at_a_time_and_over_for_good(self) -> None:
        runs = self.runs()
        assert len([run for run in runs if run["state"] in ACTIVE]) <= 1
        seen = {run["id"]: (run["state"], run["reason"]) for run in runs}
        assert {run_id: seen.get(run_id) for run_id in self.over} == self.over
        self.over |= {run_id: end for run_id, end in seen.items() if end[0] in TERMINAL}

    def teardown(self) -> None:
        instance = self.looplab.instance
        self.serving.close()
        until(lambda: not marked(instance), "nothing is left running", 5)
        self.stack.close()


def ask_in_any_order(examples: int, *, derandomize: bool) -> None:
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=derandomize,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_any_order_of_what_is_asked() -> None:
    ask_in_any_order(EXAMPLES, derandomize=True)
