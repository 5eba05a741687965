"""The workers of a target, watched by process: how many of them ended, and how.

Workers are the processes below the server that were there before any load: those that have its
listener open, or else at least two of a kind. Whatever their parent starts of the same kind later
is a worker, too. A process that the server makes for a single connection is none, nor is what a
worker runs for a request.
"""

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from control_plane.targets.inside.looplab_probe.hooks import (
    BORN,
    ENDED,
    FORKED,
    LOG_NAME,
    PROCESS_LOG_BYTES,
    command_shape,
)
from control_plane.targets.observation import procfs
from control_plane.targets.observation.procfs import Process
from control_plane.targets.target_files import OPEN_FLAGS

ProcessKind = tuple[int, int]
"""The parent of a process, and the shape of its command line."""

LEAST_ALIKE = 2


@dataclass(frozen=True)
class EndedWorkers:
    """How many workers ended since the target was ready. `at_limit` of all: those that had answered
    as many requests as their server lets a worker answer.
    """

    all: int = 0
    at_limit: int = 0


class WorkerWatch:
    """Looks at the processes of a target, of which `root` is the first and `holders` listen.

    `single`: its server makes no process for a single connection, so whoever is there at the first
    look may count; else those count that the second look, before the load, finds again. `folder`:
    where the probe writes.
    """

    def __init__(
        self, root: int, holders: Collection[int], *, single: bool, folder: Path | None = None
    ) -> None:
        self._root, self._holders, self._single = root, frozenset(holders), single
        self._log = _LogReader(folder / LOG_NAME) if folder else None
        self._kinds: dict[Process, ProcessKind] = {}
        self._logged: set[Process] = set()
        self._new_copies: set[Process] = set()
        self._candidates: dict[Process, ProcessKind] | None = None
        self._worker_kinds: frozenset[ProcessKind] = frozenset()
        self._living: set[Process] = set()
        self._at_limit: set[Process] = set()
        self.ended = EndedWorkers()

    def look(self, pids: Iterable[int]) -> None:
        """Take down who is there now, and who ended since the last look."""
        present = {
            Process(pid, start)
            for pid in pids
            if pid != self._root and (start := procfs.started_at(pid)) is not None
        }
        # The log is read after the processes, so that whoever is gone has had time to write to it.
        born, at_limit = self._log.read() if self._log else ({}, set())
        self._at_limit |= at_limit
        present |= {process for process in born if process.pid != self._root and _lives(process)}
        self._take_kinds(present, born)
        if self._candidates is None:
            self._candidates, born = self._first_candidates(), {}
            if not self._single:
                return
        if not self._worker_kinds:
            self._confirm(self._candidates)
        self._count(born)

    def _take_kinds(self, present: set[Process], born: dict[Process, ProcessKind]) -> None:
        """Take the kind of each; of one that looks like its parent at every look.

        It may be about to run another program: a fork looks so until it does.
        """
        seen = self._kinds
        self._logged = (self._logged | born.keys()) & present
        self._kinds = {process: born.get(process) or self._kind_now(process) for process in present}
        copies = {process for process, (_, shape) in self._kinds.items() if shape == FORKED}
        self._new_copies = copies - self._logged - seen.keys()

    def _kind_now(self, process: Process) -> ProcessKind:
        """Return the kind of one that the log does not name now; its parent is the first seen."""
        known = self._kinds.get(process)
        if known and (known[1] != FORKED or process in self._logged):
            return known
        kind = _kind(process.pid)
        return known if known and kind[0] != known[0] else kind

    def _first_candidates(self) -> dict[Process, ProcessKind]:
        kinds = list(self._kinds.values())
        holding = {
            process: kind for process, kind in self._kinds.items() if process.pid in self._holders
        }
        return holding or {
            process: kind
            for process, kind in self._kinds.items()
            if kinds.count(kind) >= LEAST_ALIKE
        }

    def _confirm(self, candidates: dict[Process, ProcessKind]) -> None:
        """Take the kinds of those that are still there; others of such a kind ended as workers."""
        kinds = {self._kinds[process] for process in candidates if process in self._kinds}
        self._worker_kinds = frozenset(kinds)
        self._living = {
            process
            for process, kind in candidates.items()
            if self._kinds.get(process, kind) in kinds
        }

    def _count(self, born: dict[Process, ProcessKind]) -> None:
        """Count the workers that are gone; a copy of its parent is one from its second look on."""
        members = {process for process, kind in self._kinds.items() if kind in self._worker_kinds}
        members -= self._new_copies - self._living
        unseen = {process for process, kind in born.items() if kind in self._worker_kinds}
        lost = (self._living | unseen) - self._kinds.keys()
        limited = len(lost & self._at_limit)
        self.ended = EndedWorkers(self.ended.all + len(lost), self.ended.at_limit + limited)
        self._living = members
        self._at_limit &= members


class _LogReader:
    """Reads what the probe in Python processes wrote since the last call."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def read(self) -> tuple[dict[Process, ProcessKind], set[Process]]:
        """Return who was born, and who ended at its limit of requests."""
        born: dict[Process, ProcessKind] = {}
        at_limit: set[Process] = set()
        for line in self._lines():
            try:
                verb, pid, start, *facts = line.split()
                process = Process(int(pid), int(start))
                if verb == BORN:
                    born.setdefault(process, (int(facts[0]), int(facts[1])))
                elif verb == ENDED and int(facts[0]):
                    at_limit.add(process)
            except (ValueError, IndexError):
                continue
        return born, at_limit

    def _lines(self) -> list[str]:
        try:
            descriptor = os.open(self._path, OPEN_FLAGS)
        except OSError:
            return []
        try:
            data = os.pread(descriptor, PROCESS_LOG_BYTES, self._offset)
        except OSError:
            return []
        finally:
            os.close(descriptor)
        whole, newline, _ = data.rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        return whole.decode(errors="replace").splitlines()


def _lives(process: Process) -> bool:
    return procfs.started_at(process.pid) == process.start


def _kind(pid: int) -> ProcessKind:
    """Return the kind of a process that the log does not name, or not yet."""
    parent, command_line = procfs.parent(pid), procfs.command_line(pid)
    forked = command_line == procfs.command_line(parent)
    return parent, FORKED if forked else command_shape(command_line)
