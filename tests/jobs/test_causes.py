"""Causes on real targets that are made to show them, and silence on one that has none."""

import asyncio
from typing import Any

import pytest

from control_plane.domain.run import Run
from control_plane.jobs.desk import Desk
from control_plane.store.store import Store
from tests.dashboard import items_spec


def driven(path: str, users: int, think_time_s: float = 0, **changes: Any) -> dict[str, Any]:
    """A short run of one path."""
    stream = {
        "name": "one",
        "requests": [{"path": path}],
        "load": {"model": "closed", "concurrency": users, "think_time_s": think_time_s},
        "stop": {"duration_s": 1.2},
    }
    return items_spec(workload={"streams": [stream]}, warmup_s=0.3, **changes)


async def measured(desk: Desk, store: Store, spec: dict[str, Any]) -> Run:
    (run,) = desk.submit([spec])
    async with asyncio.timeout(30):
        while not (await asyncio.to_thread(store.run, run.id)).state.terminal:
            await asyncio.sleep(0.05)
    ended = store.run(run.id)
    assert ended.reason is None
    return ended


def disturbed(run: Run) -> bool:
    """Whether other programs took the processor: then it was not the target that was busy."""
    return run.validity is not None and any(
        reason.gate == "other_load" for reason in run.validity.reasons
    )


@pytest.mark.parametrize(
    ("cause", "spec", "said"),
    [
        (
            "loop_blocked",
            driven("/movies/sync/1", 8),
            "sampled stacks end in movies.py, line",
        ),
        (
            "pool_exhausted",
            driven("/sync-delay/0.3", 16, target={"threads": 4}),
            "Requests waited for one of 4 threads in",
        ),
        ("server_cpu", driven("/items/1", 64, client={"strategy": "raw"}), "The target used"),
    ],
)
async def test_a_cause_is_found(
    desk: Desk, store: Store, cause: str, spec: dict[str, Any], said: str
) -> None:
    run = await measured(desk, store, spec)
    causes = {one.cause: one for one in run.causes}
    assert said in causes[cause].text
    assert causes[cause].found or (cause == "server_cpu" and disturbed(run)), causes[cause].text
    others = {"loop_blocked", "pool_exhausted", "garbage_collection"} - {cause}
    assert [one.text for one in run.causes if one.found and one.cause in others] == []


async def test_a_target_with_little_to_do_has_none(desk: Desk, store: Store) -> None:
    run = await measured(desk, store, driven("/items/1", 4, think_time_s=0.02))
    assert disturbed(run) or not [one.text for one in run.causes if one.found]
    assert {one.cause for one in run.causes} >= {"pool_exhausted", "server_cpu", "client_limited"}
