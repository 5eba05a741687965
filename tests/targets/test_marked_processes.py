import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from control_plane.targets.marked_processes import END_TIMEOUT_S, end_left_running, end_process
from control_plane.targets.observation import procfs
from tests.targets.site import Site, until


@contextmanager
def sleeper(site: Site | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process outside our tree's care; deaf to SIGTERM."""
    environment = {"LOOPLAB_INSTANCE": site.instance} if site else {}
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(300)"
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def test_what_carries_the_mark_is_ended_and_nothing_else(site: Site) -> None:
    with sleeper(site) as first, sleeper(site) as second, sleeper() as stranger:
        until(lambda: len(site.marked()) == 2, lambda: "both run", 5)
        assert end_left_running(site.instance) == 2
        assert first.wait() == second.wait() == -9
        assert stranger.poll() is None
        assert end_left_running(site.instance) == 0


def test_one_that_executes_a_program_just_now_is_found(site: Site, tmp_path: Path) -> None:
    """It has no environment for that moment; this one spends a tenth of its life like that."""
    script = tmp_path / "again"
    script.write_text(f"#!/bin/sh\nexec {script}\n")
    script.chmod(0o700)
    for _ in range(40):
        with subprocess.Popen([script], env={"LOOPLAB_INSTANCE": site.instance}) as process:
            found = end_left_running(site.instance)
            process.kill()
            assert found == 1


def test_the_mark_must_be_whole(site: Site) -> None:
    with sleeper(site) as process:
        until(lambda: site.marked(), lambda: "it runs", 5)
        assert end_left_running(site.instance[:-1]) == 0
        assert process.poll() is None


def test_files_of_targets_go_too(site: Site) -> None:
    stale = site.state_dir / "targets" / "0123" / "users.db"
    stale.parent.mkdir(parents=True)
    stale.touch()
    end_left_running(site.instance, site.state_dir)
    assert list(site.state_dir.iterdir()) == []


def test_a_pid_that_was_used_again_is_spared() -> None:
    """Only the start tells the process that was meant from the one that has its pid now."""
    with sleeper() as process:
        started = procfs.started_at(process.pid)
        assert started is not None
        assert not end_process(process.pid, started - 1)
        assert process.poll() is None
        assert end_process(process.pid, started)
        assert process.wait() == -9
        assert not end_process(process.pid, started)


def test_a_zombie_is_no_process_to_end() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    until(lambda: procfs.started_at(process.pid) is None, lambda: "it has ended", 5)
    assert Path(f"/proc/{process.pid}").exists()
    begun = time.monotonic()
    assert not end_process(process.pid, 0)
    assert time.monotonic() - begun < END_TIMEOUT_S
    process.wait()
