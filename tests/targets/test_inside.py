"""The `sitecustomize` that ties processes together, in interpreters of its own."""

import os
import signal
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from control_plane.targets.environment_variables import PROBE_SOURCE
from control_plane.targets.guard import FIRST_VARIABLE
from control_plane.targets.observation import procfs
from tests.targets.site import until


def started(code: str, *paths: Path) -> subprocess.Popen[str]:
    """Start a target's first process, as the guard does."""
    environment = {"PYTHONPATH": os.pathsep.join(map(str, (PROBE_SOURCE, *paths)))}
    command = ["/bin/sh", "-c", f'{FIRST_VARIABLE}=$$ exec "$0" "$@"', sys.executable, "-c", code]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def first_number(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


CHILDREN = {
    "fork": """
import os, time
child = os.fork()
if child == 0:
    time.sleep(300)
print(child, flush=True)
time.sleep(300)
""",
    "spawn": """
import multiprocessing, time
context = multiprocessing.get_context("spawn")
told, teller = context.Pipe()
code = "import time; teller.send(0); time.sleep(300)"
child = context.Process(target=exec, args=(code, {"teller": teller}))
child.start()
told.recv()
print(child.pid, flush=True)
time.sleep(300)
""",
}


@pytest.mark.parametrize("way", CHILDREN)
def test_a_child_dies_with_its_parent(way: str) -> None:
    with started(CHILDREN[way]) as process:
        child = first_number(process)
        assert procfs.started_at(child) is not None
        process.kill()
        until(lambda: procfs.started_at(child) is None, lambda: "the child is gone", 1)


PROGRAM = """
import subprocess, sys, time
code = "import time; print(flush=True); time.sleep(300)"
child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(300)
"""


FROM_A_THREAD = """
import os, threading, time
def make():
    global child
    child = os.fork()
    if child == 0:
        time.sleep(300)
thread = threading.Thread(target=make)
thread.start()
thread.join()
print(child, flush=True)
time.sleep(300)
"""


def test_a_child_made_by_a_thread_outlives_the_thread() -> None:
    with started(FROM_A_THREAD) as process:
        child = first_number(process)
        try:
            assert procfs.started_at(child) is not None
        finally:
            os.kill(child, signal.SIGKILL)
            process.kill()


DAEMON = """
import os, time
def end_before_child():
    maker = os.getpid()
    if os.fork():
        os._exit(0)
    while os.getppid() == maker:
        time.sleep(0.001)
if os.fork() == 0:
    end_before_child()
    os.setsid()
    end_before_child()
    print(os.getpid(), flush=True)
time.sleep(20)
"""


@pytest.mark.parametrize("script", [PROGRAM, DAEMON], ids=["program", "daemon"])
def test_a_program_and_a_daemon_outlive_what_made_them(script: str) -> None:
    """A server behind a launcher ends in order, and a daemon when it wants."""
    with started(script) as process:
        made = first_number(process)
        try:
            process.kill()
            process.wait()
            assert procfs.started_at(made) is not None
        finally:
            os.kill(made, signal.SIGKILL)


def test_the_hidden_sitecustomize_is_the_module_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("found = __spec__.origin")
    with started("import sitecustomize; print(sitecustomize.found)", tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.read().strip() == str(tmp_path / "sitecustomize.py")


def test_no_hidden_sitecustomize_is_no_fault() -> None:
    """Debian's interpreter brings one, which is hidden then."""
    found = PathFinder.find_spec("sitecustomize", sys.path)
    expected = found.origin if found else str(PROBE_SOURCE / "sitecustomize.py")
    with started("import sys; print(sys.modules['sitecustomize'].__file__)") as process:
        assert process.stdout is not None
        assert process.stdout.read().strip() == expected
