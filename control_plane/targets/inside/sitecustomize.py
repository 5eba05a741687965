"""Runs at the start of each Python process of a target, before the server's own code.

Ties every process to the one that made it: SIGKILL when the parent dies, so that no worker outlives
its master. Then lets the probe wait for a server to be imported, and runs the `sitecustomize` that
this file hides, where there is one. Imports only what is loaded already or quick to load, because
every target waits for it.
"""

import ctypes
import os
import sys
from importlib import import_module
from importlib.machinery import PathFinder, SourceFileLoader

_SET_PARENT_DEATH_SIGNAL = 1
_SIGKILL = 9


def tie_to_parent() -> None:
    """Ask for SIGKILL when the parent dies, unless a thread of a pool made this process.

    The kernel watches the thread that made us, not its process.
    """
    if made_by_main_thread(os.getppid()):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, _SIGKILL, 0, 0, 0)


def tie_every_fork() -> None:
    """Tie every forked child; one that finds its parent gone was too late, and ends itself."""
    forking = [0]

    def remember() -> None:
        forking[0] = os.getpid()

    def tie() -> None:
        tie_to_parent()
        if os.getppid() != forking[0]:
            os.kill(os.getpid(), _SIGKILL)

    os.register_at_fork(before=remember, after_in_child=tie)


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
        process_log = import_module("looplab_probe.process_log")
    except (ImportError, SyntaxError):
        return
    process_log.PROCESS_LOG.install()
    hooks.install()


def run_hidden() -> None:
    """Run the next `sitecustomize` on the path."""
    here = os.path.dirname(__file__)
    hidden = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if entry != here])
    loader = hidden.loader if hidden else None
    if isinstance(loader, SourceFileLoader) and (code := loader.get_code("sitecustomize")):
        exec(code, {"__name__": "sitecustomize", "__file__": loader.path})


tie_to_parent()
tie_every_fork()
install_probe()
run_hidden()
