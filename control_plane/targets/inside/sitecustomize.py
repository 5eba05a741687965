"""Runs at the start of each Python process of a target, before the server's own code.

Ties the workers of a server to it: SIGKILL when their parent dies, so that no worker outlives its
master. Then lets the probe wait for a server to be imported, and runs the `sitecustomize` that
this file hides, where there is one. Imports only what is loaded already or quick to load, because
every target waits for it.
"""

from __future__ import annotations

import os
import sys
from _collections_abc import Callable
from importlib import import_module
from importlib.machinery import PathFinder

_SET_PARENT_DEATH_SIGNAL = 1
_SIGKILL = 9


def tie_workers() -> None:
    """Tie this process to its parent if that is the first one of the target, whose pid the guard
    tells; in that one itself, tie every child that it forks.

    A program that the first one started is no worker but the server behind a launcher, such as a
    shell script: it lives on to end in order. What workers make in turn is tied to nobody: the
    application may want it to outlive its maker, as each step to a daemon does. The end of the
    first process is that of the target. Nothing where the interpreter has no `ctypes`, which is
    called for once: a child of a process with threads may find its lock taken.
    """
    first = os.environ.get("LOOPLAB_FIRST", "")
    if first not in {str(os.getpid()), str(os.getppid())}:
        return
    try:
        prctl = import_module("ctypes").CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return
    if first == str(os.getpid()):
        tie_forked(prctl)
    elif made_by_multiprocessing():
        tie_to_parent(prctl)


def made_by_multiprocessing() -> bool:
    """Whether this interpreter was begun to work for a Python process, not to run a program."""
    try:
        with open("/proc/self/cmdline", "rb") as command:
            return b"\0from multiprocessing." in command.read()
    except OSError:
        return False


def tie_forked(prctl: Callable[..., int]) -> None:
    """Tie what this process forks; a child that finds it gone was too late, and ends itself."""
    first, forking = os.getpid(), [0]

    def remember() -> None:
        forking[0] = os.getpid()

    def tie() -> None:
        if forking[0] != first:
            return
        tie_to_parent(prctl)
        if os.getppid() != first:
            os.kill(os.getpid(), _SIGKILL)

    os.register_at_fork(before=remember, after_in_child=tie)


def tie_to_parent(prctl: Callable[..., int]) -> None:
    """Ask for SIGKILL when the parent dies, unless a thread of a pool made this process.

    The kernel watches the thread that made us, not its process.
    """
    if made_by_main_thread(os.getppid()):
        prctl(_SET_PARENT_DEATH_SIGNAL, _SIGKILL, 0, 0, 0)


def made_by_main_thread(parent: int) -> bool:
    """Whether the first thread of the parent made this process; False where it cannot be seen."""
    try:
        with open(f"/proc/{parent}/task/{parent}/children", encoding="ascii") as children:
            return str(os.getpid()) in children.read().split()
    except OSError:
        return False


def install_probe() -> None:
    """Log this process and install the import hooks where the probe is on; install these where
    a size of the thread pool is set, too.

    A target where that fails is served all the same.
    """
    if not (os.environ.get("LOOPLAB_INSIDE") or os.environ.get("LOOPLAB_THREADS")):
        return
    try:
        hooks = import_module("looplab_probe.hooks")
    except (ImportError, SyntaxError):
        return
    hooks.PROCESS_LOG.install()
    hooks.install()


def run_hidden() -> None:
    """Import the next `sitecustomize` on the path, which takes the place of this one."""
    here = os.path.dirname(__file__)
    behind = sys.path[sys.path.index(here) + 1 :] if here in sys.path else []
    hidden = PathFinder.find_spec("sitecustomize", behind)
    if hidden is not None and hidden.loader is not None:
        module = import_module("importlib.util").module_from_spec(hidden)
        sys.modules["sitecustomize"] = module
        hidden.loader.exec_module(module)


tie_workers()
install_probe()
run_hidden()
