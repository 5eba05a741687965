"""Starting: what a target gets, when it counts as ready, and how a failed start reads."""

import asyncio
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from control_plane.domain.errors import TargetFailed
from control_plane.domain.spec import Target
from control_plane.targets import guarded_server
from control_plane.targets.application import SUCCESS, bundled_application
from control_plane.targets.configurations import BUILTIN_CONFIGURATIONS
from control_plane.targets.launch import free_ports, listening_host, start_application
from control_plane.targets.marked_processes import end_marked
from control_plane.targets.observation import procfs
from tests.targets.site import Site, application, get_json, listening

DEFAULT = Target()


@pytest.mark.parametrize("known", BUILTIN_CONFIGURATIONS, ids=lambda known: known.name)
async def test_every_configuration_of_the_catalogue_starts(site: Site, known) -> None:
    """Those of one worker with the bundled application, which each worker more would import."""
    served = bundled_application() if known.target.workers == 1 else application("probe")
    target = await start_application(served, known.target, site.context())
    try:
        assert get_json(target.url, "/health") is not None
        assert 0 < target.ready_s < 15
        assert target.pid in target.pids()
        assert len(target.pids()) >= known.target.workers
        assert (target.ended_workers().all, target.failure()) == (0, None)
        assert re.search(rf"{known.target.server} {served.app} --", target.command)
    finally:
        await target.stop()
    assert target.failure() is None
    assert not listening(target)


async def test_the_environment_is_built_from_a_list(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    chosen = replace(DEFAULT, threads=7, settings={"log_s": 0.5})
    async with site.running("probe", chosen) as target:
        seen = get_json(target.url, "/environment")
    assert "secret" not in seen.values()
    assert seen["PATH"] == os.environ["PATH"]
    assert (seen["TARGET_THREADS"], seen["TARGET_LOG_S"]) == ("7", "0.5")
    assert seen["LOOPLAB_INSTANCE"] == site.instance
    assert Path(seen["PYTHONPATH"]).name == "inside"
    assert Path(seen["TARGET_DIRECTORY"]).is_relative_to(site.state_dir)


async def test_cores_hold_for_each_worker(site: Site) -> None:
    core = min(os.sched_getaffinity(0))
    chosen = replace(DEFAULT, workers=2)
    target = await start_application(application("probe"), chosen, site.context(cores=(core,)))
    try:
        assert get_json(target.url, "/cores") == [core]
        assert all(os.sched_getaffinity(pid) == {core} for pid in target.pids())
    finally:
        await target.stop()


async def test_all_workers_accept_before_the_target_is_ready(site: Site) -> None:
    async with site.running("probe", replace(DEFAULT, workers=3)) as target:
        assert {get_json(target.url, "/pid") for _ in range(100)} <= set(target.pids())
        workers = [pid for pid in target.pids() if procfs.children(pid) == []]
        assert len(workers) >= 3


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("import_error", "No module named 'a_module_that_is_missing'"),
        ("a_missing_file", "Could not import module"),
        ("lifespan_error", "the database is away"),
        ("not_asgi", "'list' object is not callable"),
    ],
)
async def test_a_start_that_fails_shows_what_the_server_printed(
    site: Site, name: str, printed: str
) -> None:
    with pytest.raises(TargetFailed, match=r"^start: ") as failed:
        await site.start(name)
    assert any(printed in line for line in failed.value.log)
    assert len(failed.value.log) <= 20
    assert not any("control_plane" in line for line in failed.value.log)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("never_binds", "nothing listens on"),
        ("never_answers", "no answer to GET /"),
        ("broken", "the last answer to GET / was 500"),
        ("switching", "the last answer to GET / was 101"),
    ],
)
async def test_a_target_that_hangs_is_ended_at_the_start_timeout(
    site: Site, name: str, why: str
) -> None:
    """A server that does not even listen by then is given longer: this machine may be busy."""
    for timeout_s in (2, 8, 32):
        with pytest.raises(TargetFailed, match=f"not ready after {timeout_s} s, ") as failed:
            await site.start(name, start_timeout_s=timeout_s, ready_statuses=SUCCESS)
        await site.gone()
        if why in str(failed.value) or "nothing listens on" not in str(failed.value):
            break
    assert str(failed.value).startswith(f"start timeout: not ready after {timeout_s} s, {why}")


@contextmanager
def occupied() -> Iterator[int]:
    """A port on which a stranger, this very process, takes connections."""
    with socket.create_server((listening_host(), 0)) as stranger:
        yield stranger.getsockname()[1]


async def test_a_port_that_is_taken_is_passed_over(site: Site) -> None:
    with occupied() as taken:
        free = next(free_ports(listening_host()))
        place = site.context(ports=lambda host: iter((taken, free)))
        target = await start_application(application("probe"), DEFAULT, place)
        await target.stop()
    assert target.url.endswith(f":{free}")


async def test_after_three_taken_ports_the_owner_is_named(site: Site) -> None:
    with occupied() as taken:
        place = site.context(ports=lambda host: iter((taken,) * 4))
        with pytest.raises(TargetFailed, match=rf"port {taken} on .* \(process {os.getpid()}\)"):
            await start_application(application("probe"), DEFAULT, place)


@pytest.fixture
def sweeps(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """Where each search for what a guard left was made."""
    made: list[threading.Thread] = []

    def noted(name: str, value: str) -> int:
        made.append(threading.current_thread())
        return end_marked(name, value)

    monkeypatch.setattr(guarded_server, "end_marked", noted)
    return made


@pytest.mark.parametrize(("processes", "held"), [(0, False), (1, False), (2, True), (2, False)])
async def test_a_start_that_is_cancelled_leaves_nothing(
    site: Site, sweeps: list[threading.Thread], processes: int, held: bool
) -> None:
    """Before the guard runs, before the server does, and after; the event loop works meanwhile.

    Held: the event loop is given no time to hear of the guard, which forks its server meanwhile.
    """
    starting = asyncio.create_task(site.start("never_binds"))
    async with asyncio.timeout(5):
        while len(site.marked()) < processes or not list(site.state_dir.glob("targets/*")):
            if not held or not site.marked():
                await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert site.left_behind() == []
    assert threading.main_thread() not in sweeps
    assert sweeps or not held


async def test_a_missing_directory_is_a_failed_start(
    site: Site, sweeps: list[threading.Thread]
) -> None:
    """Nothing was started then that could be looked for."""
    nowhere = replace(application("probe"), directory=Path("/nowhere/at/all"))
    with pytest.raises(TargetFailed, match=r"No such file or directory: /nowhere/at/all"):
        await start_application(nowhere, DEFAULT, site.context())
    assert site.left_behind() == []
    assert sweeps == []
