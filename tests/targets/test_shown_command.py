"""Each server that can be chosen: its words, and what becomes of it when a part is killed."""

import asyncio
import os
import shlex
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from control_plane.domain.spec import Target
from control_plane.targets.application import Application
from control_plane.targets.configurations import BUILTIN_CONFIGURATIONS
from control_plane.targets.launch import command, shown_command
from control_plane.targets.observation import procfs
from tests.targets.site import GONE_S, Site, get_json, kill, listening, until
from tests.targets.test_guard import parent_of, workers_of

OTHERS = [known.target for known in BUILTIN_CONFIGURATIONS if known.target.server != "uvicorn"]
TWO_WORKERS = [target for target in OTHERS if target.workers == 2]
REPLACES = {"uvicorn", "gunicorn"}
"""Servers whose master starts another worker for one that died; the others end."""


def name(target: Target) -> str:
    parts = [target.server, target.worker, str(target.workers), "reuse" * bool(target.reuse_port)]
    return "-".join(filter(None, parts))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (OTHERS[0], "--worker-class uvicorn_worker.UvicornWorker --workers 1 --no-control-socket"),
        (replace(OTHERS[0], loop="asyncio", http="h11"), "uvicorn_worker.UvicornH11Worker"),
        (replace(OTHERS[0], reuse_port=True), "--reuse-port"),
        (replace(OTHERS[3], loop="asyncio"), "--worker-class asgi --workers 1"),
        (replace(OTHERS[3], loop="asyncio"), "--asgi-loop asyncio --keep-alive 5 --backlog 2048"),
        (replace(OTHERS[6], access_log=True), "--keep-alive 5 --backlog 2048 --access-logfile -"),
        (replace(OTHERS[8], reload=True), "--reload --reload-paths target_app --no-access-log"),
    ],
)
def test_fields_become_options(target: Target, words: str) -> None:
    assert words in shlex.join(command(target, "127.0.0.2", 8001))


@pytest.mark.parametrize("target", OTHERS, ids=name)
async def test_the_death_of_a_worker_is_counted(site: Site, target: Target) -> None:
    async with site.running("probe", target) as started:
        assert len(workers_of(started)) >= (target.workers or 1)
        os.kill(get_json(started.url, "/pid"), signal.SIGKILL)
        until(lambda: started.ended_workers().all, lambda: "the loss is noticed", 5)
        if target.server in REPLACES:
            until(lambda: len(workers_of(started)) == target.workers, lambda: "it is replaced", 5)
            assert started.failure() is None
        else:
            assert (await started.ended()).startswith("target ")
            await site.gone()


@pytest.mark.parametrize(
    ("target", "victims"),
    [(target, [victim]) for target in OTHERS for victim in ("guard", "master")]
    + [(target, ["worker", other]) for target in TWO_WORKERS for other in ("guard", "master")],
    ids=lambda value: name(value) if isinstance(value, Target) else "+".join(value),
)
async def test_nothing_outlives_those_that_are_killed(
    site: Site, target: Target, victims: list[str]
) -> None:
    async with site.running("daemon", target) as started:
        pids = {
            "guard": parent_of(started.pid),
            "master": started.pid,
            "worker": workers_of(started)[-1],
        }
        for victim in victims:
            kill(pids[victim])
        ended = await started.ended()
        # A server that ends with its worker may be quicker than the second blow.
        by_itself = target.server not in REPLACES and "worker" in victims
        assert ended.startswith("target ") if by_itself else ended == "target died, signal 9"
        await site.gone()
        until(lambda: not listening(started), lambda: "the listener is closed", GONE_S)
        assert started.failure() == ended


@pytest.mark.parametrize("target", TWO_WORKERS, ids=name)
async def test_a_stop_ends_a_daemon_deaf_to_signals(site: Site, target: Target) -> None:
    async with site.running("daemon", target) as started:
        assert "sleep" in {procfs.command_name(pid) for pid in started.pids()}
        await started.stop()
        assert site.left_behind() == []
        assert not listening(started)


@pytest.mark.parametrize(("grace_s", "ends"), [(3.0, True), (0.5, False)])
async def test_the_grace_lets_a_server_end_in_order(site: Site, grace_s: float, ends: bool) -> None:
    """A second call shortens it."""
    async with site.running("slow_end") as started:
        stopping = asyncio.create_task(started.stop(30.0 if grace_s < 1 else grace_s))
        await asyncio.sleep(0)
        await started.stop(grace_s)
        await stopping
        assert (started.killed_after_s is None) == ends
        assert ("ended in order" in started.log()) == ends
        await site.gone()


@pytest.mark.parametrize("target", [known for known in OTHERS if known.workers == 1], ids=name)
async def test_reload_watches_and_serves(site: Site, target: Target) -> None:
    async with site.running("probe", replace(target, reload=True, access_log=True)) as started:
        assert get_json(started.url, "/pid") in started.pids()
        until(lambda: any("/pid" in line for line in started.log()), lambda: "it logs", 2)
        assert procfs.inodes_at(started.host, started.port)


DEFAULT = Target()


def test_the_default_names_every_choice() -> None:
    assert shlex.join(command(DEFAULT, "127.0.0.2", 8001)) == (
        "uvicorn target_app.main:app --host 127.0.0.2 --port 8001"
        " --loop uvloop --http httptools --no-access-log"
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (replace(DEFAULT, workers=4), "--workers 4"),
        (replace(DEFAULT, loop="asyncio", http="h11"), "--loop asyncio --http h11"),
        (replace(DEFAULT, reload=True), "--reload --reload-dir target_app"),
        (replace(DEFAULT, access_log=True), "--access-log"),
        (replace(DEFAULT, keep_alive_s=60), "--timeout-keep-alive 60"),
        (replace(DEFAULT, backlog=16), "--backlog 16"),
    ],
)
def test_what_differs_from_the_default_shows(changed: Target, words: str) -> None:
    assert words in shlex.join(command(changed, "127.0.0.2", 8001))


def test_another_application_stands_in_its_place() -> None:
    own = Application("shop.web:create", Path("/srv/shop"), reload_dir="shop")
    words = command(replace(DEFAULT, reload=True), "127.0.0.2", 8001, own)
    assert words[:2] == ["uvicorn", "shop.web:create"]
    assert words[words.index("--reload-dir") + 1] == "shop"


def test_a_copied_line_carries_the_settings_that_differ() -> None:
    chosen = replace(DEFAULT, threads=4, settings={"log_s": 0.5, "cpu_n": 1e6})
    line = shown_command(chosen)
    assert line.startswith("TARGET_THREADS=4 TARGET_LOG_S=0.5 TARGET_CPU_N=1000000 uvicorn ")
    assert shown_command(DEFAULT).startswith("uvicorn ")
