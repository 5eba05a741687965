"""The queue, and the one place that joins targets, load, analysis and store.

What all targets and runs of one control plane share, and its recovery at the start, stand here.
"""

import logging
import os
import resource
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path

from control_plane.domain.errors import ClientFailed, SettingsError
from control_plane.domain.experiment import Experiment
from control_plane.domain.run import State
from control_plane.domain.spec import AnyTarget
from control_plane.domain.target_addresses import AllowedTarget
from control_plane.domain.units import number_of
from control_plane.store.store import Store
from control_plane.targets.application import Applications
from control_plane.targets.interpreter_packages import Interpreters
from control_plane.targets.launch import LaunchContext, RunningTarget, reach
from control_plane.targets.marked_processes import end_left_running

BACKGROUND_NICENESS = 5

log = logging.getLogger("looplab.jobs")


_PRODUCT = Path(__file__).resolve().parents[1]
_LOADED_ANEW = ("__init__.py", "domain/**/*.py", "load/**/*.py", "targets/**/*.py")
"""What processes read anew that each trial starts."""


def _versions_of_files() -> Mapping[Path, tuple[int, int]]:
    """Return when each of these files was changed, with its size; of one that goes nothing."""
    found = {}
    for path in chain.from_iterable(map(_PRODUCT.glob, _LOADED_ANEW)):
        with suppress(FileNotFoundError):
            status = path.stat()
            found[path] = (status.st_mtime_ns, status.st_size)
    return found


@dataclass(frozen=True)
class Runtime:
    """What starts need to know of their control plane.

    `instance` marks our processes, `state_dir` holds their files, `own_ports` are no target, and
    `allowed_targets` are some though they are elsewhere.
    `reached` holds by URL the address that trials of one run or experiment asked; None: of none.
    `priority` tells at which priority the control plane itself works; `applications` are those of
    the settings, by name.
    """

    instance: str
    state_dir: Path
    own_ports: frozenset[int]
    priority: str
    applications: Applications = field(default_factory=dict)
    allowed_targets: tuple[AllowedTarget, ...] = ()
    reached: dict[str, str] | None = None
    _files: Mapping[Path, tuple[int, int]] = field(default_factory=_versions_of_files, repr=False)

    def refuse_changed_files(self) -> None:
        """Raise ClientFailed where an update came since this was made, at the start.

        What a trial starts would be of another version than what it talks to, and any number of it.
        """
        if _versions_of_files() != self._files:
            raise ClientFailed(
                "Looplab's files have changed since it started, as by git pull or pip: restart it, "
                "then start this run again"
            )

    async def reach(self, target: AnyTarget) -> RunningTarget:
        """Return a server that somebody else started, at the address that was `reached` before.

        Raises TargetFailed where it cannot be.
        """
        before = {} if self.reached is None else self.reached
        found = await reach(
            target.url, self.own_ports, target.host, self.allowed_targets, before.get(target.url)
        )
        before[target.url] = found.url
        return found

    @cached_property
    def interpreters(self) -> Interpreters:
        """What the interpreters of applications have installed."""
        return Interpreters(self.instance)

    def launch_context(self, cores: Collection[int] | None = None) -> LaunchContext:
        """Return where a target is started, on `cores` (None: all)."""
        return LaunchContext(self.instance, cores, self.state_dir)


def recover(
    store: Store,
    own_ports: Collection[int],
    priority: str,
    applications: Applications | None = None,
) -> Runtime:
    """Clear the processes, files and open states that an earlier control plane left behind."""
    state_dir = store.path.with_name(store.path.name + ".state")
    if state_dir.exists() and not state_dir.is_dir():
        raise SettingsError(f"{state_dir} is no folder, and files of targets go there: move it.")
    # A copy of the file has the same instance but another inode: its processes are not ours.
    marker = f"{store.instance}.{store.path.stat().st_ino:x}"
    processes = end_left_running(marker, state_dir)
    left = store.interrupt_unfinished("Looplab ended while this run was not over")
    store.discard_begun()
    if told := [*_recovered(store, left, processes)]:
        log.warning("An earlier Looplab of this database left: %s", "; ".join(told))
    store.purge()
    # A file without applications may get some later.
    known = {} if applications is None else applications
    return Runtime(marker, state_dir, frozenset(own_ports), priority, known)


def _recovered(
    store: Store, left: Mapping[str, tuple[str, str | None]], processes: int
) -> Iterator[str]:
    """Yield what was found and what became of it.

    By the states that runs were `left` in, and the experiments of those that are arms.
    """
    alone = {run_id: state for run_id, (state, experiment) in left.items() if experiment is None}
    for run_id, state in alone.items():
        if state != State.QUEUED.value:
            yield f"run {run_id} ({state}), which is interrupted now"
    if waiting := [*alone.values()].count(State.QUEUED.value):
        yield f"{number_of(waiting, 'queued run')}, interrupted now: start again what is wanted"
    readable = {each.id: each for each in store.experiments_of([*left]).values()}
    for experiment_id in dict.fromkeys(filter(None, (arm_of for _, arm_of in left.values()))):
        told = f"experiment {experiment_id}, which is paused now"
        if (experiment := readable.get(experiment_id)) is None:
            yield f"{told} and cannot be read: cancel its runs"
            continue
        yield f"{told} with {complete_blocks_text(experiment)}: resume it to go on"
    if processes:
        yield f"{processes} of its processes, ended now"


def complete_blocks_text(experiment: Experiment) -> str:
    """Return `3 complete blocks`: what a pause keeps of an experiment."""
    complete = sum(block.outcome == "complete" for block in experiment.blocks)
    return number_of(complete, "complete block")


def lower_priority() -> str:
    """Lower the priority below targets and load workers, where those can raise theirs again.

    Returns what a run tells of it: `nice 5`, or `normal`.
    """
    ceiling = resource.getrlimit(resource.RLIMIT_NICE)[0]
    if os.geteuid() != 0 and ceiling < 20:
        return "normal"
    os.setpriority(os.PRIO_PROCESS, 0, BACKGROUND_NICENESS)
    return f"nice {BACKGROUND_NICENESS}"
