"""The guard: a process of its own that starts one server and stays until nothing of it is left.

Run as `python -I -S guard.py CORES FOLDER INSIDE COMMAND...`; CORES are numbers with commas
between, or `all`; FOLDER and INSIDE, where the probe in the workers writes, are removed with their
content in the end (empty: there is none). The guard's environment and directory become the
server's, its standard error the server's output. On standard output it reports, a line each,
`started PID` and then `exited CODE` or `killed SIGNAL`. The line `stop SECONDS` on standard input
asks for SIGTERM, to what outlives the server as well, and SIGKILL so much later; end of file, which
the death of the control plane brings, for SIGKILL at once. Linux and the standard library only, and
little of it: every target waits for these imports.

Above the guard stands a second process, forked before all else, that does nothing but wait for its
end. Who kills the guard makes it the parent of all that came from the server, whatever that did to
its group, session and environment; it ends that and dies as the guard did. Killed itself, it is
missed by the guard, which ends all as well.
"""

import ctypes
import os
import resource
import select
import stat
import sys
import time
from _collections_abc import Callable

SIGKILL, SIGTERM, SIGCONT = 9, 15, 18
STDIN, STDOUT, LOG = 0, 1, 2
TICK_S = 0.5
KEPT_BYTES = 1_000_000
STACKS_SUFFIX = ".stacks"
WRITE_FLAGS = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FILES = 65_536
FIRST_VARIABLE = "LOOPLAB_FIRST"
"""The environment variable with the pid of the server: `sitecustomize` ties its workers to it."""

_SET_PARENT_DEATH_SIGNAL = 1
_SET_CHILD_SUBREAPER = 36
_PUNCH_HOLE_KEEP_SIZE = 3
_FAILED_TO_START = 127
_IGNORED_BY_PYTHON = (13, 25)
"""SIGPIPE and SIGXFSZ."""

_libc = ctypes.CDLL(None, use_errno=True)


def main(cores: str, folder: str, inside: str, command: list[str]) -> None:
    """Fork the guard, wait for its end, and leave nothing behind if it was killed."""
    adopt_orphans()
    watcher = os.getpid()
    guard = os.fork()
    if not guard:
        guard_server(watcher, cores, folder, inside, command)
        return
    code = watch(guard)
    if code:
        end_all()
        remove(folder)
        remove(inside)
    if code < 0:
        os.kill(watcher, -code)
    os._exit(abs(code))


def adopt_orphans() -> None:
    """Become the parent of what outlives its own below us, and go on from SIGSTOP with ours gone.

    A guard that is held then reads end of file.
    """
    _libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _libc.prctl(_SET_PARENT_DEATH_SIGNAL, SIGCONT, 0, 0, 0)


def watch(guard: int) -> int:
    """Wait for the end of the guard; return its exit code, or the signal that killed it below 0."""
    pidfd = os.pidfd_open(guard)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(STDIN, 0)
    while all(descriptor != pidfd for descriptor, _ in poll.poll()):
        # The control plane is gone, or asked for the end: a guard that SIGSTOP holds goes on.
        os.kill(guard, SIGCONT)
        poll.unregister(STDIN)
    return os.waitstatus_to_exitcode(os.waitpid(guard, 0)[1])


def guard_server(watcher: int, cores: str, folder: str, inside: str, command: list[str]) -> None:
    """Start the server, wait for its end or for ours, and leave nothing behind."""
    adopt_orphans()
    above = os.pidfd_open(watcher)
    if os.getppid() != watcher:
        return
    server = start(command, _core_numbers(cores))
    report(f"started {server}")
    pidfd = os.pidfd_open(server)
    grace_s = wait_for_stop(server, pidfd, above, inside)
    if grace_s is None or terminate(server, pidfd, above, grace_s):
        report_outcome(server)
    _kill(-server)
    end_all()
    remove(folder)
    remove(inside)


def start(command: list[str], cores: set[int]) -> int:
    """Fork and execute the server as the leader of its own process group; return its pid."""
    guard = os.getpid()
    server = os.fork()
    if server:
        return server
    try:
        _become(command, cores, guard)
    except OSError as error:
        os.write(LOG, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(_FAILED_TO_START)


def _become(command: list[str], cores: set[int], guard: int) -> None:
    _libc.prctl(_SET_PARENT_DEATH_SIGNAL, SIGKILL, 0, 0, 0)
    if os.getppid() != guard:
        return
    os.setpgid(0, 0)
    os.environ[FIRST_VARIABLE] = str(os.getpid())
    if cores:
        os.sched_setaffinity(0, cores)
    _take_normal_priority()
    _set_limits()
    _heed_signals()
    os.dup2(os.open(os.devnull, os.O_RDONLY), STDIN)
    os.dup2(LOG, STDOUT)
    os.execvp(command[0], command)


def _take_normal_priority() -> None:
    """Take the normal priority, where the system lets us."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except PermissionError:
        return


def _set_limits() -> None:
    """Open files for as many connections as a load may bring, and no core dump."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _heed_signals() -> None:
    """Undo that Python ignores these signals: a shell, and what it runs, would ignore them too."""
    for number in _IGNORED_BY_PYTHON:
        _libc.signal(number, None)


def wait_for_stop(server: int, pidfd: int, above: int, inside: str) -> float | None:
    """Wait for a `stop` on standard input; return its grace.

    None when the server, the process above us or the input ended.
    """
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(above, select.POLLIN)
    poll.register(STDIN, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll(TICK_S * 1000)}
        if pidfd in ready or above in ready:
            return None
        if STDIN in ready:
            verb, _, seconds = os.read(STDIN, 64).partition(b" ")
            return float(seconds) if verb == b"stop" else None
        reap_orphans(server)
        bound(LOG)
        bound_stacks(inside)


def terminate(server: int, pidfd: int, above: int, grace_s: float) -> bool:
    """Give the server its grace, and what outlives it the rest; return whether all have ended.

    A shell script that started the server dies of SIGTERM at once and passes it to nobody, whereas
    a supervisor ends its workers first. So each process gets one SIGTERM from us: the first one
    now, any other when the process that made it has left it to us. False as well when the process
    above us ended. What we signal is our child, so the pid is still its own.
    """
    deadline = time.monotonic() + grace_s
    awaited = {pidfd: server}
    os.kill(server, SIGTERM)
    while awaited:
        left_s = deadline - time.monotonic()
        ended = select.select([above, *awaited], (), (), left_s)[0] if left_s > 0 else [above]
        if not ended or above in ended:
            return False
        for descriptor in ended:
            _forget(descriptor, awaited.pop(descriptor), server)
        for pid in children():
            if pid != server and pid not in awaited.values():
                awaited[os.pidfd_open(pid)] = pid
                os.kill(pid, SIGTERM)
    return True


def _forget(descriptor: int, pid: int, server: int) -> None:
    """Reap an ended child; the server stays, as its pid and group do."""
    if pid != server:
        os.close(descriptor)
        os.waitpid(pid, 0)


def end_all() -> None:
    """SIGKILL to all that came from the server, until no child is left.

    A child of a killed process becomes ours, so each round reaches one generation more. Nobody else
    can reap a child of ours, so a pid read here cannot have gone to a stranger.
    """
    while _reap_all():
        for pid in children():
            _kill(pid)
        time.sleep(0.002)


def children() -> list[int]:
    """Return the processes whose parent this one is."""
    own = str(os.getpid())
    return [
        pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(pid) == own
    ]


def _parent(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat_file:
            return stat_file.read().rpartition(")")[2].split()[1]
    except OSError:
        return ""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, SIGKILL)
    except ProcessLookupError:
        return


def _reap_all() -> bool:
    """Reap every child that ended; return whether another still lives."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def reap_orphans(server: int) -> None:
    """Reap adopted processes that ended; the server stays, so that its pid and group keep."""
    while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if ended.si_pid == server:
            return
        os.waitpid(ended.si_pid, 0)


def bound(descriptor: int) -> None:
    """Give back the space of all but the newest bytes; offsets stay as they are."""
    facts = os.fstat(descriptor)
    if facts.st_blocks * 512 > 2 * KEPT_BYTES:
        stale = ctypes.c_int64(facts.st_size - KEPT_BYTES)
        _libc.fallocate(descriptor, _PUNCH_HOLE_KEEP_SIZE, ctypes.c_int64(0), stale)


def bound_stacks(folder: str) -> None:
    """Bound the stacks of an event loop that stands still for hours."""
    try:
        names = [name for name in os.listdir(folder) if name.endswith(STACKS_SUFFIX)]
    except OSError:
        return
    for name in names:
        _bound_file(os.path.join(folder, name))


def _bound_file(path: str) -> None:
    """Bound a regular file, and nothing else that the target may have put there."""
    try:
        descriptor = os.open(path, WRITE_FLAGS)
    except OSError:
        return
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            bound(descriptor)
    finally:
        os.close(descriptor)


def report_outcome(server: int) -> None:
    """Report how the server ended, if it has."""
    ended = os.waitid(os.P_PID, server, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    if ended:
        verb = "exited" if ended.si_code == os.CLD_EXITED else "killed"
        report(f"{verb} {ended.si_status}")


def report(line: str) -> None:
    """Write a line to the control plane; nothing when that is gone."""
    try:
        os.write(STDOUT, f"{line}\n".encode())
    except BrokenPipeError:
        return


def remove(folder: str) -> None:
    """Remove a folder with all that is in it, of which nothing is used any more.

    `shutil` does the same, and its import is half of what a guard costs.
    """
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            remove(entry.path)
        else:
            _try(os.unlink, entry.path)
    _try(os.rmdir, folder)


def _try(work: Callable[[str], None], path: str) -> None:
    try:
        work(path)
    except OSError:
        return


def _core_numbers(cores: str) -> set[int]:
    return set() if cores == "all" else {int(number) for number in cores.split(",")}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
