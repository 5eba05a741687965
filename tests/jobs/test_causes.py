"""Causes on real targets that are made to show them, and silence on those that have none."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from control_plane.domain.limits import Limits
from control_plane.domain.result import Cause
from control_plane.domain.run import Run, State
from control_plane.jobs import recover
from control_plane.jobs.run_service import RunService
from control_plane.store.store import Store, open_store
from tests.dashboard import BARE, TERMINAL, items_spec, provide_database, state_in
from tests.jobs.causing import applications

BODY = {"generated": {"shape": "name-data", "size_bytes": 3_000_000}}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[RunService]:
    store = open_store(provide_database(tmp_path / "runs.db"))
    made = RunService(store, Limits(), recover(store, {1}, "normal", applications(tmp_path)))
    yield made
    await made.close()
    store.close()


def stream(path: str, users: int, think_time_s: float = 0, **request: Any) -> dict[str, Any]:
    return {
        "name": path,
        "requests": [{"path": path, **request}],
        "load": {"model": "closed", "concurrency": users, "think_time_s": think_time_s},
        "stop": {"duration_s": 1.0},
    }


def under(*streams: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A short run."""
    usual = {"client": BARE["client"], "warmup_s": 0.2}
    return items_spec(**{**usual, **changes}, workload={"streams": list(streams)})


def driven(path: str, users: int, think_time_s: float = 0, **changes: Any) -> dict[str, Any]:
    return under(stream(path, users, think_time_s), **changes)


async def ended(service: RunService, store: Store, spec: dict[str, Any]) -> Run:
    (run,) = service.submit([spec])
    async with asyncio.timeout(30):
        while state_in(store.path, run.id) not in TERMINAL:
            await asyncio.sleep(0.05)
    return store.run(run.id)


async def measured(service: RunService, store: Store, spec: dict[str, Any]) -> Run:
    run = await ended(service, store, spec)
    assert run.reason is None
    return run


def cause_of(run: Run, name: str) -> Cause:
    return next(cause for cause in run.causes if cause.cause == name)


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
    service: RunService, store: Store, cause: str, spec: dict[str, Any], said: str
) -> None:
    run = await measured(service, store, spec)
    causes = {cause.cause: cause for cause in run.causes}
    assert said in causes[cause].text
    assert causes[cause].found or (cause == "server_cpu" and disturbed(run)), causes[cause].text
    others = {"loop_blocked", "pool_exhausted", "garbage_collection"} - {cause}
    assert [cause.text for cause in run.causes if cause.found and cause.cause in others] == []


async def test_a_target_with_little_to_do_has_none(service: RunService, store: Store) -> None:
    run = await measured(service, store, driven("/items/1", 4, think_time_s=0.02))
    assert disturbed(run) or not [cause.text for cause in run.causes if cause.found]
    assert {cause.cause for cause in run.causes} >= {
        "pool_exhausted",
        "server_cpu",
        "client_limited",
    }


async def test_collections_that_last_long_are_found(service: RunService, store: Store) -> None:
    """Where other programs had the processor in between, that is what is said."""
    spec = driven("/", 1, target={"application": "collecting"})
    cause = cause_of(await measured(service, store, spec), "garbage_collection")
    assert cause.found or (cause.found is None and "other programs" in cause.text), cause.text
    assert cause.text.startswith("Garbage collection took")


async def test_a_client_at_its_limit_is_found(service: RunService, store: Store) -> None:
    run = await measured(service, store, driven("/null", 32, client={"strategy": "httpx"}))
    cause = cause_of(run, "client_limited")
    assert cause.found or disturbed(run), cause.text


async def test_a_worker_that_has_the_work_alone_is_found(service: RunService, store: Store) -> None:
    """With --reuse-port a large body holds up those small requests that share its worker."""
    workers = {"server": "gunicorn", "worker": "asgi", "workers": 2, "reuse_port": True}
    large = stream("/payloads/model", 1, method="POST", body=BODY)
    run = await measured(service, store, under(large, stream("/null", 40, 0.05), target=workers))
    cause = cause_of(run, "workers_uneven")
    assert cause.found or disturbed(run), cause.text
    assert cause.text.startswith("One of 2 workers was busy") or not cause.found


async def test_connections_without_an_answer_are_counted(service: RunService, store: Store) -> None:
    """uvloop leaves some out while a blocked loop serves the others again."""
    spec = driven("/blocking-delay/0.02", 40, target={"loop": "uvloop"})
    run = await measured(service, store, spec)
    cause = cause_of(run, "never_served")
    (stream,) = run.streams
    assert cause.evidence["unserved"] == stream.censored.unserved
    assert cause.found is bool(stream.censored.unserved) or (
        cause.found is None and "Not decided: " in cause.text
    ), cause.text


@pytest.mark.parametrize(
    "spec",
    [
        driven("/items/1", 1, 0.01, target={"workers": 2}),
        driven("/", 4, 0.02, target={"application": "threads", "server": "command"}),
        under(stream("/items/1", 2, 0.02), stream("/movies/1", 4)),
    ],
    ids=["one user on two workers", "threads of a command", "two streams"],
)
async def test_others_have_none_either(
    service: RunService, store: Store, spec: dict[str, Any]
) -> None:
    run = await measured(service, store, spec)
    found = [cause.text for cause in run.causes if cause.found and cause.cause != "server_cpu"]
    assert disturbed(run) or found == []
    assert "workers_uneven" not in {cause.cause for cause in run.causes}


async def test_a_run_that_fails_is_judged_by_its_trials(service: RunService, store: Store) -> None:
    """Its target cannot start a second time."""
    run = await ended(
        service, store, driven("/block/0.2", 4, target={"application": "once"}, trials=2)
    )
    assert (run.state, len(run.trials)) == (State.FAILED, 1)
    assert cause_of(run, "loop_blocked").text.startswith("The event loop was blocked")
