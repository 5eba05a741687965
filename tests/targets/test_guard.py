"""Nothing outlives the control plane, the guard or the master: each is killed while it works."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import requests

from control_plane.domain.spec import Target
from control_plane.targets.guard import KEPT_BYTES
from control_plane.targets.inside.looplab_probe.ring import STACKS_SUFFIX
from control_plane.targets.marked_processes import end_left_running
from control_plane.targets.observation import procfs
from control_plane.targets.running_target import StartedTarget
from tests.targets.site import GONE_S, Site, get_json, kill, listening, until

ROOT = Path(__file__).parents[2]
TWO_WORKERS = replace(Target(), workers=2)
RELOADING = replace(Target(), reload=True)


@dataclass
class Parent:
    process: subprocess.Popen[str]
    facts: dict[str, Any]

    @property
    def guard(self) -> int:
        return parent_of(self.facts["pid"])

    @property
    def watcher(self) -> int:
        """The process above the guard."""
        return parent_of(self.guard)

    def assert_nothing_listens(self) -> None:
        at = self.facts["host"], self.facts["port"]
        until(lambda: not procfs.inodes_at(*at), lambda: f"a listener at {at} is left", GONE_S)


@contextmanager
def started_parent(site: Site, name: str, workers: int = 1) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.targets.parent"]
    arguments = [site.instance, str(site.state_dir), name, str(workers)]
    with subprocess.Popen(
        [*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def parent(site: Site, name: str = "probe", workers: int = 1) -> Iterator[Parent]:
    with started_parent(site, name, workers) as process:
        assert process.stdout is not None
        yield Parent(process, json.loads(process.stdout.readline()))


def parent_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("PPid:"))


@pytest.mark.parametrize("workers", [1, 2])
def test_the_death_of_the_control_plane_ends_all(site: Site, workers: int) -> None:
    with parent(site, workers=workers) as looplab:
        assert len(site.marked()) > workers
        looplab.process.kill()
        site.assert_gone()
        looplab.assert_nothing_listens()


def test_the_death_of_the_control_plane_during_a_start_ends_all(site: Site) -> None:
    with started_parent(site, "never_binds") as process:
        until(lambda: len(site.marked()) > 1, lambda: "guard and server run", 10)
        process.kill()
        site.assert_gone()


def test_a_stopped_guard_still_ends_all_when_the_control_plane_dies(site: Site) -> None:
    with parent(site, "daemon") as looplab:
        os.kill(looplab.guard, signal.SIGSTOP)
        looplab.process.kill()
        site.assert_gone()


def test_a_stopped_target_ends_when_the_control_plane_dies(site: Site) -> None:
    with parent(site, workers=2) as looplab:
        for pid in looplab.facts["pids"]:
            os.kill(pid, signal.SIGSTOP)
        looplab.process.kill()
        site.assert_gone()


def test_a_daemon_deaf_to_signals_ends_with_the_control_plane(site: Site) -> None:
    with parent(site, "daemon") as looplab:
        names = {procfs.command_name(pid) for pid in looplab.facts["pids"]}
        assert "sleep" in names
        looplab.process.kill()
        site.assert_gone()


@pytest.mark.parametrize("victim", ["guard", "watcher"])
def test_what_a_target_forked_ends_with_control_plane_and_guard(site: Site, victim: str) -> None:
    """Killed together. It left group, session and environment, and is deaf to SIGTERM."""
    with parent(site, "daemon") as looplab:
        forked = looplab.facts["pids"]
        assert set(forked) - set(site.marked())
        pid = looplab.guard if victim == "guard" else looplab.watcher
        looplab.process.kill()
        os.kill(pid, signal.SIGKILL)
        until(lambda: not living(forked), lambda: f"left: {living(forked)}", GONE_S)
        site.assert_gone()
        looplab.assert_nothing_listens()


def living(pids: list[int]) -> list[str]:
    return [procfs.command_name(pid) for pid in pids if procfs.started_at(pid) is not None]


def test_control_plane_and_both_guards_killed_together(site: Site) -> None:
    """Nobody is left to remove the files; the next start is."""
    with parent(site, workers=2) as looplab:
        pids = looplab.guard, looplab.watcher
        looplab.process.kill()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not site.marked(), lambda: f"left: {site.marked()}", GONE_S)
        looplab.assert_nothing_listens()
    assert site.in_memory()
    end_left_running(site.instance, site.state_dir)


@pytest.mark.parametrize("target", [Target(), TWO_WORKERS, RELOADING], ids=["1", "2", "reload"])
@pytest.mark.parametrize(
    "victims",
    [["guard"], ["master"], ["guard", "master"], ["worker", "guard"], ["worker", "master"]],
)
async def test_the_death_of_guard_or_master_ends_all(
    site: Site, target: Target, victims: list[str]
) -> None:
    async with site.running("probe", target) as started:
        pids = {
            "guard": parent_of(started.pid),
            "master": started.pid,
            "worker": get_json(started.url, "/pid"),
        }
        for victim in victims:
            kill(pids[victim])
        assert await started.ended() == "target died, signal 9"
        assert started.failure() == "target died, signal 9"
        await site.gone()
        until(lambda: not listening(started), lambda: "the listener is closed", GONE_S)
    assert started.failure() == "target died, signal 9"


@pytest.mark.parametrize("victim", ["guard", "watcher"])
async def test_the_death_of_the_guard_ends_a_daemon(site: Site, victim: str) -> None:
    async with site.running("daemon") as started:
        forked, guard = started.pids(), parent_of(started.pid)
        assert guard not in forked
        os.kill(guard if victim == "guard" else parent_of(guard), signal.SIGKILL)
        assert await started.ended() == "target died, signal 9"
        await started.stop()
        assert living(forked) == []
        assert site.left_behind() == []


async def test_a_worker_that_dies_is_counted(site: Site) -> None:
    async with site.running("probe", TWO_WORKERS) as started:
        worker = get_json(started.url, "/pid")
        os.kill(worker, signal.SIGKILL)
        until(lambda: started.ended_workers().all == 1, lambda: "the loss is noticed", 3)
        assert started.failure() is None
        until(lambda: len(workers_of(started)) == 2, lambda: "the worker is replaced", 5)
        os.kill(workers_of(started)[-1], signal.SIGKILL)
        until(lambda: started.ended_workers().all == 2, lambda: "the second loss is noticed", 3)


def workers_of(started) -> list[int]:
    inodes = procfs.inodes_at(started.host, started.port)
    return procfs.accepting(inodes, started.pids())


async def test_an_exit_in_the_middle_is_a_failure(site: Site) -> None:
    async with site.running("probe") as started:
        with pytest.raises(requests.RequestException):
            get_json(started.url, "/exit")
        assert await started.ended() == "target ended, exit code 0"
        await site.gone()


@pytest.mark.parametrize("name", ["daemon", "stubborn"])
async def test_a_stop_ends_what_is_deaf_to_sigterm(site: Site, name: str) -> None:
    async with site.running(name) as started:
        await started.stop()
        assert site.left_behind() == []
        assert started.pids() == []


@pytest.mark.parametrize("victim", ["guard", "watcher", "target"])
async def test_a_stop_ends_what_sigstop_holds(site: Site, victim: str) -> None:
    async with site.running("probe", TWO_WORKERS) as started:
        guard = parent_of(started.pid)
        held = {"guard": [guard], "watcher": [parent_of(guard)], "target": started.pids()}[victim]
        for pid in held:
            os.kill(pid, signal.SIGSTOP)
        await started.stop()
        await started.stop()
        assert site.left_behind() == []
        assert started.failure() is None


SERVER = f"{sys.executable} -m uvicorn slow_end:app --workers $3 --host $1 --port $2"
PYTHON_LAUNCHER = f"""#!{sys.executable}
import subprocess
import sys

subprocess.run(["/bin/sh", "-c", "exec {SERVER}", *sys.argv], check=True)
"""
LAUNCHERS = {
    "foreground": f"#!/bin/sh\n{SERVER}\nexit 0\n",
    "background": f"#!/bin/sh\n{SERVER} &\nwait\n",
    "passes it on": f"#!/bin/sh\n{SERVER} &\ntrap 'kill $!; wait' TERM\nwait\n",
    "execs": f"#!/bin/sh\nexec {SERVER}\n",
    "python": PYTHON_LAUNCHER,
}


@asynccontextmanager
async def launched(
    site: Site, script: Path, launcher: str, workers: int = 1
) -> AsyncIterator[StartedTarget]:
    script.write_text(LAUNCHERS[launcher])
    script.chmod(0o700)
    words = (str(script), "{host}", "{port}", str(workers))
    started = await site.start("slow_end", Target(server="command"), command=words)
    try:
        yield started
    finally:
        await started.stop()


def serving(started: StartedTarget) -> int:
    """How many workers have begun to take requests: one that is not yet there ends otherwise."""
    return "\n".join(started.log()).count("Application startup complete")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("launcher", LAUNCHERS)
async def test_a_stop_lets_a_server_behind_a_launcher_end_in_order(
    site: Site, tmp_path: Path, launcher: str, workers: int
) -> None:
    async with launched(site, tmp_path / "launcher", launcher, workers) as started:
        until(lambda: serving(started) == workers, lambda: f"{workers} workers are ready", 20)
        await started.stop(5.0)
        assert started.log().count("ended in order") == workers
        assert started.killed_after_s is None
        await site.gone()


async def test_the_grace_of_a_server_behind_a_launcher_is_bounded(
    site: Site, tmp_path: Path
) -> None:
    async with launched(site, tmp_path / "launcher", "foreground") as started:
        await started.stop(0.3)
        assert "ended in order" not in started.log()
        assert started.killed_after_s is not None
        await site.gone()


async def test_a_log_that_is_never_read_stays_small(site: Site) -> None:
    async with site.running("probe") as started:
        descriptor = started.server.output.descriptor
        assert get_json(started.url, "/print") == started.pid
        assert os.fstat(descriptor).st_size > 4 * KEPT_BYTES
        until(
            lambda: os.fstat(descriptor).st_blocks * 512 <= 2 * KEPT_BYTES,
            lambda: f"{os.fstat(descriptor).st_blocks * 512} bytes are kept",
            3,
        )
        assert "line 199999 of a server that prints a lot" in started.log(5)
        assert len(started.log(1_000)) == 200
    assert len(started.log(1)) == 1


async def test_stacks_that_are_never_read_stay_small(site: Site) -> None:
    async with site.running("probe") as started:
        assert started.probe_output is not None
        stacks = started.probe_output.folder / f"1{STACKS_SUFFIX}"
        stacks.write_bytes(b"x" * 4 * KEPT_BYTES)
        until(lambda: stacks.stat().st_blocks * 512 <= 2 * KEPT_BYTES, lambda: "it is bounded", 3)
        assert stacks.stat().st_size == 4 * KEPT_BYTES
        assert stacks.read_bytes().strip(b"\0") == b"x" * KEPT_BYTES


async def test_what_is_no_file_of_stacks_is_left_alone(site: Site, tmp_path: Path) -> None:
    async with site.running("probe") as started:
        assert started.probe_output is not None
        stranger = tmp_path / "stranger"
        stranger.write_bytes(b"x" * 4 * KEPT_BYTES)
        (started.probe_output.folder / f"1{STACKS_SUFFIX}").symlink_to(stranger)
        (started.probe_output.folder / f"2{STACKS_SUFFIX}").mkdir()
        os.mkfifo(started.probe_output.folder / f"3{STACKS_SUFFIX}")
        last = started.probe_output.folder / f"4{STACKS_SUFFIX}"
        last.write_bytes(b"x" * 4 * KEPT_BYTES)
        until(lambda: last.stat().st_blocks * 512 <= 2 * KEPT_BYTES, lambda: "it is bounded", 3)
        assert stranger.read_bytes() == b"x" * 4 * KEPT_BYTES
        assert started.failure() is None


async def test_orphans_of_the_server_are_reaped(site: Site) -> None:
    """The guard adopts them; a target that runs for hours must not fill the table of processes."""
    async with site.running("probe", TWO_WORKERS) as started:
        guard = parent_of(started.pid)
        os.kill(get_json(started.url, "/pid"), signal.SIGKILL)
        until(lambda: started.ended_workers().all == 1, lambda: "the worker is gone", 3)
        until(lambda: len(procfs.children(guard)) == 1, lambda: "no zombie is left", 3)


def test_a_program_heeds_the_signals_that_python_ignores() -> None:
    guard = [sys.executable, "-I", "-S", str(ROOT / "control_plane/targets/guard.py")]
    command = ["all", "", "", "grep", "SigIgn", "/proc/self/status"]
    with subprocess.Popen([*guard, *command], stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
        assert process.stderr is not None
        ignored = int(process.stderr.readline().split()[1], 16)
    assert not ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)
